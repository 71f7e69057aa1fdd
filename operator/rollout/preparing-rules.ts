/**
 * Rules before traffic: a candidate's pods start, are checked, and get their first weight.
 *
 * Terms: An attempt is one try of a candidate; each retry begins a new one. The weight is the candidate's share of the
 * traffic in percent. Recreate is the capacity mode in which the candidate's pods replace stable's pods. A golden set
 * is the inputs that a candidate must answer well before it gets traffic.
 * Owns: when a candidate may get traffic, and which trouble ends its rollout earlier.
 * Pure.
 */
import { giveUp, isExempt, makeStable, settled, stepsOf, type RevisionPair, type Why } from './decisions.ts';
import { fleetOf, podsOf, withPods } from './serving.ts';
import { splitBetween } from './replicas.ts';
import type { At, Decision, Revision, RolloutPlan, StateIn } from './state.ts';
import { secondsWords, servesWords, wantedWords } from './words.ts';
import { enterStep } from './steps.ts';

type Preparing = StateIn<'Preparing'>;

export function prepareCandidate(
  { stable, candidate, attempt }: RevisionPair & { readonly attempt: number },
  why: Why,
  at: At,
): Decision {
  const next = { phase: 'Preparing', stable, candidate, attempt, floor: at.plan.replicas, since: at.now } as const;
  return { next, ...servingWhile(next, at), ...why, recheckMs: at.plan.readyWithinMs };
}

/** Traffic and pods while a candidate starts. The candidate gets only the pods that its first step needs. */
function servingWhile(state: Preparing, at: Pick<At, 'seen' | 'plan'>): Pick<Decision, 'serve' | 'run'> {
  const { stable, candidate } = state;
  const { seen, plan } = at;
  if (stable === null) return { serve: candidate, run: [withPods(candidate, plan.replicas, seen)] };
  const split = splitWhile(state, stable, at);
  return { serve: stable, run: [withPods(stable, split.stable, seen), withPods(candidate, split.candidate, seen)] };
}

function splitWhile(
  state: Preparing,
  stable: Revision,
  { seen, plan }: Pick<At, 'seen' | 'plan'>,
): { readonly stable: number; readonly candidate: number } {
  if (plan.replicas === 0) return { stable: 0, candidate: 0 };
  if (plan.capacity.mode === 'Recreate') return splitInTurn(podsOf(seen, stable).present, plan);
  if (plan.steps.length === 0) return { stable: plan.replicas, candidate: plan.replicas };
  return splitBetween(0, firstWeight(state, { seen, plan }), fleetOf(state, plan));
}

/**
 * The split under Recreate: the candidate's pods start after stable's pods are gone. While the rollout is paused,
 * stable's pods are not removed.
 */
function splitInTurn(
  present: number,
  { replicas, paused }: RolloutPlan,
): { readonly stable: number; readonly candidate: number } {
  if (present === 0) return { stable: 0, candidate: replicas };
  return { stable: paused ? replicas : 0, candidate: 0 };
}

/**
 * The weight of the first step. It is 0 for a shadow step, in which the candidate only answers copies of requests; the
 * candidate then has one pod.
 */
function firstWeight(state: Preparing, at: Pick<At, 'seen' | 'plan'>): number {
  const first = stepsOf(state.candidate, at).find((step) => step.kind === 'weight' || step.kind === 'shadow');
  return first?.kind === 'shadow' ? 0 : (first?.weight ?? 100);
}

export function returnToStable(state: Preparing | StateIn<'Failed'>, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (state.stable === null || seen.target !== state.stable) return undefined;
  return {
    ...settled(state.stable, at),
    reason: 'RevisionReverted',
    message: `${wantedWords(state.stable, plan)}; ${servesWords(state.stable, seen)}`,
  };
}

export function restartOnNewTarget(state: Preparing, at: At): Decision | undefined {
  const { seen } = at;
  if (seen.target === state.candidate) return undefined;
  const why = {
    reason: 'RevisionSuperseded',
    message: `preparing ${seen.target} instead of ${state.candidate}`,
  } as const;
  return prepareCandidate({ stable: state.stable, candidate: seen.target, attempt: 1 }, why, at);
}

export function giveUpOnRequest(state: Preparing, at: At): Decision | undefined {
  const { plan } = at;
  if (plan.abortRevision !== state.candidate) return undefined;
  return giveUp(state, { reason: 'Aborted', message: `spec.rollout.abortRevision names ${state.candidate}` }, at);
}

/** A person who names this revision in promoteRevision overrides its failed checks. */
export function giveUpOnFailedChecks(state: Preparing, at: At): Decision | undefined {
  const { seen, plan } = at;
  const { checks } = podsOf(seen, state.candidate);
  if (checks?.verdict !== 'Fail' || plan.promoteRevision === state.candidate || isExempt(state.candidate, at))
    return undefined;
  return giveUp(state, checks, at);
}

/**
 * Ignores termination messages older than this attempt: the pod may still be in back-off from the previous attempt, and
 * the cause may have ended.
 */
export function giveUpOnFatalTrouble(state: Preparing, at: At): Decision | undefined {
  const { seen } = at;
  const { trouble } = podsOf(seen, state.candidate);
  const isOld = state.attempt > 1 && trouble?.at !== undefined && trouble.at + 1000 <= state.since;
  return trouble?.fatal && !isOld ? giveUp(state, trouble, at) : undefined;
}

/** While spec.rollout.paused is set, the rollout keeps its pods, and its time limit does not run. */
export function standStill(state: Preparing, at: At): Decision | undefined {
  const { plan, now } = at;
  if (!plan.paused) return resume(state, at);
  const next = { ...state, heldAt: state.heldAt ?? now };
  return {
    next,
    ...servingWhile(next, at),
    reason: 'PausedManually',
    message: `spec.rollout.paused holds the rollout of ${state.candidate}`,
  };
}

/**
 * Records since when stable has had no ready pod: a golden set that needs stable's answers waits for these answers for
 * `lostForMs`. Nothing is recorded under Recreate or while the model is scaled to zero, because the operator itself
 * then removes stable's pods.
 */
export function noteStableLoss(state: Preparing, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  const { stableLostAt, ...rest } = state;
  const isAway =
    state.stable !== null &&
    plan.replicas > 0 &&
    plan.capacity.mode !== 'Recreate' &&
    podsOf(seen, state.stable).ready === 0;
  if (isAway === (stableLostAt !== undefined)) return undefined;
  return { ...waitForCandidate(isAway ? { ...rest, stableLostAt: now } : rest, at), recheckMs: 0 };
}

/**
 * Resumes with the number of pods that the spec has now: no gate has judged yet, so no verdict depends on the old
 * number.
 */
function resume({ heldAt, ...state }: Preparing, at: At): Decision | undefined {
  if (heldAt === undefined) return undefined;
  const next = {
    ...state,
    floor: at.plan.replicas === 0 ? state.floor : at.plan.replicas,
    since: state.since + at.now - heldAt,
  };
  return {
    next,
    ...servingWhile(next, at),
    reason: 'Resumed',
    message: `the rollout of ${state.candidate} continues`,
    recheckMs: 0,
  };
}

/**
 * A candidate begins its steps when its checks have passed and the pods of its first step are ready. If the candidate
 * takes all the traffic at once, all its pods must be ready. A first revision serves from its first ready pod on,
 * because no other revision serves. While the model is scaled to zero, a candidate becomes stable at once. If its
 * rollout began with pods, it is compared with the old revision once the model has pods again.
 */
export function beginWhenReady(state: Preparing, at: At): Decision | undefined {
  const { seen, plan } = at;
  const { ready, resolved } = podsOf(seen, state.candidate);
  if (ready < podsNeeded(state, at) || (plan.replicas > 0 && !resolved) || !checksDone(state, at)) return undefined;
  const { stable, candidate, attempt, floor } = state;
  if (stable === null || beginsWithAll(state, at))
    return makeStable(candidate, plan.replicas === 0 && floor === 0 ? null : stable, at);
  return enterStep({ stable, candidate, attempt, floor, weight: 0, window: 0 }, 0, at);
}

/**
 * Whether all the traffic moves to the candidate at once: when the model is scaled to zero, or when there are no steps.
 * If there are no steps only because of a requested promotion, the candidate also needs all its pods.
 */
function beginsWithAll(state: Preparing, at: At): boolean {
  return (
    at.plan.replicas === 0 ||
    (stepsOf(state.candidate, at).length === 0 &&
      (at.plan.steps.length === 0 || podsOf(at.seen, state.candidate).ready >= at.plan.replicas))
  );
}

function podsNeeded(state: Preparing, at: At): number {
  const { stable } = state;
  if (stable === null) return Math.min(1, at.plan.replicas);
  return at.plan.capacity.mode === 'Recreate' ? at.plan.replicas : splitWhile(state, stable, at).candidate;
}

function checksDone({ candidate }: Preparing, { seen, plan }: At): boolean {
  const { checks } = podsOf(seen, candidate);
  return (
    checks === undefined ||
    checks.verdict === 'Pass' ||
    plan.promoteRevision === candidate ||
    isExempt(candidate, { seen, plan }) ||
    plan.replicas === 0
  );
}

export function giveUpWhenLate(state: Preparing, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (now - state.since < plan.readyWithinMs) return undefined;
  const { trouble, ready, checks } = podsOf(seen, state.candidate);
  const late =
    `${ready} of ${podsShown(state, podsNeeded(state, at), plan)} pods are ready after ` +
    `${secondsWords(plan.readyWithinMs)}`;
  if (trouble !== undefined)
    return giveUp(state, { reason: trouble.reason, message: `${late}: ${trouble.message}` }, at);
  const message = checks?.verdict === 'Waiting' ? `${late}: ${checks.message}` : late;
  return giveUp(state, { reason: 'ProgressDeadlineExceeded', message }, at);
}

/** A first revision serves from its first pod on, but the message counts all pods that the spec asks for. */
function podsShown({ stable }: Preparing, needed: number, plan: RolloutPlan): number {
  return stable === null ? plan.replicas : needed;
}

export function waitForCandidate(state: Preparing, at: At): Decision {
  const { seen, plan, now } = at;
  const { trouble, ready, resolved, checks } = podsOf(seen, state.candidate);
  const needed = podsNeeded(state, at);
  const progress = `${ready} of ${podsShown(state, needed, plan)} pods of ${state.candidate} are ready`;
  const base = {
    next: state,
    ...servingWhile(state, at),
    recheckMs: Math.max(0, state.since + plan.readyWithinMs - now),
  };
  if (trouble !== undefined) return { ...base, reason: trouble.reason, message: `${progress}: ${trouble.message}` };
  if (checks?.verdict === 'Waiting' && ready >= needed)
    return { ...base, reason: checks.reason, message: `${progress}: ${checks.message}` };
  return { ...base, reason: resolved ? 'RevisionWarming' : 'RevisionStarting', message: progress };
}
