/**
 * Decides whether two answers to the same inputs are equal apart from rounding.
 *
 * Owns:  the tolerance. Two forms of one model on one machine run the same kernels and usually agree exactly. The
 *        tolerance allows for sums that are computed in another order; a wrong layout of weights causes larger
 *        differences.
 * Pure.
 */
import { halfToNumber, type NamedTensors, type Tensor } from '../../engine/tensor.ts';

/**
 * |want - got| <= absolute + relative * |want|. NaN, infinities, integers, booleans and text must be equal.
 */
const tolerances = {
  float32: { absolute: 1e-4, relative: 1e-3 },
  float64: { absolute: 1e-6, relative: 1e-5 },
  float16: { absolute: 1e-2, relative: 1e-2 },
} as const;

/** @returns a message about the first difference; undefined when the answers agree */
export function outputDifference(want: NamedTensors, got: NamedTensors): string | undefined {
  for (const [name, tensor] of Object.entries(want)) {
    const other = got[name];
    if (other === undefined) return `output '${name}' is missing`;
    const difference = compare(tensor, other);
    if (difference !== undefined) return `output '${name}' ${difference}`;
  }
  return undefined;
}

function compare(want: Tensor, got: Tensor): string | undefined {
  if (want.type !== got.type) return `is ${got.type} instead of ${want.type}`;
  if (want.dims.join() !== got.dims.join()) return `has shape [${got.dims.join()}] instead of [${want.dims.join()}]`;
  const close = closeness(want.type);
  for (let index = 0; index < want.data.length; index += 1) {
    const [a, b] = [want.data[index], got.data[index]];
    if (a !== b && !close(a, b))
      return `differs at element ${index}: ${print(b, want.type)} instead of ${print(a, want.type)}`;
  }
  return undefined;
}

type Close = (want: unknown, got: unknown) => boolean;

function closeness(type: Tensor['type']): Close {
  if (type !== 'float32' && type !== 'float64' && type !== 'float16') return () => false;
  const { absolute, relative } = tolerances[type];
  return (want, got) => {
    const [a, b] = [numberOf(want, type), numberOf(got, type)];
    if (!Number.isFinite(a)) return Object.is(a, b);
    return Math.abs(a - b) <= absolute + relative * Math.abs(a);
  };
}

function print(value: unknown, type: Tensor['type']): string {
  return type === 'float16' ? String(numberOf(value, type)) : String(value);
}

function numberOf(value: unknown, type: Tensor['type']): number {
  return type === 'float16' ? halfToNumber(Number(value)) : Number(value);
}
