/**
 * What a status knows last of each revision: how it became stable, or that it was given up.
 *
 * Pure.
 */
import type { OnnxModelStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { readProvenance } from './provenance.ts';
import type { Observation, Provenance, Revision } from './state.ts';

/**
 * What is known last of each revision, as far as the status goes back. What it does not know of is judged like a new
 * one. A rollout that was superseded says nothing about its revision.
 */
export function lastKnownOf({ history = [], stable }: Pick<OnnxModelStatus, 'history' | 'stable'> = {}): Required<
  Pick<Observation, 'provenance' | 'refused'>
> {
  const last = new Map<Revision, Provenance | 'Refused'>();
  for (const entry of history.toReversed()) {
    if (entry.outcome === 'Promoted') last.set(entry.revision, provenanceIn(entry));
    else if (entry.outcome !== 'Superseded') last.set(entry.revision, 'Refused');
  }
  // The history has an end, and does not tell of a revision that stands in for another.
  if (stable?.provenance !== undefined) last.set(stable.revision, readProvenance(stable.provenance));
  const known = [...last];
  const provenance = Object.fromEntries(
    known.flatMap(([revision, word]) => (word === 'Refused' ? [] : [[revision, word] as const])),
  );
  return { provenance, refused: known.flatMap(([revision, word]) => (word === 'Refused' ? [revision] : [])) };
}

/**
 * Operators up to 0.1.0 did not record how a revision was promoted. Gates are asked only of a candidate that has passed
 * its checks and was neither forced nor pinned: where all of them passed, it is proven. Of anything else it is not
 * known.
 */
function provenanceIn({ provenance, gates = [] }: RolloutOutcome): Provenance {
  if (provenance !== undefined) return readProvenance(provenance);
  return gates.length > 0 && gates.every(({ verdict }) => verdict === 'Pass') ? 'GatesPassed' : 'Unrecorded';
}
