/**
 * Reads manifests from disk or standard input, document by document, with line numbers.
 *
 * Owns: which files of a folder are read. YAML is read as version 1.1, as Kubernetes does; for example, `On` is a
 * boolean.
 * Limits: 4 MiB for a file, 32 MiB for standard input, 10,000 files in a folder, 100 aliases in a document.
 * Throws: FILE_UNREADABLE, BAD_CONFIG. A document that is not YAML does not throw: it has a `problem`.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { isMap, isSeq, LineCounter, parseAllDocuments, type Document, type Node, type ParsedNode } from 'yaml';
import { AppError, messageOf } from '../../api/errors.ts';

export type ManifestDocument = {
  /** The path that the user gave, or `standard input` for `-`. */
  readonly file: string;
  /** The position of the document in the file; the first document is 1. */
  readonly number: number;
  /** The line number of the document's first line in the file; the first line of a file is 1. */
  readonly line: number;
  /** Undefined when the document is not YAML. */
  readonly value: unknown;
  readonly problem?: { readonly line: number; readonly message: string };
  /** The text of the document, without the other documents of the file. */
  readonly text: string;
  /**
   * The line of a path such as `spec.rollout.steps[0].weight`. If the path does not exist, the line of its nearest
   * existing parent.
   */
  lineOf(path: string): number;
};

const fileLimitBytes = 4 * 2 ** 20;
/** Standard input may be the rendered manifests of many models. */
const inputLimitBytes = 32 * 2 ** 20;
const pieceBytes = 64 * 1024;
const filesLimit = 10_000;
const endings = ['.yaml', '.yml', '.json'];

/** @param path a file, a folder, or `-` for standard input */
export function documentsAt(path: string): readonly ManifestDocument[] {
  if (path === '-') return documentsOf('standard input', textOfFile(0, 'standard input', inputLimitBytes));
  return filesAt(path).flatMap((file) => documentsOf(file, textAt(file)));
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
      problem: `the folder has ${files.length} manifests, the limit is ${filesLimit}`,
    });
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

function isHidden(below: string): boolean {
  return below.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}

function textAt(path: string): string {
  const file = readable(path, () => openSync(path, 'r'));
  try {
    return textOfFile(file, path, fileLimitBytes);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads an open file to its end. The bytes are counted while they are read, because a pipe has no size.
 *
 * @param file a file descriptor
 */
export function textOfFile(file: number, name: string, limitBytes: number): string {
  const pieces: Uint8Array[] = [];
  for (let size = 0; ;) {
    const piece = new Uint8Array(pieceBytes);
    const read = readable(name, () => readSync(file, piece));
    if (read === 0) return Buffer.concat(pieces).toString('utf8');
    size += read;
    if (size > limitBytes)
      throw new AppError('BAD_CONFIG', { where: name, problem: `is longer than the limit of ${limitBytes} bytes` });
    pieces.push(piece.subarray(0, read));
  }
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

/** The documents in a text. Empty documents are left out. */
export function documentsOf(file: string, text: string): readonly ManifestDocument[] {
  const lines = new LineCounter();
  // Keep dates as strings: the API server receives JSON, which has no dates.
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

/**
 * The offset of the key or item at a path. If the path does not exist, the offset of its nearest existing parent. Keys
 * may contain dots.
 */
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
