/**
 * Distances between two tensors of numbers.
 *
 * Pure.  float16 is read from its bits, 64-bit integers as the nearest double: a distance needs no more.
 */
import { halfToNumber, type Tensor } from '../engine/tensor.ts';

export type Numbers = Exclude<Tensor, { readonly type: 'string' }>;

/** @param index of an element that there is */
export function valueAt(tensor: Numbers, index: number): number {
  const value = Number(tensor.data[index]);
  return tensor.type === 'float16' ? halfToNumber(value) : value;
}

/** The largest |want - got|; 0 of nothing. Both have the same elements, all finite or equal. */
export function largestErrorOf(want: Numbers, got: Numbers): number {
  let largest = 0;
  for (let index = 0; index < want.data.length; index += 1) {
    const error = Math.abs(valueAt(want, index) - valueAt(got, index));
    if (error > largest) largest = error;
  }
  return largest;
}

/** The lowest cosine of any row of `rowSize` elements; 1 of nothing. */
export function cosineOf(want: Numbers, got: Numbers, rowSize: number): number {
  let lowest = 1;
  for (let start = 0; start < want.data.length; start += rowSize) {
    lowest = Math.min(lowest, cosineOfRow(want, got, start, Math.min(start + rowSize, want.data.length)));
  }
  return lowest;
}

/** Two rows of zeros are the same; one alone has no direction, and so nothing in common with the other. */
function cosineOfRow(want: Numbers, got: Numbers, from: number, to: number): number {
  let [dot, wantSquares, gotSquares] = [0, 0, 0];
  for (let index = from; index < to; index += 1) {
    const [a, b] = [valueAt(want, index), valueAt(got, index)];
    // The same infinity in both.
    if (!Number.isFinite(a)) continue;
    dot += a * b;
    wantSquares += a * a;
    gotSquares += b * b;
  }
  if (wantSquares === 0 || gotSquares === 0) return wantSquares === gotSquares ? 1 : 0;
  return Math.max(-1, Math.min(1, dot / Math.sqrt(wantSquares * gotSquares)));
}
