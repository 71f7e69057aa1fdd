/**
 * Manifests on disk or on standard input, document by document, with the lines they stand on.
 *
 * Owns:   which files of a folder are read, and reading YAML as Kubernetes does: 1.1, where `On` is a boolean.
 * Limits: files of 4 MiB, 10,000 of them; 100 aliases a document.
 * Errors: FILE_UNREADABLE, BAD_CONFIG for what cannot be read at all. A document that is no YAML is a value: it says
 *         why.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { isMap, isSeq, LineCounter, parseAllDocuments, type Document, type Node, type ParsedNode } from 'yaml';
import { AppError, messageOf } from '../../api/errors.ts';

export type ManifestDocument = {
  /** As the user named it, `standard input` for `-`. */
  readonly file: string;
  /** In the file, from 1. */
  readonly number: number;
  /** Of its first line, from 1. */
  readonly line: number;
  /** Undefined where it is no YAML. */
  readonly value: unknown;
  readonly problem?: { readonly line: number; readonly message: string };
  /** The document's own text. */
  readonly text: string;
  /** The line of a path such as `spec.rollout.steps[0].weight`; of the nearest that is there, where that is not. */
  lineOf(path: string): number;
};

const fileLimitBytes = 4 * 2 ** 20;
const filesLimit = 10_000;
const endings = ['.yaml', '.yml', '.json'];

/** @param path a file, a folder, or `-` for standard input */
export function documentsAt(path: string): readonly ManifestDocument[] {
  if (path === '-') return documentsOf('standard input', textOf(0, 'standard input'));
  return filesAt(path).flatMap((file) => documentsOf(file, textOf(file, file)));
}

function filesAt(path: string): readonly string[] {
  const stats = readable(path, () => statSync(path));
  if (!stats.isDirectory()) return [path];
  const entries = readable(path, () => readdirSync(path, { withFileTypes: true, recursive: true }));
  const files = entries.filter(
    (entry) =>
      entry.isFile() &&
      endings.includes(extname(entry.name)) &&
      !isHidden(join(entry.parentPath, entry.name).slice(path.length)),
  );
  if (files.length > filesLimit)
    throw new AppError('BAD_CONFIG', {
      where: path,
      problem: `has ${files.length} manifests, more than ${filesLimit}`,
    });
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

function isHidden(below: string): boolean {
  return below.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}

function textOf(file: string | 0, name: string): string {
  if (file !== 0 && readable(name, () => statSync(file)).size > fileLimitBytes)
    throw new AppError('BAD_CONFIG', { where: name, problem: `is larger than ${fileLimitBytes} bytes` });
  return readable(name, () => readFileSync(file, 'utf8'));
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

/** Documents with nothing in them are left out. */
export function documentsOf(file: string, text: string): readonly ManifestDocument[] {
  const lines = new LineCounter();
  // A date stays the text it is: that is how it reaches the API server, which knows JSON alone.
  const parsed = parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    customTags: (tags) =>
      tags.filter((tag) => (typeof tag === 'string' ? tag !== 'timestamp' : tag.tag !== 'tag:yaml.org,2002:timestamp')),
  });
  if (!Array.isArray(parsed)) return [];
  return parsed
    .map((document, index) => manifestDocument(document, { file, number: index + 1, lines, text }))
    .filter(({ value, problem }) => problem !== undefined || value !== null);
}

type Place = { readonly file: string; readonly number: number; readonly lines: LineCounter; readonly text: string };

function manifestDocument(
  document: Document.Parsed<ParsedNode>,
  { file, number, lines, text }: Place,
): ManifestDocument {
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const { contents, range } = document;
  const line = lineAt(contents?.range[0] ?? range[0]);
  const base = {
    file,
    number,
    line,
    text: text.slice(range[0], range[2]),
    lineOf: (path: string) => lineAt(offsetOf(contents, path) ?? contents?.range[0] ?? range[0]),
  };
  const [error] = document.errors;
  if (error !== undefined)
    return {
      ...base,
      value: undefined,
      problem: {
        line: lineAt(error.pos[0]),
        message: error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '',
      },
    };
  try {
    return { ...base, value: document.toJS({ maxAliasCount: 100 }) as unknown };
  } catch (error_) {
    return { ...base, value: undefined, problem: { line, message: messageOf(error_) } };
  }
}

/** Of the key, or the item, that a path leads to; of the last that is there. Keys may have dots in them. */
function offsetOf(node: Node | null | undefined, path: string): number | undefined {
  const step = stepInto(node, path);
  return step === undefined ? undefined : (offsetOf(step.below, step.rest) ?? step.offset);
}

type Step = { readonly below: Node | null; readonly rest: string; readonly offset: number | undefined };

function stepInto(node: Node | null | undefined, path: string): Step | undefined {
  if (isSeq(node)) {
    const [whole, index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
    const item = node.items[Number(index)] as Node | undefined;
    return whole === undefined || item === undefined
      ? undefined
      : { below: item, rest: path.slice(whole.length), offset: item.range?.[0] };
  }
  const pair = isMap(node)
    ? node.items.find(({ key }) => path.startsWith(String(key)) && /^($|[.[])/.test(path.slice(String(key).length)))
    : undefined;
  if (pair === undefined) return undefined;
  return {
    below: pair.value as Node | null,
    rest: path.slice(String(pair.key).length).replace(/^\./, ''),
    offset: (pair.key as Node).range?.[0],
  };
}
