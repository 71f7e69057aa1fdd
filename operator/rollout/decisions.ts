/**
 * Builds the decisions that several files of rules share: the next phase, the traffic, the pods and the reason.
 *
 * Terms: A revision is proven if it became stable with every check and gate passed. Provenance is how a revision became
 * stable. The weight is the candidate's share of the traffic in percent. An attempt is one try of a candidate.
 * Owns: how a candidate is aborted, given up or made stable, which steps it has, and which revisions skip checks and
 * gates. serving.ts computes the traffic and most numbers of pods.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { DecisionReason } from '../../api/reasons.ts';
import { firstWholeBlockAfter } from '../../api/report.ts';
import { provenSteps, type Step } from './plan.ts';
import { promotionReason, proves, skippedBy } from './provenance.ts';
import { podsOf, servingBoth, servingOne, trafficFor, withPods } from './serving.ts';
import type {
  At,
  Became,
  CanaryState,
  Decision,
  GateReading,
  Handled,
  Millis,
  Observation,
  Provenance,
  Revision,
  RolloutPlan,
  StateIn,
} from './state.ts';
import { servesWords } from './words.ts';

export type Why = { readonly reason: DecisionReason; readonly message: string };

/**
 * A revision in a rollout gets no traffic while it has no ready pod. It is given up if it has no ready pod for this
 * long.
 */
export const lostForMs = 30_000;

/**
 * The steps of a candidate that is exempt from judgement (proven or pinned) are three weights without gates. After a
 * requested promotion there are no steps: all the traffic moves at once.
 */
export function stepsOf(candidate: Revision, { seen, plan }: Pick<At, 'seen' | 'plan'>): readonly Step[] {
  if (plan.promoteRevision === candidate) return [];
  return plan.steps.length > 0 && isExempt(candidate, { seen, plan }) ? provenSteps : plan.steps;
}

/**
 * Whether a revision becomes stable without checks and gates: it is proven, or spec.rollout.pinRevision names it. A pin
 * does not exempt a revision that was given up; otherwise a retry under a pin would give that revision all the traffic
 * without a check.
 */
export function isExempt(
  revision: Revision,
  {
    seen,
    plan,
  }: { readonly seen: Pick<Observation, 'provenance' | 'refused'>; readonly plan: Pick<RolloutPlan, 'pinRevision'> },
): boolean {
  return isProven(revision, seen) || (plan.pinRevision === revision && seen.refused?.includes(revision) !== true);
}

function isProven(revision: Revision, { provenance }: Pick<Observation, 'provenance'>): boolean {
  return proves(provenance?.[revision]);
}

/**
 * Continues the rollout with the state `next`, which may be in another phase. The traffic and the pods are computed
 * from `next`.
 */
export function keep(next: CanaryState, why: Why, at: Pick<At, 'seen' | 'plan'>, recheckMs?: Millis): Decision {
  return {
    next,
    ...servingBoth(next, at),
    ...why,
    ...(recheckMs === undefined ? {} : { recheckMs: Math.max(0, recheckMs) }),
  };
}

export type RevisionPair = { readonly stable: Revision | null; readonly candidate: Revision };

/**
 * Begins the rollback of a candidate. Its weight goes to 0 first, so that users do not get further answers from the
 * candidate.
 */
export function abortRollout(state: CanaryState, { reason, message }: Why, { seen, plan, now }: At): Decision {
  const { stable, candidate, attempt } = state;
  const next = {
    phase: 'Aborting',
    stable,
    rejected: candidate,
    cause: reason,
    detail: message,
    attempt,
    since: now,
    ...handledIn(plan),
  } as const;
  return rollingBack(next, { seen, plan }, reason);
}

export function rollingBack(
  next: StateIn<'Aborting'>,
  { seen, plan }: Pick<At, 'seen' | 'plan'>,
  reason: DecisionReason = 'RollingBack',
): Decision {
  const { stable, rejected } = next;
  const { present } = podsOf(seen, rejected);
  return {
    next,
    ...trafficFor({ stable, candidate: rejected }, 0, seen),
    run: [
      withPods(stable, plan.replicas, seen),
      { revision: rejected, replicas: Math.min(present, Math.max(1, plan.replicas)) },
    ],
    reason,
    message:
      podsOf(seen, stable).ready === 0 && present > 0
        ? `${next.detail}; ${stable} has no ready pod; ${rejected} keeps serving until it does`
        : `traffic goes back to ${stable}: ${next.detail}`,
    recheckMs: 1000,
  };
}

/**
 * The provenance of a candidate that is promoted now.
 * @param skipped the judgement that the candidate's attempt skipped
 */
function provenanceOf(
  revision: Revision,
  retiring: Revision | null,
  at: At,
  skipped: Provenance | undefined,
): Provenance {
  const { seen, plan } = at;
  if (isProven(revision, seen)) return 'Returned';
  if (plan.replicas === 0) return 'Asleep';
  if (plan.promoteRevision === revision) return 'Forced';
  if (isExempt(revision, at)) return 'Pinned';
  if (skipped !== undefined || retiring !== null) return skipped ?? 'GatesPassed';
  return seen.provenance?.[revision] === 'Asleep' ? 'Woken' : 'First';
}

/** @param judged the judgement that the candidate's attempt skipped, and what the gates of the attempt have shown */
export function makeStable(
  revision: Revision,
  retiring: Revision | null,
  at: At,
  judged: Pick<CanaryState, 'skipped' | 'shown'> = {},
): Decision {
  const provenance = provenanceOf(revision, retiring, at, judged.skipped);
  const next = { phase: 'Promoting', stable: revision, retiring, since: at.now } as const;
  const became = {
    ...becomes(revision, provenance, at),
    ...(provenance === 'GatesPassed' ? present({ shown: judged.shown }) : {}),
  };
  const known = became.skipped ?? became.shown;
  const message =
    `${revision} ` +
    `${at.plan.replicas === 0 ? 'is stable now' : 'is ready and takes over'}` +
    `${known === undefined ? '' : `; ${known}`}`;
  return {
    next,
    ...servingOne(revision, { revision: retiring, isDrained: false }, at),
    reason: promotionReason(provenance),
    message,
    became,
    recheckMs: 0,
  };
}

/**
 * What the decision says about a revision that becomes stable. If checks were skipped, the result names a check that
 * had not passed.
 */
export function becomes(revision: Revision, provenance: Provenance, { seen }: Pick<At, 'seen'>): Became {
  const why = skippedBy(provenance);
  if (why === undefined) return { revision, provenance };
  const { checks } = podsOf(seen, revision);
  const open =
    provenance === 'Asleep' || checks === undefined || checks.verdict === 'Pass'
      ? ''
      : `; ${checks.verdict === 'Fail' ? 'check failed' : 'check not finished'}: ${checks.message}`;
  return { revision, provenance, skipped: `${why}${open}` };
}

type Rejected = RevisionPair & { readonly attempt: number };

/**
 * Without a stable revision, the rejected revision keeps its pods, because they do no harm and may recover. With a
 * stable revision, the ready pods of the rejected revision stay for `retainMs` if capacity allows, so that a retry
 * finds warm pods.
 *
 * @param handled the retry token at the time of the refusal, if the refusal was not decided in this pass
 */
export function giveUp(
  { stable, candidate, attempt }: Rejected,
  { reason, message }: Why,
  at: At,
  handled: Handled = handledIn(at.plan),
): Decision {
  const next = {
    phase: 'Failed',
    stable,
    rejected: candidate,
    cause: reason,
    detail: message,
    attempt,
    since: at.now,
    ...handled,
  } as const;
  return failed(next, at);
}

function handledIn({ retryToken }: RolloutPlan): Handled {
  return retryToken === undefined ? {} : { handledRetryToken: retryToken };
}

export function failed(next: StateIn<'Failed'>, { seen, plan, now }: At): Decision {
  const { stable, rejected, cause, since } = next;
  const why = { reason: cause, message: failureMessage(next, seen, plan) };
  if (stable === null) return { next, serve: rejected, run: [withPods(rejected, plan.replicas, seen)], ...why };
  const room = plan.capacity.mode === 'Surge' ? Math.min(plan.capacity.surge, plan.replicas) : 0;
  const warm = now - since < plan.retainMs ? Math.min(podsOf(seen, rejected).ready, room) : 0;
  const run = [withPods(stable, plan.replicas, seen), ...(warm === 0 ? [] : [{ revision: rejected, replicas: warm }])];
  return { next, serve: stable, run, ...why, ...(warm === 0 ? {} : { recheckMs: since + plan.retainMs - now }) };
}

/** A pinned revision does not serve after it was given up. The message explains this to the person who pinned it. */
function failureMessage(
  { rejected, stable, detail }: StateIn<'Failed'>,
  seen: Observation,
  { pinRevision }: RolloutPlan,
): string {
  if (pinRevision === rejected && stable !== null) {
    return (
      `${rejected} was given up: ${detail}. It is pinned, but a pin does not serve a revision that was given up; ` +
      `${servesWords(stable, seen)}. Remove the pin with "kubectl-onnx unpin", or serve ${rejected} anyway with ` +
      `"kubectl-onnx promote --revision ${rejected}"`
    );
  }
  if (stable === null) {
    const goesOn = podsOf(seen, rejected).deployed
      ? 'its pods keep trying to start'
      : 'it has no pods, and the operator keeps trying to create them';
    return `${rejected} was given up: ${detail}; ${goesOn}`;
  }
  return (
    `${rejected} was given up: ${detail}; ${servesWords(stable, seen)}. Change the spec, or retry with ` +
    '"kubectl-onnx retry"'
  );
}

export function settled(stable: Revision, { seen, plan }: Pick<At, 'seen' | 'plan'>): Decision {
  return {
    next: { phase: 'Stable', stable },
    ...servingOne(stable, { revision: null, isDrained: true }, { seen, plan }),
    ...atRest(stable, { seen, plan }),
  };
}

/** Reason and message for a revision that serves alone. */
export function atRest(stable: Revision, { seen, plan }: Pick<At, 'seen' | 'plan'>): Why {
  const { ready, trouble } = podsOf(seen, stable);
  if (plan.replicas === 0) return { reason: 'ScaledToZero', message: 'spec.replicas is 0' };
  const message = `${ready} of ${plan.replicas} pods of ${stable} are ready`;
  if (plan.pinRevision === stable)
    return { reason: 'Pinned', message: `${stable} is pinned by spec.rollout.pinRevision; ${message}` };
  if (plan.pinRevision !== undefined)
    return {
      reason: 'Pinned',
      message: `spec.rollout.pinRevision names ${plan.pinRevision}, which is not in the revision history; ${message}`,
    };
  if (ready >= plan.replicas) return { reason: 'UpToDate', message };
  const reason = trouble?.reason ?? (ready === 0 ? 'NoReadyPods' : 'Scaling');
  return { reason, message: trouble === undefined ? message : `${message}: ${trouble.message}` };
}

/**
 * The gates' result for the window of the state (the blocks by which the step is judged); undefined before the window
 * begins.
 */
export function readingOf(state: CanaryState, seen: Observation): GateReading | undefined {
  return 'window' in state && seen.gates?.window === state.window ? seen.gates : undefined;
}

/**
 * The first block of a new window: the first block that begins from now on. If `window` is 0, the state has no window,
 * and the result is 0.
 */
export function windowFrom(window: number, now: Millis): number {
  return window === 0 ? 0 : firstWholeBlockAfter(now);
}
