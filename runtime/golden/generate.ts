/**
 * Makes up golden cases for a model of which nobody gave any: from what it takes, with a fixed seed.
 *
 * Owns:  which inputs. Nobody learns a model's quality from them, but two forms of one model answer them alike, and one
 *        that is broken does not.
 * Pure:  the same seed gives the same cases, in every pod.
 */
import type { Signature } from '../engine/signature.ts';
import type { NamedTensors } from '../engine/tensor.ts';
import { fills, trialInputs } from '../engine/trial-inputs.ts';
import { tensorQuestion, textQuestion, type GoldenCase } from './case.ts';

/** Of all inputs of a case: a colour picture of a thousand by a thousand. */
const maxElements = 2 ** 22;

/** Sizes that a free dimension of an input may have; a model that takes none of them is asked nothing. */
export const sizes = fills;

/** The seed, how many cases, and which of `sizes` the free dimensions have. */
export type MadeUp = { readonly seed: number; readonly count: number; readonly size: number };

/**
 * One at a time, for a picture's may be megabytes. Their number of rows alternates where two are not too large: kernels
 * differ between one row and several.
 * @returns all of them, or nothing where the shapes are too large to be made up
 */
export function* tensorCases(signature: Signature, model: string, made: MadeUp): Generator<GoldenCase> {
  for (let index = 0; index < made.count; index += 1) {
    const inputs = inputsOf(signature, made, index, 1 + (index % 2)) ?? inputsOf(signature, made, index, 1);
    if (inputs === undefined) return;
    yield {
      where: `case ${index + 1}`,
      question: tensorQuestion(inputs, comparable(signature), model),
      form: 'tensors',
    };
  }
}

function inputsOf(
  { inputs }: Signature,
  { seed, size }: MadeUp,
  index: number,
  rows: number,
): NamedTensors | undefined {
  const made = trialInputs(inputs, { fill: size, rows, seed: seed + index });
  return made === undefined || elementsOf(made) > maxElements ? undefined : made;
}

/** Names of what is compared: only numbers with fractions, for a label that differs says nothing about how much. */
export function comparable({ outputs }: Signature): readonly string[] {
  return outputs
    .filter(({ type }) => type === 'float32' || type === 'float64' || type === 'float16')
    .map(({ name }) => name);
}

function elementsOf(inputs: NamedTensors): number {
  return Object.values(inputs).reduce((sum, { data }) => sum + data.length, 0);
}

const subjects = [
  'The harbour',
  'An old engineer',
  'Her second letter',
  'The contract',
  'A grey heron',
  'This recipe',
  'The night train',
  'Our committee',
  'The river',
  'A small printer',
];
const verbs = [
  'explains',
  'delays',
  'remembers',
  'repairs',
  'measures',
  'follows',
  'interrupts',
  'sells',
  'describes',
  'surrounds',
];
const objects = [
  'the price of copper',
  'two bicycles',
  'a quiet village',
  'the missing invoice',
  'fresh bread',
  'an election',
  'the eastern gate',
  'a broken sensor',
  'her brother',
  'the last chapter',
];
const ends = [
  'before winter.',
  'for less than 40 euros.',
  'without asking why.',
  'in plain English.',
  'near Lake Constance.',
  'again and again.',
  'as the law demands.',
  'on the 3rd of May.',
  'while it rains.',
  'at noon!',
];

/** Sentences of everyday words, one to three a case. */
export function textCases(
  model: string,
  { seed, count }: { readonly seed: number; readonly count: number },
): readonly GoldenCase[] {
  return Array.from({ length: count }, (_, index) => {
    const texts = Array.from({ length: 1 + (index % 3) }, (_unused, part) => sentence(seed + 7 * index + 31 * part));
    return { where: `case ${index + 1}`, question: textQuestion(texts, model), form: 'embeddings' };
  });
}

function sentence(number: number): string {
  const pick = (words: readonly string[], step: number): string =>
    words[Math.floor(number / step) % words.length] ?? '';
  return [pick(subjects, 1), pick(verbs, 3), pick(objects, 5), pick(ends, 7)].join(' ');
}
