/**
 * Finds non-finite numbers in an answer: the only possible check when the expected answer is unknown.
 *
 * Pure.
 */
import type { NamedTensors } from '../engine/tensor.ts';
import { valueAt } from './numbers.ts';

/** @returns a message that names the first number that is not finite; undefined when all are finite */
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
