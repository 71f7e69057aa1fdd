/** All mutants. CI runs one part of the list; `partOf` spreads the mutants of one topic over all parts. */
import type { Mutant } from '../mutant.ts';
import { analysisMutants } from './analysis.ts';
import { operatorMutants } from './operator.ts';
import { peopleMutants } from './people.ts';
import { rolloutMutants } from './rollout.ts';
import { runtimeMutants } from './runtime.ts';

export const mutants: readonly Mutant[] = [
  ...rolloutMutants,
  ...analysisMutants,
  ...operatorMutants,
  ...runtimeMutants,
  ...peopleMutants,
];
