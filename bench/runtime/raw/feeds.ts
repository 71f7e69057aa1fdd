/**
 * Joins rows (inputs of one request each) to the inputs of one run, which is one call of ONNX Runtime.
 * Pure.
 */
import type { Row, Tensor } from '../cases.ts';

/** The inputs of successive runs with `batch` rows each: the rows in their order, and from the first row again. */
export function feedsOf(rows: readonly Row[], batch: number): readonly Row[] {
  const count = Math.ceil(rows.length / batch);
  return Array.from({ length: count }, (_, index) =>
    joined(Array.from({ length: batch }, (_unused, at) => rows[(index * batch + at) % rows.length] ?? [])),
  );
}

/** Concatenates rows of one shape along the first dimension. */
function joined(rows: readonly Row[]): Row {
  const [first = []] = rows;
  if (rows.length === 1) return first;
  return first.map((tensor, index) => {
    const parts = rows.map((row) => row[index] ?? tensor);
    const [, ...rest] = tensor.shape;
    return { ...tensor, shape: [rows.length, ...rest], data: joinedData(tensor, parts) };
  });
}

function joinedData(like: Tensor, parts: readonly Tensor[]): Tensor['data'] {
  const size = like.data.length;
  const all = like.type === 'float32' ? new Float32Array(size * parts.length) : new BigInt64Array(size * parts.length);
  // The types of the parts and of the result are the same, because they come from the same input.
  for (const [index, { data }] of parts.entries()) all.set(data as never, index * size);
  return all;
}
