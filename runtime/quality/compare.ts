/**
 * Compares an answer with the expected answer.
 *
 * Owns:   the meaning of each metric (how two answers are compared), for one answer (`compareOutputs`) and for many
 *         (`Score`). The expected answer comes from a golden set, or is the answer of another revision. An answer gets
 *         the metric's worst value and a note if an output is missing, has the wrong type or shape, or has a non-finite
 *         number that the metric cannot use. If the metric does not apply to the outputs, the result is `unfit`.
 * Pure.
 */
import { goldenMetrics, isError, type GoldenMetric } from '../../api/golden-metrics.ts';
import type { NamedTensors, Tensor } from '../engine/tensor.ts';
import { cosineOf, largestErrorOf, valueAt, type Numbers } from './numbers.ts';

export type Comparison =
  | {
      readonly kind: 'compared';
      readonly value: number;
      /**
       * The weight of this comparison in a mean. Depending on the metric, it is the number of vectors, the number of
       * elements, the number of words in the expected answer, or 1.
       */
      readonly weight: number;
      /** A problem of the answer that `value` alone does not show, such as a missing output. */
      readonly note?: string;
    }
  /** The metric does not apply to these outputs; `problem` says why. */
  | { readonly kind: 'unfit'; readonly problem: string };

export function worse(metric: GoldenMetric, a: number, b: number): number {
  return isError(metric) ? Math.max(a, b) : Math.min(a, b);
}

export type Limit = { readonly min?: number; readonly max?: number };

/** True if a value meets the limit, with a small tolerance for rounding. */
export function meets(value: number, { min, max }: Limit): boolean {
  const slack = 1e-9;
  return (min === undefined || value >= min - slack) && (max === undefined || value <= max + slack);
}

/**
 * Compares an answer with the expected answer, output by output. Ignores outputs that only the answer has.
 *
 * - MaxAbsError: the largest |want - got| of any element.
 * - Cosine: the lowest cosine of any row; a row is everything at one index of the first dimension.
 * - Top1Agreement: the share of vectors along the last dimension whose largest element is at the same index; for
 *   integers and text, the share of equal elements.
 * - ExactMatch: 1 when every element of every output is equal, else 0.
 * - WordErrorRate: words inserted, deleted or replaced, divided by the words of the expected text; outputs are text.
 * - Accuracy: like Top1Agreement, but the expected answer holds the indexes (integers, one for each vector) or the
 *   labels.
 */
export function compareOutputs(metric: GoldenMetric, want: NamedTensors, got: NamedTensors): Comparison {
  const names = Object.keys(want);
  if (names.length === 0) return { kind: 'unfit', problem: 'the expected answer has no outputs' };
  const parts: Comparison[] = [];
  for (const name of names) {
    const right = want[name];
    const answer = Object.hasOwn(got, name) ? got[name] : undefined;
    if (right === undefined) continue;
    parts.push(
      answer === undefined
        ? worst(metric, `output '${name}' is missing`)
        : named(name, comparers[metric](right, answer)),
    );
  }
  return combine(metric, parts);
}

function named(name: string, comparison: Comparison): Comparison {
  if (comparison.kind === 'unfit') return { kind: 'unfit', problem: `output '${name}' ${comparison.problem}` };
  return comparison.note === undefined ? comparison : { ...comparison, note: `output '${name}' ${comparison.note}` };
}

function combine(metric: GoldenMetric, parts: readonly Comparison[]): Comparison {
  const score = new Score(metric);
  for (const part of parts) {
    if (part.kind === 'unfit') return part;
    score.add(part);
  }
  const note = parts
    .map((part) => (part.kind === 'compared' ? part.note : undefined))
    .find((found) => found !== undefined);
  // ExactMatch covers all outputs of the answer: if one output differs, the value is 0.
  const value = metric === 'ExactMatch' ? (score.worst ?? 0) : (score.value ?? goldenMetrics[metric].worst);
  const weight = metric === 'ExactMatch' ? 1 : score.weight;
  return { kind: 'compared', value, weight, ...(note === undefined ? {} : { note }) };
}

/** The metric over many answers: the worst value or the weighted mean, as `goldenMetrics` says for the metric. */
export class Score {
  readonly #metric: GoldenMetric;
  #sum = 0;
  #weight = 0;
  #worst: number | undefined;

  constructor(metric: GoldenMetric) {
    this.#metric = metric;
  }

  add({ value, weight }: { readonly value: number; readonly weight: number }): void {
    this.#sum += value * weight;
    this.#weight += weight;
    this.#worst = this.#worst === undefined ? value : worse(this.#metric, this.#worst, value);
  }

  /** Undefined before the first answer is added; a mean also if all weights are 0. */
  get value(): number | undefined {
    if (goldenMetrics[this.#metric].over === 'WorstCase') return this.#worst;
    return this.#weight === 0 ? undefined : this.#sum / this.#weight;
  }

  /** The worst value of a single answer. */
  get worst(): number | undefined {
    return this.#worst;
  }

  get weight(): number {
    return this.#weight;
  }
}

type Compare = (want: Tensor, got: Tensor) => Comparison;

const comparers: { readonly [M in GoldenMetric]: Compare } = {
  MaxAbsError: alike('MaxAbsError', (want, got) => ofNumbers('MaxAbsError', want, got, largestErrorOf)),
  Cosine: alike('Cosine', (want, got) =>
    ofNumbers('Cosine', want, got, (a, b) => cosineOf(a, b, rowSizeOf(want.dims))),
  ),
  Top1Agreement: alike('Top1Agreement', (want, got) => shareEqual(topOfRows(want), topOfRows(got))),
  ExactMatch: alike('ExactMatch', exactly),
  WordErrorRate: ofWords,
  Accuracy: accuracy,
};

/** Adds checks of type and shape to a comparison by element. */
function alike(metric: GoldenMetric, compare: Compare): Compare {
  return (want, got) => {
    const sameKind = want.type === got.type || (isReal(want) && isReal(got));
    if (!sameKind) return worst(metric, `is ${got.type} instead of ${want.type}`);
    if (want.dims.join() !== got.dims.join())
      return worst(metric, `has shape [${got.dims.join()}] instead of [${want.dims.join()}]`);
    return compare(want, got);
  };
}

/** A model of another precision may return another float width; the numbers are still comparable. */
function isReal({ type }: Tensor): boolean {
  return type === 'float32' || type === 'float64' || type === 'float16';
}

function ofNumbers(
  metric: 'MaxAbsError' | 'Cosine',
  want: Tensor,
  got: Tensor,
  measure: (want: Numbers, got: Numbers) => number,
): Comparison {
  if (want.type === 'string' || got.type === 'string')
    return { kind: 'unfit', problem: `is text; ${metric} compares numbers only` };
  const [a, b]: readonly [Numbers, Numbers] = [want, got];
  const wrong = firstNotFinite(a, b);
  if (wrong !== undefined)
    return worst(metric, `is ${String(valueAt(b, wrong))} instead of ${String(valueAt(a, wrong))} at element ${wrong}`);
  return { kind: 'compared', value: measure(a, b), weight: 1 };
}

/** Index of the first element where exactly one value is not finite, or where both are not finite and differ. */
function firstNotFinite(want: Numbers, got: Numbers): number | undefined {
  for (let index = 0; index < want.data.length; index += 1) {
    const [a, b] = [valueAt(want, index), valueAt(got, index)];
    if (!(Number.isFinite(a) && Number.isFinite(b)) && !Object.is(a, b)) return index;
  }
  return undefined;
}

/**
 * Elements of one row. A column of single numbers counts as one vector, because the cosine of two numbers only compares
 * their signs.
 */
function rowSizeOf(dims: readonly number[]): number {
  const rest = dims.slice(1).reduce((product, dim) => product * dim, 1);
  return dims.length < 2 || rest === 1
    ? Math.max(
        1,
        dims.reduce((product, dim) => product * dim, 1),
      )
    : rest;
}

function exactly(want: Tensor, got: Tensor): Comparison {
  if (want.type !== got.type) return worst('ExactMatch', `is ${got.type} instead of ${want.type}`);
  for (let index = 0; index < want.data.length; index += 1) {
    if (!Object.is(want.data[index], got.data[index]) && want.data[index] !== got.data[index]) {
      return worst(
        'ExactMatch',
        `differs at element ${index}: ${shown(got.data[index])} instead of ${shown(want.data[index])}`,
      );
    }
  }
  return { kind: 'compared', value: 1, weight: 1 };
}

function shareEqual<T>(want: readonly T[], got: readonly T[]): Comparison {
  if (want.length === 0) return { kind: 'compared', value: 1, weight: 0 };
  const equal = want.filter((value, index) => value === got[index]).length;
  return { kind: 'compared', value: equal / want.length, weight: want.length };
}

function accuracy(want: Tensor, got: Tensor): Comparison {
  if (isReal(want))
    return {
      kind: 'unfit',
      problem:
        `has type ${want.type} in the expected outputs: Accuracy needs the expected labels (integers or text), one ` +
        'for each vector of the answer',
    };
  const labels = labelsOf(want);
  const answers = labelsOf(got, want.data.length);
  if (answers.length !== labels.length)
    return worst('Accuracy', `has ${answers.length} answers for ${labels.length} labels`, Math.max(1, labels.length));
  return shareEqual(labels, answers);
}

function ofWords(want: Tensor, got: Tensor): Comparison {
  if (want.type !== 'string' || got.type !== 'string')
    return { kind: 'unfit', problem: 'is not text: WordErrorRate applies to outputs of datatype BYTES' };
  const [right, answer] = [wordsOf(want.data), wordsOf(got.data)];
  // If the expected text is empty, every word of the answer is an insertion. With weight 1, these errors count in the
  // mean.
  const weight = Math.max(1, right.length);
  return { kind: 'compared', value: wordErrors(right, answer) / weight, weight };
}

function worst(metric: GoldenMetric, note: string, weight = 1): Comparison {
  return { kind: 'compared', value: goldenMetrics[metric].worst, weight, note };
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** Labels are compared as text, so that the integer 3, the bigint 3n and the float 3 are the same class. */
type Label = string;

/**
 * One label for each vector along the last dimension; for integers, booleans and text, one label for each element. The
 * label of a vector with NaN equals only the label of the vector at the same position, if both vectors have NaN.
 */
function topOfRows(tensor: Tensor): readonly Label[] {
  const size = tensor.dims.at(-1) ?? 1;
  if (!isScore(tensor) || size <= 1) return Array.from(tensor.data, String);
  return Array.from({ length: tensor.data.length / size }, (_, row) => topOf(tensor, row * size, size));
}

/**
 * @param wanted number of expected labels. If a tensor of numbers has another number of elements, its elements are
 * scores, and the label of a vector is the index of its largest score
 */
function labelsOf(tensor: Tensor, wanted?: number): readonly Label[] {
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

/**
 * The index of the largest element. Of several equally large elements, it is the first, as with argmax in other
 * libraries.
 */
function topOf(tensor: Numbers, from: number, size: number): Label {
  let top = 0;
  for (let offset = 0; offset < size; offset += 1) {
    const value = valueAt(tensor, from + offset);
    if (Number.isNaN(value)) return `none at ${from}`;
    if (value > valueAt(tensor, from + top)) top = offset;
  }
  return String(top);
}

/**
 * Maximum number of words that are compared. An hour of speech has fewer words. The limit exists because the cost of
 * wordErrors() grows with the product of both lengths.
 */
const maxWords = 10_000;

function wordsOf(texts: readonly string[]): readonly string[] {
  return texts
    .join(' ')
    .split(/\s+/u)
    .filter((word) => word !== '')
    .slice(0, maxWords);
}

/** The minimum number of insertions, deletions and replacements of words that turn `want` into `got`. */
function wordErrors(want: readonly string[], got: readonly string[]): number {
  let before = Array.from({ length: got.length + 1 }, (_, column) => column);
  for (const [row, word] of want.entries()) {
    const now = [row + 1];
    for (const [column, other] of got.entries()) {
      const replaced = (before[column] ?? 0) + (word === other ? 0 : 1);
      now.push(Math.min(replaced, (before[column + 1] ?? 0) + 1, (now[column] ?? 0) + 1));
    }
    before = now;
  }
  return before[got.length] ?? 0;
}
