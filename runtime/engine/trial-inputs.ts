/**
 * Makes up inputs for a model from its signature alone: to see it run, and to compare two forms of it.
 *
 * Owns: the guesses. Values are mild (numbers within one, token ids and flags 0 or 1, masks all 1), free dimensions
 *       small; models that want a certain size are met by trying a few. Nobody learns a model's quality from these.
 * Pure: the same seed gives the same values.
 */
import { arrayOf, elementCount, makeTensor, type ArrayOf, type NamedTensors, type TensorType } from './tensor.ts';
import type { TensorSpec } from './signature.ts';

/**
 * Sizes for free dimensions that are not the batch: text likes any, convolutions a multiple of 32, some a window of
 * sound.
 */
export const fills = [8, 32, 1, 64, 320] as const;

/** Rows of the runs that are compared: kernels differ between one row and several. */
export const rowCounts = [1, 2, 4] as const;

export type Sample = {
  readonly fill: number;
  readonly rows: number;
  readonly seed: number;
  /** Factor of numbers that are not whole; 1 unless given. */ readonly scale?: number;
};

/** Larger inputs teach nothing more, and a made-up shape must not take the machine's memory. */
const maxElements = 4_000_000;

/** @returns undefined when the shape would be too large to be made up */
export function trialInputs(inputs: readonly TensorSpec[], sample: Sample): NamedTensors | undefined {
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

/** An input of unknown rank is taken for a row of numbers. */
function dimsOf(input: TensorSpec, sample: Sample): number[] {
  return (input.dims ?? ['batch', '']).map((dim, axis) => sizeOf(dim, axis, sample));
}

/** The first free dimension is taken for the batch, as the batcher does; so is any of the same name. */
function sizeOf(dim: number | string, axis: number, { fill, rows }: Sample): number {
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

/** By their bits. */
const halves = new Uint16Array(new Float16Array([-1, -0.5, 0, 0.5, 1]).buffer);

/** Marsaglia's xorshift with 32 bits of state: quick, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
