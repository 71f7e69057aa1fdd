/**
 * When an intent of the spec has had its effect.
 *
 * Owns:  which intents are spent: `promoteRevision` and `resumeStep` are said for one moment, and stay in the spec
 *        until somebody takes them out. A revision that comes back later was not meant: it is judged again.
 * Rule:  an intent is spent once its revision is not the one that is wanted, is stable, or was given up with it
 *        (`promoteRevision` only: an approval holds for another attempt). It asks for something again once it was taken
 *        out, or names another revision, in between.
 * Pure.
 */
import type { OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { RolloutPlan } from './plan.ts';
import { stableOf, type At, type Decision, type Revision, type RolloutState, type Spent } from './state.ts';

/** The plan without the intents that are spent. */
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
 * The intents of the spec that a status knows to be spent. Operators up to 0.1.0 remembered that of a failed attempt
 * only, and did not say how stable became so: from them on an intent counts where its revision is the candidate.
 *
 * @param plan as the spec has it
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
 * What is spent after a decision.
 *
 * @param plan without what was spent before
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
