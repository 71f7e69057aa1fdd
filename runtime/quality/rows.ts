/**
 * What a tensor chooses: for each vector of scores the place of the largest, else its elements themselves.
 *
 * Pure.
 */
import type { Tensor } from '../engine/tensor.ts';
import { valueAt, type Numbers } from './numbers.ts';

/** Labels compare as text: 3, 3n and a float's 3 are the same class. */
export type Label = string;

/**
 * The class that each vector along the last dimension chooses; of integers, flags and text, each element.
 * A vector with a number that is none chooses nothing: its label is equal to no other.
 */
export function topOfRows(tensor: Tensor): readonly Label[] {
  const size = tensor.dims.at(-1) ?? 1;
  if (!isScore(tensor) || size <= 1) return Array.from(tensor.data, String);
  return Array.from({ length: tensor.data.length / size }, (_, row) => topOf(tensor, row * size, size));
}

/**
 * @param wanted how many labels there are to be; scores are read as vectors only when they are more than that
 */
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

/** The first of several that are equally large, as argmax does everywhere. */
function topOf(tensor: Numbers, from: number, size: number): Label {
  let top = 0;
  for (let offset = 0; offset < size; offset += 1) {
    const value = valueAt(tensor, from + offset);
    if (Number.isNaN(value)) return `none at ${from}`;
    if (value > valueAt(tensor, from + top)) top = offset;
  }
  return String(top);
}
