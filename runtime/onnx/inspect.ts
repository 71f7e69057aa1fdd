/**
 * Inspects a model file without loading it: describes the model, or says why it cannot be served.
 *
 * Owns:   opening the file, recognising other file types, and checking the location of external data.
 * Limits: reads only the structure, 16 KiB of the file at a time. Weights are skipped, so the time does not depend on
 *         their size.
 * Throws: MODEL_INVALID with the reason; FILE_UNREADABLE when the file cannot be opened.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, posix, sep } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import { readGraphFile } from './graph.ts';
import type { ExternalFile, ModelInfo, RowsVerdict } from './model-info.ts';
import { readModel, type RawModel } from './read-model.ts';
import { rowsVerdict } from './rows/independence.ts';
import { checkServable, type Servable } from './servable.ts';
import { WireError, WireReader, type RandomBytes } from './wire.ts';

export type InspectOptions = {
  /** The file's name in error messages; default: its base name. */
  readonly name?: string;
  /** External data must be below this folder after links are resolved; default: the model's own folder. */
  readonly root?: string;
};

/**
 * Reads the file synchronously. Only the structure is read, usually from the page cache, and the callers have no other
 * work to do meanwhile.
 */
export function inspectModel(path: string, options: InspectOptions = {}): Promise<ModelInfo> {
  return new Promise((resolve) => resolve(inspectFile(path, options)));
}

/** Inspects a model in memory. External data is reported, but its files are not checked. For tests and tools. */
export function inspectBytes(bytes: Uint8Array, name = 'the model'): ModelInfo {
  const source: RandomBytes = {
    sizeBytes: bytes.length,
    readInto: (target, at) => target.set(bytes.subarray(at, at + target.length)),
  };
  return inspect(source, name);
}

function inspectFile(path: string, options: InspectOptions): ModelInfo {
  const name = options.name ?? basename(path);
  const fd = open(path);
  try {
    const info = inspect({ sizeBytes: fstatSync(fd).size, readInto: (target, at) => readFully(fd, target, at) }, name);
    for (const file of info.externalFiles)
      checkExternal(file, { name, folder: dirname(path), root: options.root ?? dirname(path) });
    return info;
  } finally {
    closeSync(fd);
  }
}

function inspect(source: RandomBytes, name: string): ModelInfo {
  const foreign = foreignFormat(source);
  if (foreign !== undefined) throw new AppError('MODEL_INVALID', { file: name, problem: foreign });
  const model = read(source, name);
  const checked = checkServable(model);
  if ('problem' in checked) throw new AppError('MODEL_INVALID', { file: name, problem: checked.problem });
  for (const location of checked.graph.external.keys()) checkLocation(location, name);
  return describe(model, checked, { fileBytes: source.sizeBytes, rows: rowsOf(source, checked) });
}

function read(source: RandomBytes, name: string): RawModel {
  try {
    return readModel(new WireReader(source));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new AppError('MODEL_INVALID', { file: name, problem: error.message }, { cause: error });
  }
}

/**
 * For a model with more nodes, it is not examined whether the rows of a run (the items of requests) can influence each
 * other, because the nodes are held in memory. Only large language models have this many nodes.
 */
const maxFollowedNodes = 100_000;

function rowsOf(source: RandomBytes, { graph, inputs, outputs }: Servable): RowsVerdict {
  if (graph.nodes > maxFollowedNodes)
    return {
      independent: false,
      because: `the graph has ${graph.nodes} nodes, more than the limit of ${maxFollowedNodes}`,
    };
  try {
    return rowsVerdict(readGraphFile(new WireReader(source)), { inputs, outputs });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { independent: false, because: `the graph could not be read: ${error.message}` };
  }
}

function describe(
  model: RawModel,
  checked: Servable,
  { fileBytes, rows }: Pick<ModelInfo, 'fileBytes' | 'rows'>,
): ModelInfo {
  const { graph, ...values } = checked;
  return {
    irVersion: model.irVersion,
    opset: model.opsets['ai.onnx'] ?? 0,
    opsets: { ...model.opsets },
    producer: { name: model.producerName, version: model.producerVersion },
    graphName: graph.name,
    metadata: { ...model.metadata },
    ...values,
    externalFiles: [...graph.external].map(([path, file]) => ({ path, ...file })),
    nodes: graph.nodes,
    operators: Object.fromEntries(graph.operators),
    weightsBytes: graph.weightsBytes,
    rows,
    fileBytes,
  };
}

type Magic = { readonly at: number; readonly bytes: string; readonly what: string };

/** Other file types that users pass as a model by mistake, by their first bytes (latin1). */
const magics: readonly Magic[] = [
  {
    at: 0,
    bytes: 'version https://git-lfs',
    what: 'it is a Git LFS pointer, not the file itself: download the file with git lfs pull',
  },
  { at: 0, bytes: '<!DOCTYPE', what: "it is a web page: check the model's address" },
  { at: 0, bytes: '<html', what: "it is a web page: check the model's address" },
  { at: 0, bytes: '{', what: 'it is text (JSON?), not an ONNX file' },
  { at: 0, bytes: 'PK\x03\x04', what: 'it is a zip archive: unpack it first' },
  { at: 0, bytes: '\x1f\x8b', what: 'it is gzip-compressed: unpack it first' },
  { at: 4, bytes: 'ORTM', what: "it is in ONNX Runtime's own .ort format: use the .onnx file that it was made from" },
  { at: 4, bytes: 'TFL3', what: 'it is a TensorFlow Lite model: convert it to ONNX' },
];

function foreignFormat(source: RandomBytes): string | undefined {
  if (source.sizeBytes === 0) return 'the file is empty';
  const head = new Uint8Array(Math.min(32, source.sizeBytes));
  source.readInto(head, 0);
  const text = Buffer.from(head).toString('latin1');
  return magics.find((magic) => text.startsWith(magic.bytes, magic.at))?.what;
}

function checkLocation(location: string, name: string): void {
  const safe =
    location !== '' &&
    location.length <= 1024 &&
    !/[\\\0]/.test(location) &&
    !posix.isAbsolute(location) &&
    !location.split('/').includes('..');
  if (safe) return;
  throw new AppError('MODEL_INVALID', {
    file: name,
    problem: `the location of its external data, ${JSON.stringify(location.slice(0, 200))}, is outside its folder`,
  });
}

type Place = { readonly name: string; readonly folder: string; readonly root: string };

/** Links are resolved before the check: a link must not lead out of the root. */
function checkExternal(file: ExternalFile, { name, folder, root }: Place): void {
  const path = join(folder, file.path);
  const refuse = (problem: string): AppError => new AppError('MODEL_INVALID', { file: name, problem });
  const real = attempt(() => realpathSync(path));
  if (real === undefined) throw refuse(`the external data file '${file.path}' is missing`);
  if (!isInside(realpathSync(root), real))
    throw refuse(`the external data file '${file.path}' is a symbolic link to a place outside its folder`);
  const stat = statSync(real);
  if (!stat.isFile()) throw refuse(`the external data '${file.path}' is not a file`);
  if (stat.size < file.bytes)
    throw refuse(
      `the external data file '${file.path}' has ${stat.size} bytes, ${file.bytes} are needed: it was cut off`,
    );
}

/** Both arguments are real paths. The path of the file system's root already ends with a separator. */
function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}

function open(path: string): number {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    if (fstatSync(fd).isFile()) return fd;
    throw new Error('it is not a file');
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

function readFully(fd: number, target: Uint8Array, at: number): void {
  for (let done = 0; done < target.length;) {
    const count = readSync(fd, target, done, target.length - done, at + done);
    if (count === 0) throw new WireError(`the file ended at byte ${at + done} while it was being read`);
    done += count;
  }
}
