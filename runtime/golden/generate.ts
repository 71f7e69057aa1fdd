/**
 * Generates golden cases (requests with which two revisions of a model are compared) from a model's signature, which
 * names the types and shapes of its inputs and outputs. For a model whose user did not provide a golden set.
 *
 * Owns:  the inputs. They cannot measure a model's quality. They show whether two revisions of one model, such as FP32
 *        and FP16, still give nearly the same answers.
 * Pure:  the same seed gives the same cases in every pod.
 */
import type { Signature } from '../engine/signature.ts';
import type { NamedTensors } from '../engine/tensor.ts';
import { fills, trialInputs } from '../engine/trial-inputs.ts';
import { tensorQuestion, textQuestion, type GoldenCase } from './case.ts';

/** Maximum elements of all inputs of a case: enough for a colour picture of 1000 by 1000 pixels. */
const maxElements = 2 ** 22;

/** Sizes to try for an input's free dimensions. A model that does not accept any of them gets no generated cases. */
export const sizes = fills;

/** `count` is the number of cases. `size` is the value of all free dimensions, one of `sizes`. */
export type MadeUp = { readonly seed: number; readonly count: number; readonly size: number };

/**
 * Yields one case at a time, because a picture's inputs may take megabytes. The number of rows (the first dimension of
 * the inputs) alternates between one and two, because ONNX Runtime may use other kernels for several rows. If two rows
 * are too large, the case has one row.
 * @returns all cases; an empty iteration when the shapes are too large to generate
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

/**
 * Names of the outputs to compare: only those with floating-point numbers. Other outputs, such as labels, are equal or
 * different, which does not show how large an error is.
 */
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

/** Sentences of everyday words, one to three per case. */
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
