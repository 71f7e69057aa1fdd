/**
 * Joins the rows of several requests into one set of tensors, and splits the results.
 *
 * Owns:  concatenation and splitting along the first dimension. When a batch fails, each part runs alone, so that one
 *        invalid request does not fail the other requests. This code runs on the worker's thread, so that copying
 *        megabytes does not block the HTTP thread.
 */
import type { EngineResult, PartResult } from './port.ts';
import { arrayOf, makeTensor, type NamedTensors, type Tensor } from './tensor.ts';

/** Runs the model once. Throws what ONNX Runtime throws. */
export type RunOnce = (inputs: NamedTensors, outputs: readonly string[]) => NamedTensors | Promise<NamedTensors>;

/** The number of rows of a request: the first dimension if all inputs share it, else undefined. */
export function rowsOf(inputs: NamedTensors): number | undefined {
  let rows: number | undefined;
  let isFirst = true;
  for (const { dims } of Object.values(inputs)) {
    if (!isFirst && dims[0] !== rows) return undefined;
    rows = dims[0];
    isFirst = false;
  }
  return rows;
}

/**
 * Concatenates the parts' tensors along the first dimension. The parts must have the same names, types and other
 * dimensions.
 */
export function joinRows(parts: readonly NamedTensors[]): NamedTensors {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first ?? {};
  const joined = Object.keys(first).map(
    (name) => [name, joinTensors(parts.map((part) => part[name] as Tensor))] as const,
  );
  return Object.fromEntries(joined);
}

function joinTensors(tensors: readonly Tensor[]): Tensor {
  const { type, dims } = tensors[0] as Tensor;
  const shape = [tensors.reduce((rows, tensor) => rows + (tensor.dims[0] ?? 0), 0), ...dims.slice(1)];
  if (type === 'string')
    return makeTensor(
      type,
      shape,
      tensors.flatMap((tensor) => tensor.data as readonly string[]),
    );
  const total = tensors.reduce((length, { data }) => length + data.length, 0);
  const data = new arrayOf[type](total) as Uint8Array;
  let at = 0;
  for (const tensor of tensors) {
    data.set(tensor.data as Uint8Array, at);
    at += tensor.data.length;
  }
  return makeTensor(type, shape, data);
}

/**
 * Splits each output into one piece for each part. The pieces of an output are views of its buffer; only strings are
 * copied.
 * @returns undefined when an output's first dimension is not the sum of the rows, so that it cannot be split
 */
export function splitRows(outputs: NamedTensors, rows: readonly number[]): readonly NamedTensors[] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (Object.values(outputs).some(({ dims }) => dims[0] !== total)) return undefined;
  let at = 0;
  return rows.map((count) => {
    const from = at;
    at += count;
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, cutRows(tensor, from, count)]));
  });
}

/** Returns `count` rows of a tensor, beginning at row `from`, as a view. Only strings are copied. */
export function cutRows(tensor: Tensor, from: number, count: number): Tensor {
  const [, ...rest] = tensor.dims;
  const width = rest.reduce((product, dim) => product * dim, 1);
  const begin = from * width;
  const end = begin + count * width;
  const data = tensor.type === 'string' ? tensor.data.slice(begin, end) : tensor.data.subarray(begin, end);
  return makeTensor(tensor.type, [count, ...rest], data);
}

/**
 * Runs a batch's parts together. If the joint run fails, or its result cannot be split, runs the parts one by one.
 * @param now milliseconds of a monotonic clock
 */
export async function runParts(
  parts: readonly NamedTensors[],
  outputs: readonly string[],
  run: RunOnce,
  now: () => number,
): Promise<EngineResult> {
  const begin = now();
  const together = parts.length > 1 ? await runTogether(parts, outputs, run) : undefined;
  if (together !== undefined)
    return {
      parts: together.map((piece) => ({ kind: 'Done', outputs: piece })),
      inferMs: now() - begin,
      together: true,
    };
  return { parts: await runApart(parts, outputs, run), inferMs: now() - begin, together: parts.length === 1 };
}

/** Runs the parts one by one. Never rejects. */
export async function runApart(
  parts: readonly NamedTensors[],
  outputs: readonly string[],
  run: RunOnce,
): Promise<readonly PartResult[]> {
  const results: PartResult[] = [];
  for (const part of parts) results.push(await runAlone(part, outputs, run));
  return results;
}

async function runTogether(
  parts: readonly NamedTensors[],
  outputs: readonly string[],
  run: RunOnce,
): Promise<readonly NamedTensors[] | undefined> {
  const rows = parts.map(rowsOf);
  // The batcher only groups requests that can be joined. Check again: a wrong join would silently mix values of rows.
  if (!rows.every((count) => count !== undefined) || new Set(parts.map(restOf)).size > 1) return undefined;
  try {
    return splitRows(await run(joinRows(parts), outputs), rows);
  } catch {
    return undefined;
  }
}

/** A text of what all parts of a batch must have in common: names, types, and dimensions except the first. */
function restOf(part: NamedTensors): string {
  return Object.entries(part)
    .map(([name, { type, dims }]) => JSON.stringify([name, type, dims.slice(1)]))
    .sort((a, b) => (a < b ? -1 : 1))
    .join();
}

async function runAlone(part: NamedTensors, outputs: readonly string[], run: RunOnce): Promise<PartResult> {
  try {
    return { kind: 'Done', outputs: await run(part, outputs) };
  } catch (error) {
    return failedPart(error);
  }
}

/** The result of a part for which ONNX Runtime threw this error. */
export function failedPart(error: unknown): PartResult {
  const why = error instanceof Error ? error.message : String(error);
  return { kind: isInputsFault(why) ? 'Refused' : 'Failed', why: plainWords(why) };
}

/** ONNX Runtime's message without its source locations: the node and the problem. */
export function plainWords(message: string): string {
  const [, op, node, what = message] =
    /^Non-zero status code returned while running (\S+) node\. Name:'(.*?)' Status Message: (.*)$/s.exec(message) ?? [];
  const said = what
    .replace(/\/onnxruntime_src\/\S+ .*? was false\. ?/gs, '')
    .replace(/\s+/g, ' ')
    .trim();
  return node === undefined ? said : `at node '${node}' (${op ?? ''}): ${said}`;
}

/**
 * ONNX Runtime's errors have no codes. These messages of version 1.30 mean that the request is invalid: an input has an
 * invalid shape, two inputs do not match, or an index is out of range.
 */
const inputFaults = [
  /Got invalid dimensions for input/,
  /Invalid rank for input/,
  /Invalid input shape/,
  /dims\[\d+\] is invalid/,
  /Unexpected input data type/,
  /is missing in 'feeds'/,
  /out of data bounds/i,
  /out of range/i,
  /out of bounds/i,
  /broadcast/i,
  /dimension mismatch|dimensions? (?:do|does|must|should)/i,
  /cannot be reshaped|shape mismatch|mismatch(?:ed|ing)? (?:input )?(?:shape|dimension)/i,
  /Can't merge shape|axis == -1 \|\| axis/i,
];

export function isInputsFault(message: string): boolean {
  return inputFaults.some((fault) => fault.test(message));
}
