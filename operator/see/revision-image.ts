/**
 * Decides whether a revision keeps the runtime's image that its record names.
 *
 * Terms: A record is what the operator stores of a revision in a ControllerRevision. Provenance is how a revision
 * became stable.
 * Owns: the rule. A revision that has a ready pod, has had traffic or was promoted keeps its image, so that a new
 * default image of the operator restarts no pods that serve. Any other revision gets the new default image, so that it
 * can leave an image that does not work, such as one that cannot be pulled.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { RevisionRecord } from '../resources/objects.ts';
import { stableOf, type Observation, type Revision, type RolloutState } from '../rollout/state.ts';

export type ImageFacts = {
  readonly state: RolloutState;
  readonly provenance: NonNullable<Observation['provenance']>;
  /** Whether the revision has a ready pod. */
  readonly isReady: boolean;
  /** The operator's image for revisions whose spec does not name one. */
  readonly defaultImage: string;
};

/** @returns the record, or the record with the default image; its pod template is then made again */
export function withImageInForce(record: RevisionRecord, facts: ImageFacts): RevisionRecord {
  const { template, ...rest } = record;
  const { spec } = rest;
  if (spec.runtime.image === facts.defaultImage || keepsImage(record, facts))
    return { ...rest, ...present({ template }) };
  return { ...rest, spec: { ...spec, runtime: { ...spec.runtime, image: facts.defaultImage } } };
}

function keepsImage({ revision, written }: RevisionRecord, { state, provenance, isReady }: ImageFacts): boolean {
  return (
    isReady ||
    written.runtime?.image !== undefined ||
    hasHadTraffic(state, revision) ||
    Object.hasOwn(provenance, revision)
  );
}

/** Whether the revision is stable or was stable before the latest promotion, or gets traffic as a candidate. */
function hasHadTraffic(state: RolloutState, revision: Revision): boolean {
  if (stableOf(state) === revision) return true;
  switch (state.phase) {
    case 'Shifting':
    case 'Analyzing':
    case 'Paused':
      return state.candidate === revision;
    case 'Promoting':
    case 'Settling':
      return state.retiring === revision;
    case 'Aborting':
      return state.rejected === revision;
    default:
      return false;
  }
}
