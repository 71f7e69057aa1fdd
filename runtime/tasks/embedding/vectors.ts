/**
 * Converts a model's output to one vector per row, which is one text: pools the vectors of the row's tokens (for
 * example to their mean) and scales the result to length 1.
 *
 * Owns:  the arithmetic, in double precision.
 * Pure.
 */
import type { Pooling } from '../../../api/runtime-config.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { printDims } from '../../engine/signature.ts';

export type PoolingPlan = {
  readonly pooling: Pooling;
  readonly normalize: boolean;
  /** Number of tokens of each row, in the order of the rows; later positions of a row are padding. */
  readonly lengths: readonly number[];
};

/**
 * @param output [rows, hidden] for the pooling None, else [rows, sequence, hidden]; floats of any width
 * @returns a vector for each row of `lengths`
 * @throws Error when the output has another form or is not finite (the signature was checked when the task was created)
 */
export function vectorsOf(
  output: Tensor,
  name: string,
  { pooling, normalize, lengths }: PoolingPlan,
): readonly Float32Array[] {
  const [rows = 0, ...rest] = output.dims;
  const [sequence, hidden = 0] = pooling === 'None' ? [1, rest[0]] : rest;
  if (output.dims.length !== (pooling === 'None' ? 2 : 3) || rows !== lengths.length || sequence === undefined) {
    throw new Error(
      `output '${name}' has shape ${printDims(output.dims)}, but pooling ${pooling} of ${lengths.length} rows needs ` +
        `${pooling === 'None' ? '[rows, hidden]' : '[rows, sequence, hidden]'}`,
    );
  }
  const values = floatsOf(output, name);
  return lengths.map((length, row) => {
    const tokens = values.subarray(row * sequence * hidden, (row + 1) * sequence * hidden);
    const vector = poolings[pooling](tokens, hidden, Math.min(length, sequence));
    const result = normalize ? scaleToOne(vector) : Float32Array.from(vector);
    // JSON would print such numbers as null, and a vector database would accept the vector.
    if (!result.every(Number.isFinite)) throw new Error(`output '${name}' contains numbers that are not finite`);
    return result;
  });
}

type Floats = Float32Array | Float64Array;

/** @param tokens [sequence, hidden] of one row; only the first `length` tokens are pooled */
const poolings: { readonly [P in Pooling]: (tokens: Floats, hidden: number, length: number) => Floats } = {
  None: (tokens) => tokens,
  Cls: (tokens, hidden) => tokens.subarray(0, hidden),
  Last: (tokens, hidden, length) => tokens.subarray((length - 1) * hidden, length * hidden),
  Mean: (tokens, hidden, length) => {
    const sums = new Float64Array(hidden);
    for (let token = 0; token < length; token += 1) {
      for (let at = 0; at < hidden; at += 1) sums[at] = (sums[at] ?? 0) + (tokens[token * hidden + at] ?? 0);
    }
    return sums.map((sum) => sum / length);
  },
};

/** A vector of zeros has no direction and is not scaled. */
function scaleToOne(vector: Floats): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const scale = squares === 0 ? 1 : 1 / Math.sqrt(squares);
  return Float32Array.from(vector, (value) => value * scale);
}

function floatsOf(output: Tensor, name: string): Floats {
  if (output.type === 'float32' || output.type === 'float64') return output.data;
  if (output.type === 'float16')
    return Float32Array.from(new Float16Array(output.data.buffer, output.data.byteOffset, output.data.length));
  throw new Error(`output '${name}' is ${output.type}, but an embedding consists of floats`);
}
