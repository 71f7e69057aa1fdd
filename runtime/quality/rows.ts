/**
 * Extracts the labels of a tensor: for each vector of scores the index of the largest; for other types the elements.
 *
 * Pure.
 */
import type { Tensor } from '../engine/tensor.ts';
import { valueAt, type Numbers } from './numbers.ts';

/** Labels compare as text, so that the integer 3, the bigint 3n and the float 3 are the same class. */
export type Label = string;

/**
 * One label for each vector along the last dimension; for integers, booleans and text, one for each element.
 * A vector that contains NaN gets a label that equals no other label.
 */
export function topOfRows(tensor: Tensor): readonly Label[] {
  const size = tensor.dims.at(-1) ?? 1;
  if (!isScore(tensor) || size <= 1) return Array.from(tensor.data, String);
  return Array.from({ length: tensor.data.length / size }, (_, row) => topOf(tensor, row * size, size));
}

/** @param wanted number of labels expected; scores are read as vectors only when there are more scores than labels */
export function labelsOf(tensor: Tensor, wanted?: number): readonly Label[] {
  const given = wanted === undefined || tensor.data.length === wanted || !isNumeric(tensor);
  return given ? Array.from(tensor.data, String) : topOfVectors(tensor);
}

function topOfVectors(tensor: Numbers): readonly Label[] {
  const size = Math.max(1, tensor.dims.at(-1) ?? 1);
  return Array.from({ length: tensor.data.length / size }, (_, row) => topOf(tensor, row * size, size));
}

function isNumeric(tensor: Tensor): tensor is Numbers {
  return tensor.type !== 'string';
}

function isScore(tensor: Tensor): tensor is Numbers {
  return tensor.type === 'float32' || tensor.type === 'float64' || tensor.type === 'float16';
}

/** The first of several equally large elements, as in argmax elsewhere. */
function topOf(tensor: Numbers, from: number, size: number): Label {
  let top = 0;
  for (let offset = 0; offset < size; offset += 1) {
    const value = valueAt(tensor, from + offset);
    if (Number.isNaN(value)) return `none at ${from}`;
    if (value > valueAt(tensor, from + top)) top = offset;
  }
  return String(top);
}
