/**
 * Decides when an intent of the spec has had its effect.
 *
 * Terms: An intent is a field of spec.rollout that asks for one action and names the revision that it means. It is
 * spent when it had its effect or cannot have one. The target is the revision of the current spec, or the pinned one.
 * Owns: which intents are spent, and therefore ignored. `promoteRevision` and `resumeStep` are meant for one moment but
 * stay in the spec until a client removes them. An old intent must not promote a revision that comes back later. Rule:
 * an intent is spent once its revision is stable or is not the target. `promoteRevision` is also spent when its
 * revision is given up while the intent is in the spec. `resumeStep`, however, stays valid for a retry. To repeat a
 * spent intent, a user removes it and sets it again.
 * Pure.
 */
import type { OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { RolloutPlan } from './plan.ts';
import { stableOf, type At, type Decision, type Revision, type RolloutState, type Spent } from './state.ts';

/** The plan without the spent intents. */
export function livePlan(plan: RolloutPlan, spent: Spent): RolloutPlan {
  const { promoteRevision, resumeStep, ...rest } = plan;
  return {
    ...rest,
    ...present({
      promoteRevision: spent.promoteRevision === undefined ? promoteRevision : undefined,
      resumeStep: spent.resumeStep === undefined ? resumeStep : undefined,
    }),
  };
}

/**
 * The intents of the spec that a status records as spent. Operators up to 0.1.0 recorded spent intents only for a
 * failed attempt, and did not record how stable was promoted (`provenance`). If a status has no provenance of stable,
 * an intent counts as spent unless its revision is the candidate.
 *
 * @param plan the plan with all intents of the spec
 */
export function spentIn(
  status: Pick<OnnxModelStatus, 'rollout' | 'stable' | 'candidate'> | undefined,
  plan: Pick<RolloutPlan, 'promoteRevision' | 'resumeStep'>,
): Spent {
  const { rollout, stable, candidate } = status ?? {};
  const isOlder = stable !== undefined && stable.provenance === undefined;
  const isSpent = (intent: string, handled: string | undefined): boolean =>
    handled === intent || (isOlder && revisionIn(intent) !== candidate?.revision);
  const { promoteRevision, resumeStep } = plan;
  return present({
    promoteRevision:
      promoteRevision !== undefined && isSpent(promoteRevision, rollout?.handledPromoteRevision)
        ? promoteRevision
        : undefined,
    resumeStep: resumeStep !== undefined && isSpent(resumeStep, rollout?.handledResumeStep) ? resumeStep : undefined,
  });
}

/**
 * The spent intents after a decision.
 * @param plan the plan without the intents that were spent before
 */
export function spentAfter(before: RolloutState, { next }: Decision, { seen, plan }: At): Spent {
  const { promoteRevision, resumeStep } = plan;
  const isOver = (revision: Revision): boolean =>
    underWay(next) !== revision && (seen.target !== revision || stableOf(next) === revision || before.phase === 'New');
  const hasFailed = (revision: Revision): boolean => underWay(before) === revision && underWay(next) !== revision;
  return {
    ...present({
      promoteRevision:
        promoteRevision !== undefined && (isOver(promoteRevision) || hasFailed(promoteRevision))
          ? promoteRevision
          : undefined,
      resumeStep: resumeStep !== undefined && isOver(revisionIn(resumeStep)) ? resumeStep : undefined,
    }),
    ...seen.spent,
  };
}

function underWay(state: RolloutState): Revision | undefined {
  return 'candidate' in state ? state.candidate : undefined;
}

function revisionIn(intent: string): Revision {
  return intent.split('/', 1)[0] ?? '';
}
