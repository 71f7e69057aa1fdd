/**
 * The content of `status` and `watch` for one model, and the document of `status -o json`.
 *
 * Owns: which parts of spec, metadata and status are shown. Pure.
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
  /**
   * The generation of the spec that the fields of the status are for; -1 when the operator has not observed the model.
   */
  readonly observedGeneration: number;
  readonly phase: string;
  readonly url?: string;
  /** The value of spec.rollout.pinRevision. */
  readonly pinned?: string;
  /** Set when spec.rollout.paused is true: the current rollout is held, or the next one will be. */
  readonly paused?: true;
  /** Why the stable revision is not proven (became stable without every check passed): the checks that were skipped. */
  readonly unproven?: string;
  /** The numbers of pods of the model; `wanted` is spec.replicas. */
  readonly pods: { readonly all: number; readonly ready: number; readonly wanted?: number };
  readonly stable?: RevisionStatus;
  readonly candidate?: RevisionStatus;
  /** Set during a rollout, until the old stable's pods are gone, and while the candidate is one that was given up. */
  readonly rollout?: RolloutPicture;
  readonly conditions: readonly Condition[];
  /** The outcomes of earlier rollouts, the latest first, as in the status. */
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

/** Fields of spec.rollout that stay in effect until they are removed: a pin and a manual pause. */
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
 * Keeps three kinds of conditions: Ready; Stalled and Reconciling when they are True; any other condition when it is
 * not True.
 */
export function conditionsThatMatter(conditions: readonly Condition[]): readonly Condition[] {
  return conditions.filter(
    ({ type, status }) =>
      type === 'Ready' || (type === 'Stalled' || type === 'Reconciling' ? status === 'True' : status !== 'True'),
  );
}
