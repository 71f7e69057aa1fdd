/**
 * Whether an answer has numbers at all: the least that can be asked of a model that nothing is known of.
 *
 * Pure.
 */
import type { NamedTensors } from '../engine/tensor.ts';
import { valueAt } from './numbers.ts';

/** @returns the first number that is none, in words; undefined when all are finite */
export function notFiniteIn(outputs: NamedTensors): string | undefined {
  for (const [name, tensor] of Object.entries(outputs)) {
    if (tensor.type === 'string') continue;
    for (let index = 0; index < tensor.data.length; index += 1) {
      const value = valueAt(tensor, index);
      if (!Number.isFinite(value)) return `output '${name}' is ${String(value)} at element ${index}`;
    }
  }
  return undefined;
}
