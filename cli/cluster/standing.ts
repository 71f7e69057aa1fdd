/**
 * Where a model's rollout stands, as its status tells.
 *
 * Owns:  what each phase of the operator means for somebody who wants to change its course.
 * Rule:  a phase that is not known here (a newer operator) counts as under way while there is a candidate.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { ownValue } from '../../api/record.ts';

/** UnderWay: a candidate is on its way. Leaving: its traffic goes back. GivenUp: it lost. AtRest: there is none. */
export type RolloutStage = 'UnderWay' | 'Leaving' | 'GivenUp' | 'TakingOver' | 'AtRest';

export type RolloutStanding = {
  readonly stage: RolloutStage;
  /** Whether the status speaks of the spec as it is now. */
  readonly observed: boolean;
  readonly stable?: string;
  /** On its way, leaving or given up. */
  readonly candidate?: string;
  /** While TakingOver: the revision that served before and still has its pods. */
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
