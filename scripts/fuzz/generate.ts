/**
 * Makes a case from a seed and an index.
 * Owns: the shares of the targets. The same seed and index make the same bytes. Pure.
 */
import type { Case, Target } from './cases.ts';
import { Chance } from './chance.ts';
import { embeddingsCase } from './generate-embeddings.ts';
import { httpCase } from './generate-http.ts';
import { binaryCase, jsonCase } from './generate-tensors.ts';

const generators: Readonly<Record<Target, (chance: Chance) => Case>> = {
  http: httpCase,
  json: jsonCase,
  binary: binaryCase,
  embeddings: embeddingsCase,
};

/** @param chosen the targets, one of which is picked at random */
export function caseOf(seed: number, index: number, chosen: readonly Target[]): Case {
  const chance = new Chance(seed, index);
  return generators[chance.pick(chosen)](chance);
}
