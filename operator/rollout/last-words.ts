/**
 * The latest outcome of each revision in the status: its provenance (how it became stable), or the fact that it was
 * given up.
 *
 * Pure.
 */
import type { OnnxModelStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { readProvenance } from './provenance.ts';
import type { Observation, Provenance, Revision } from './state.ts';

/**
 * The latest outcome of each revision in the history. A rollout that another revision replaced (Superseded) does not
 * count as an outcome. A revision without an outcome is judged like a new one.
 */
export function lastKnownOf({ history = [], stable }: Pick<OnnxModelStatus, 'history' | 'stable'> = {}): Required<
  Pick<Observation, 'provenance' | 'refused'>
> {
  const last = new Map<Revision, Provenance | 'Refused'>();
  for (const entry of history.toReversed()) {
    if (entry.outcome === 'Promoted') last.set(entry.revision, provenanceIn(entry));
    else if (entry.outcome !== 'Superseded') last.set(entry.revision, 'Refused');
  }
  // The status of stable counts too, because the history has a maximum length and does not record a revision that
  // served in place of stable.
  if (stable?.provenance !== undefined) last.set(stable.revision, readProvenance(stable.provenance));
  const known = [...last];
  const provenance = Object.fromEntries(
    known.flatMap(([revision, word]) => (word === 'Refused' ? [] : [[revision, word] as const])),
  );
  return { provenance, refused: known.flatMap(([revision, word]) => (word === 'Refused' ? [revision] : [])) };
}

/**
 * Operators up to 0.1.0 did not record how a revision was promoted. Only a candidate that passed its checks and was
 * neither forced nor pinned has gate results. If all these gates passed, the revision counts as promoted by its gates.
 * Otherwise its provenance is unknown.
 */
function provenanceIn({ provenance, gates = [] }: RolloutOutcome): Provenance {
  if (provenance !== undefined) return readProvenance(provenance);
  return gates.length > 0 && gates.every(({ verdict }) => verdict === 'Pass') ? 'GatesPassed' : 'Unrecorded';
}
