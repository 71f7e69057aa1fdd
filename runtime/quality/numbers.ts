/**
 * Distances between two tensors of numbers.
 *
 * Pure.  Decodes float16 from its bits and rounds 64-bit integers to the nearest double, which is exact enough for a
 *        distance.
 */
import { halfToNumber, type Tensor } from '../engine/tensor.ts';

export type Numbers = Exclude<Tensor, { readonly type: 'string' }>;

/** @param index must be less than the number of elements */
export function valueAt(tensor: Numbers, index: number): number {
  const value = Number(tensor.data[index]);
  return tensor.type === 'float16' ? halfToNumber(value) : value;
}

/**
 * The largest |want - got|; 0 for empty tensors. Both tensors have the same length, and their non-finite elements are
 * equal.
 */
export function largestErrorOf(want: Numbers, got: Numbers): number {
  let largest = 0;
  for (let index = 0; index < want.data.length; index += 1) {
    const error = Math.abs(valueAt(want, index) - valueAt(got, index));
    if (error > largest) largest = error;
  }
  return largest;
}

/** The lowest cosine of any row of `rowSize` elements; 1 for empty tensors. */
export function cosineOf(want: Numbers, got: Numbers, rowSize: number): number {
  let lowest = 1;
  for (let start = 0; start < want.data.length; start += rowSize) {
    lowest = Math.min(lowest, cosineOfRow(want, got, start, Math.min(start + rowSize, want.data.length)));
  }
  return lowest;
}

/** Returns 1 for two rows of zeros. Returns 0 if only one row is all zeros, because a row of zeros has no direction. */
function cosineOfRow(want: Numbers, got: Numbers, from: number, to: number): number {
  let [dot, wantSquares, gotSquares] = [0, 0, 0];
  for (let index = from; index < to; index += 1) {
    const [a, b] = [valueAt(want, index), valueAt(got, index)];
    // Skip non-finite elements: the caller has checked that they are equal in both rows.
    if (!Number.isFinite(a)) continue;
    dot += a * b;
    wantSquares += a * a;
    gotSquares += b * b;
  }
  if (wantSquares === 0 || gotSquares === 0) return wantSquares === gotSquares ? 1 : 0;
  return Math.max(-1, Math.min(1, dot / Math.sqrt(wantSquares * gotSquares)));
}
