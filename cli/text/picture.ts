/**
 * One OnnxModel as a person wants to see it: what serves, what is to come, what is wrong.
 *
 * Owns:  which parts of spec, metadata and status are shown, and `status -o json`, which is this very object.
 * Pure.
 */
import type { Condition } from '../../api/conditions.ts';
import type { OnnxModel, OnnxModelStatus, RevisionStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { readProvenance, skippedBy } from '../../operator/rollout/provenance.ts';
import { modelOutcomeOf, type ModelOutcome } from '../cluster/outcome.ts';
import { rolloutPictureOf, type RolloutPicture } from './rollout-picture.ts';

export type Picture = ModelOutcome & {
  readonly name: string;
  readonly namespace: string;
  readonly generation: number;
  /** Of the spec that everything below speaks of; -1: the operator has not seen the model. */
  readonly observedGeneration: number;
  readonly phase: string;
  readonly url?: string;
  /** spec.rollout.pinRevision. */
  readonly pinned?: string;
  /** spec.rollout.paused: the rollout under way is held, or the next one will be. */
  readonly paused?: true;
  /** Why stable is not proven: what was not checked when it became stable. */
  readonly unproven?: string;
  /** `wanted` is absent where the spec leaves it to the default or an autoscaler. */
  readonly pods: { readonly all: number; readonly ready: number; readonly wanted?: number };
  readonly stable?: RevisionStatus;
  readonly candidate?: RevisionStatus;
  /** While a candidate is on its way, leaving or given up. */
  readonly rollout?: RolloutPicture;
  readonly conditions: readonly Condition[];
  /** Latest first, as in the status. */
  readonly history: readonly RolloutOutcome[];
};

const none: OnnxModelStatus = { observedGeneration: -1 };

export function pictureOf(model: OnnxModel): Picture {
  const { metadata, spec, status = none } = model;
  return present({
    name: metadata.name,
    namespace: metadata.namespace,
    generation: metadata.generation,
    observedGeneration: status.observedGeneration,
    phase: status.phase ?? 'Unknown',
    ...modelOutcomeOf(model),
    url: status.address?.url,
    ...intentsOf(spec),
    unproven: unprovenOf(status.stable),
    pods: present({ all: status.replicas ?? 0, ready: status.readyReplicas ?? 0, wanted: spec.replicas }),
    stable: status.stable,
    candidate: status.candidate,
    rollout: rolloutPictureOf(model),
    conditions: (status.conditions ?? []) as readonly Condition[],
    history: status.history ?? [],
  });
}

/** What a person asked for that holds until it is taken out. */
function intentsOf({ rollout = {} }: OnnxModel['spec']): Pick<Picture, 'pinned' | 'paused'> {
  return present({ pinned: rollout.pinRevision, paused: rollout.paused === true ? (true as const) : undefined });
}

function unprovenOf(stable: RevisionStatus | undefined): string | undefined {
  if (stable?.provenance === undefined) return undefined;
  const provenance = readProvenance(stable.provenance);
  const why = skippedBy(provenance);
  return why === undefined ? undefined : `${stable.revision} (${provenance}): ${why}`;
}

/**
 * Conditions that say what a healthy model's do not: Ready always, Stalled and Reconciling when there, others unless
 * True.
 */
export function conditionsThatMatter(conditions: readonly Condition[]): readonly Condition[] {
  return conditions.filter(
    ({ type, status }) =>
      type === 'Ready' || (type === 'Stalled' || type === 'Reconciling' ? status === 'True' : status !== 'True'),
  );
}
