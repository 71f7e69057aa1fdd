/**
 * The state of a model's rollout, read from its status.
 *
 * Owns: what each phase of the status means for an intent, a request such as promote or retry. If a newer operator
 * reports an unknown phase, it counts as UnderWay while there is a candidate. Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { ownValue } from '../../api/record.ts';

/**
 * UnderWay: a candidate is rolled out. TakingOver: the candidate was promoted, and the pods of the old stable are not
 * all gone. Leaving: the candidate's traffic moves back to stable. GivenUp: the candidate failed or was aborted, and
 * gets no traffic. AtRest: the model has no candidate.
 */
export type RolloutStage = 'UnderWay' | 'Leaving' | 'GivenUp' | 'TakingOver' | 'AtRest';

export type RolloutStanding = {
  readonly stage: RolloutStage;
  /** Whether the status is for the current generation of the spec. */
  readonly observed: boolean;
  readonly stable?: string;
  /** The candidate's revision. Set while the stage is UnderWay, Leaving or GivenUp. */
  readonly candidate?: string;
  /** The previous stable revision, which still has pods. Set while the stage is TakingOver. */
  readonly retiring?: string;
  readonly step?: number;
  readonly pausedReason?: string;
  readonly message: string;
};

const stages: Readonly<Record<string, RolloutStage>> = {
  New: 'AtRest',
  Preparing: 'UnderWay',
  Shifting: 'UnderWay',
  Analyzing: 'UnderWay',
  Paused: 'UnderWay',
  Promoting: 'TakingOver',
  Settling: 'TakingOver',
  Stable: 'AtRest',
  Aborting: 'Leaving',
  Failed: 'GivenUp',
};

export function standingOf({ metadata, status }: OnnxModel): RolloutStanding {
  const { rollout = { phase: 'New' }, stable, candidate, observedGeneration = -1, message = '' } = status ?? {};
  return present({
    stage: stageOf(rollout.phase, candidate !== undefined),
    observed: observedGeneration >= metadata.generation,
    stable: stable?.revision,
    candidate: candidate?.revision,
    retiring: rollout.retiring,
    step: rollout.step,
    pausedReason: rollout.pausedReason,
    message,
  });
}

function stageOf(phase: string, hasCandidate: boolean): RolloutStage {
  const stage = ownValue(stages, phase) ?? 'UnderWay';
  return hasCandidate || stage === 'TakingOver' ? stage : 'AtRest';
}
