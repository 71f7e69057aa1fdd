/**
 * Decides which requests may share a run. Pure.
 *
 * Owns: the key of a group. Requests of one group differ in nothing but their number of rows and their values.
 */
import type { InferenceRequest } from './port.ts';

/**
 * A key made of the names and types of the inputs, all their dimensions but the first, and the names of the outputs.
 * Requests with equal keys can share a run.
 */
export function groupOf({ inputs, outputs }: Pick<InferenceRequest, 'inputs' | 'outputs'>): string {
  const names = Object.keys(inputs);
  if (names.length > 1) names.sort((a, b) => (a < b ? -1 : 1));
  let text = outputs.join('\0');
  for (const name of names) {
    const tensor = inputs[name];
    text += `\0\0${name}\0${tensor?.type ?? ''}`;
    for (let axis = 1; axis < (tensor?.dims.length ?? 0); axis += 1) text += `,${tensor?.dims[axis] ?? 0}`;
  }
  return text;
}
