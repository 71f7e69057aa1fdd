/**
 * `kubectl-onnx validate`: checks OnnxModels in manifests without a cluster, for example in a pipeline.
 *
 * Owns: the flags, which documents are OnnxModels, and the text and JSON output. offline/check-manifest.ts makes the
 * checks. Exits with 0 when all OnnxModels are valid, 1 when one of them is invalid, 2 for a wrong flag or an
 * unreadable file.
 */
import { AppError } from '../../api/errors.ts';
import { api } from '../../api/names.ts';
import { isRecord } from '../../api/record.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { checkManifest } from '../offline/check-manifest.ts';
import { documentsAt, type ManifestDocument } from '../offline/manifest-files.ts';
import type { OperatorFinding } from '../offline/operator-checks.ts';
import { plainLine } from '../text/plain-text.ts';

export const validateHelp = `Usage: kubectl-onnx validate FILE... [--json]

Checks the OnnxModels in manifests without a cluster: errors that the API server would report with --validate=strict
(structure, rules, unknown fields), and errors that only the operator would report. A file is YAML or JSON with any
number of documents. In a folder and its subfolders, the command reads *.yaml, *.yml and *.json; "-" is standard input.
Objects of other kinds are listed as skipped.

  --json   one document: {"valid", "documents": [{"file", "document", "line", "kind", "namespace", "name", "outcome",
           "findings": [{"severity", "path", "line", "message", "hint"}]}], "summary": {"valid", "invalid", "skipped"}}
  --quiet  print only documents with errors or warnings
  --help

Exit codes: 0 no errors (warnings are allowed); 1 an OnnxModel is invalid, or a document that may contain one is not
YAML; 2 wrong flags, or a file that cannot be read.
`;

/** The exit code when a manifest is invalid. In most other commands, exit code 1 means a bug. */
const invalid: ExitCode = 1;

export type JudgedDocument = {
  readonly file: string;
  readonly document: number;
  readonly line: number;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly outcome: 'Valid' | 'Invalid' | 'Skipped';
  readonly findings: readonly (OperatorFinding & { readonly line: number })[];
  /** Why the document was skipped. */
  readonly why?: string;
};

const flags = {
  json: { type: 'boolean', default: false },
  quiet: { type: 'boolean', short: 'q', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @throws AppError when a flag is wrong, or a file cannot be read */
export async function validate(argv: readonly string[], write: (text: string) => void): Promise<ExitCode> {
  const { values, positionals } = parseFlags('validate', argv, flags);
  if (values.help) {
    write(validateHelp);
    return exitCodes.ok;
  }
  if (positionals.length === 0)
    throw new AppError('BAD_FLAG', { flag: 'FILE', problem: 'give a file, a folder or "-"' });
  const judged = positionals.flatMap((path) => documentsAt(path)).flatMap(judgeDocument);
  write(values.json ? `${JSON.stringify(jsonOf(judged), undefined, 2)}\n` : textOf(judged, values.quiet));
  return judged.some(({ outcome }) => outcome === 'Invalid') ? invalid : exitCodes.ok;
}

/** Checks one document, or each item of a List. */
export function judgeDocument(document: ManifestDocument): readonly JudgedDocument[] {
  const { file, number, line, value, problem, text } = document;
  const at = { file, document: number, line };
  if (problem !== undefined) {
    // A folder may contain templates of other tools, so text that is not YAML is only an error when it contains our
    // kind.
    if (!text.includes(api.kind))
      return [
        {
          ...at,
          outcome: 'Skipped',
          why: `not YAML (line ${problem.line}: ${problem.message}), and does not contain ${api.kind}`,
          findings: [],
        },
      ];
    return [
      {
        ...at,
        outcome: 'Invalid',
        findings: [{ severity: 'error', path: '', message: `not YAML: ${problem.message}`, line: problem.line }],
      },
    ];
  }
  return judgeValue(value, '', document);
}

/** @param path the path of an item in its List, such as `items[0]`; '' for the document itself */
function judgeValue(value: unknown, path: string, document: ManifestDocument): readonly JudgedDocument[] {
  const at = {
    file: document.file,
    document: document.number,
    line: path === '' ? document.line : document.lineOf(path),
  };
  if (!isRecord(value) || typeof value['kind'] !== 'string')
    return [{ ...at, outcome: 'Skipped', why: 'not a Kubernetes object: kind is missing', findings: [] }];
  const { kind, metadata, items } = value;
  if ((kind === 'List' || kind === `${api.kind}List`) && Array.isArray(items))
    return items.flatMap((item, i) => judgeValue(item, join(path, `items[${i}]`), document));
  const named = { ...at, kind, ...namesOf(metadata) };
  const other = otherKind(value);
  if (other !== undefined) return [{ ...named, outcome: 'Skipped', why: other, findings: [] }];
  const findings = findingsOf(value).map((finding) => ({
    ...finding,
    line: document.lineOf(join(path, finding.path)),
  }));
  return [{ ...named, outcome: findings.some(({ severity }) => severity === 'error') ? 'Invalid' : 'Valid', findings }];
}

function join(path: string, below: string): string {
  return [path, below].filter((part) => part !== '').join('.');
}

function otherKind({ kind, apiVersion }: Readonly<Record<string, unknown>>): string | undefined {
  if (kind !== api.kind) return 'another kind';
  return String(apiVersion).split('/')[0] === api.group
    ? undefined
    : `another kind: ${api.kind} of ${String(apiVersion)}`;
}

function findingsOf(value: Readonly<Record<string, unknown>>): readonly OperatorFinding[] {
  const { apiVersion } = value;
  if (apiVersion !== api.groupVersion)
    return [
      {
        severity: 'error',
        path: 'apiVersion',
        message: `unknown version ${String(apiVersion)}`,
        hint: `write ${api.groupVersion}`,
      },
    ];
  return checkManifest(value);
}

function namesOf(metadata: unknown): { readonly namespace?: string; readonly name?: string } {
  const { namespace, name } = isRecord(metadata) ? metadata : {};
  return { ...(typeof namespace === 'string' ? { namespace } : {}), ...(typeof name === 'string' ? { name } : {}) };
}

type Summary = { readonly valid: number; readonly invalid: number; readonly skipped: number };

function summaryOf(judged: readonly JudgedDocument[]): Summary {
  const count = (wanted: JudgedDocument['outcome']): number =>
    judged.filter(({ outcome }) => outcome === wanted).length;
  return { valid: count('Valid'), invalid: count('Invalid'), skipped: count('Skipped') };
}

function jsonOf(judged: readonly JudgedDocument[]): {
  readonly valid: boolean;
  readonly documents: readonly JudgedDocument[];
  readonly summary: Summary;
} {
  const summary = summaryOf(judged);
  return { valid: summary.invalid === 0, documents: judged, summary };
}

function textOf(judged: readonly JudgedDocument[], quiet: boolean): string {
  const { valid, invalid, skipped } = summaryOf(judged);
  const shown = quiet ? judged.filter(({ findings }) => findings.length > 0) : judged;
  const none = valid + invalid === 0 ? `; no ${api.kind} found` : '';
  return [
    ...shown.flatMap(linesOf),
    ...(quiet && invalid === 0 ? [] : [`${valid} valid, ${invalid} invalid, ${skipped} skipped${none}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function linesOf({ file, document, kind, namespace, name, outcome, findings, why }: JudgedDocument): readonly string[] {
  const what =
    kind === undefined ? '' : `: ${kind} ${[namespace, name].filter((part) => part !== undefined).join('/')}`;
  const head = plainLine(
    `${file}, document ${document}${what}: ${outcome === 'Skipped' ? `skipped, ${why}` : outcome.toLowerCase()}`,
  );
  return [head, ...findings.map((finding) => `  ${plainLine(findingText(finding))}`)];
}

function findingText({ severity, path, line, message, hint }: JudgedDocument['findings'][number]): string {
  return (
    `line ${line}: ` +
    `${severity === 'warning' ? 'warning: ' : ''}${path === '' ? '' : `${path}: `}${message}` +
    `${hint === undefined ? '' : ` (${hint})`}`
  );
}
