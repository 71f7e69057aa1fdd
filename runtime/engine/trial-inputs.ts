/**
 * Generates inputs from a model's signature, to run a model and to compare two forms of one model.
 *
 * Owns: the choice of values: floats are from -1 to 1, token ids and flags are 0 or 1, masks are 1, and free dimensions
 *       are small. Several sizes are tried, because some models need a certain size. The inputs do not measure a
 *       model's quality.
 * Pure: the same seed gives the same values.
 */
import { arrayOf, elementCount, makeTensor, type ArrayOf, type NamedTensors, type TensorType } from './tensor.ts';
import type { TensorSpec } from './signature.ts';

/**
 * Sizes to try for free dimensions other than the batch: text models accept any size, convolutions need a multiple of
 * 32, and some audio models need a complete window of samples.
 */
export const fills = [8, 32, 1, 64, 320] as const;

/**
 * Numbers of rows with which forms of a model are compared: kernels for one row differ from kernels for several rows.
 */
export const rowCounts = [1, 2, 4] as const;

export type TrialSample = {
  readonly fill: number;
  readonly rows: number;
  readonly seed: number;
  /** Factor for floating-point values; default 1. */ readonly scale?: number;
};

/**
 * Maximum number of elements of an input. Larger inputs do not improve the test, and a generated shape must not exhaust
 * the machine's memory.
 */
const maxElements = 4_000_000;

/** @returns undefined when the shape is too large to generate */
export function trialInputs(inputs: readonly TensorSpec[], sample: TrialSample): NamedTensors | undefined {
  if (inputs.some((input) => elementCount(dimsOf(input, sample)) > maxElements)) return undefined;
  const random = randomFrom(sample.seed);
  return Object.fromEntries(
    inputs.map((input) => {
      const dims = dimsOf(input, sample);
      return [
        input.name,
        makeTensor(input.type, dims, valuesOf(input, { count: elementCount(dims), scale: sample.scale ?? 1 }, random)),
      ];
    }),
  );
}

/** An input of unknown rank gets two dimensions: `rows` and `fill`. */
function dimsOf(input: TensorSpec, sample: TrialSample): number[] {
  return (input.dims ?? ['batch', '']).map((dim, axis) => sizeOf(dim, axis, sample));
}

/**
 * Treats a free first dimension as the batch, as the batcher does. Any other free dimension with "batch" in its name is
 * treated as the batch too.
 */
function sizeOf(dim: number | string, axis: number, { fill, rows }: TrialSample): number {
  if (typeof dim === 'number') return dim;
  return axis === 0 || /batch/i.test(dim) ? rows : fill;
}

function valuesOf(
  { name, type }: TensorSpec,
  { count, scale }: { readonly count: number; readonly scale: number },
  random: () => number,
): ArrayOf[TensorType] {
  if (type === 'string') return Array.from({ length: count }, () => (random() < 0.5 ? 'a' : 'b'));
  if (type === 'float16') return fill(new Uint16Array(count), () => halves[Math.floor(random() * halves.length)] ?? 0);
  if (type === 'float32' || type === 'float64') return fill(new arrayOf[type](count), () => (random() * 2 - 1) * scale);
  const value = /mask/i.test(name) ? () => 1 : () => Math.floor(random() * 2);
  if (type === 'int64') return BigInt64Array.from({ length: count }, () => BigInt(value()));
  if (type === 'uint64') return BigUint64Array.from({ length: count }, () => BigInt(value()));
  return fill(new arrayOf[type](count), value);
}

function fill<A extends { readonly length: number; [index: number]: number }>(array: A, value: () => number): A {
  for (let index = 0; index < array.length; index += 1) array[index] = value();
  return array;
}

/** The bits of the float16 values that are generated. */
const halves = new Uint16Array(new Float16Array([-1, -0.5, 0, 0.5, 1]).buffer);

/** Marsaglia's xorshift with 32 bits of state: fast, and the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
