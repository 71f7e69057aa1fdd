/**
 * Rules of a canary that cannot be compared with stable: stable has no ready pod, stable exceeds an absolute limit, or
 * the model is scaled to zero.
 *
 * Terms: Gates judge the candidate in a window of blocks of 20 seconds; absolute limits are gates that need no
 * comparison with stable. A manual hold is spec.rollout.paused. The weight is the candidate's share of the traffic in
 * percent.
 * Owns: when a candidate continues without being compared with stable. Such a candidate never leaves a pause step or a
 * manual hold by itself: an approval is still needed. Meanwhile it carries the traffic (serving.ts, trafficFor).
 * Pure.
 */
import { abortRollout, keep, lostForMs, makeStable, readingOf, stepsOf, windowFrom, type Why } from './decisions.ts';
import { hasTaken, isFought, isOffSteps, podsOf } from './serving.ts';
import { isJudged } from './plan.ts';
import type { At, CanaryState, Decision, GateReading, Observation, RolloutPlan } from './state.ts';
import { secondsWords } from './words.ts';
import { enterStep, pauseRollout, reachedBy, setAnew, shift, without, type Reached } from './steps.ts';

/**
 * While stable has no ready pod, the candidate carries the traffic, and the rollout waits for `lostForMs`. After that
 * the candidate continues if it is not judged or is within its absolute limits, because the candidate may repair what
 * is wrong with stable.
 */
export function carryForStable(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  // A candidate with all the traffic does not depend on stable, which may have no pods any more.
  if (plan.replicas === 0 || state.weight === 100 || isFought(state)) return undefined;
  if (podsOf(seen, state.stable).ready > 0) return returnToWeight(state, at);
  const lostAt = state.stableLostAt ?? now;
  const because = `${state.stable} has no ready pod`;
  const leftMs = lostAt + lostForMs - now;
  if (leftMs > 0) {
    const message =
      `${because}: ${state.candidate} gets all traffic; the rollout waits up to ${secondsWords(lostForMs)} ` +
      `for a ready pod of ${state.stable}`;
    return keep({ ...state, stableLostAt: lostAt }, { reason: 'StableUnhealthy', message }, at, leftMs);
  }
  return mayGoOn(state, plan) ? goOnAlone(state, because, at) : undefined;
}

/**
 * Applies when stable has ready pods again. A new window begins, so that the counts from the time without stable are
 * not compared.
 */
function returnToWeight({ stableLostAt, ...state }: CanaryState, at: At): Decision | undefined {
  if (stableLostAt === undefined) return undefined;
  const why: Why = {
    reason: 'Resumed',
    message:
      `${state.stable} has ready pods again: ` +
      `the target for ${state.candidate} is ${state.weight} % of the traffic`,
  };
  if (state.phase === 'Analyzing') return setAnew(state, state.weight, at, why);
  if (state.phase === 'Shifting') return keep({ ...state, since: state.since + at.now - stableLostAt }, why, at, 0);
  return hasTaken(state, state.weight, at)
    ? keep({ ...state, window: windowFrom(state.window, at.now) }, why, at, 0)
    : undefined;
}

/**
 * Whether the candidate may continue without stable. False during a manual hold, in a pause step, and in a pause
 * because gates are undecided or reports are missing: other rules end these waits.
 */
function mayGoOn(state: CanaryState, { paused }: RolloutPlan): boolean {
  return (
    !paused &&
    state.heldAt === undefined &&
    state.weight < 100 &&
    (state.phase !== 'Paused' || state.why === 'StableUnhealthy')
  );
}

function goOnAlone(state: CanaryState, because: string, at: At): Decision | undefined {
  const hasGates = stepsOf(state.candidate, at).some(isJudged);
  const reading = readingOf(state, at.seen);
  if (!hasGates) return hurry(state, because, at);
  // If the candidate's weight moves without a judgement because stable was lost, the candidate was within its absolute
  // limits. The weight is then already moving to the next pause step or to 100 %.
  if (state.phase === 'Shifting' && state.skipped === 'StableLost') return undefined;
  if (reading?.absolute === 'Fail') return undefined;
  if (reading?.absolute === 'Pass')
    return hurry(state, because, at, `${state.candidate} is within its absolute limits and`);
  if (state.phase === 'Paused') return undefined;
  return pauseRollout(
    state,
    'StableUnhealthy',
    { reason: 'StableUnhealthy', message: `${because}; ${state.candidate} serves until it does` },
    at,
  );
}

/**
 * Continues to the next pause step or, if there is none, to 100 % of the traffic.
 *
 * @param candidate the words for the candidate in the message, with the reason why it may continue
 * @returns undefined when the rollout is already moving to this pause step or to 100 %
 */
function hurry(state: CanaryState, because: string, at: At, candidate: string = state.candidate): Decision | undefined {
  const steps = stepsOf(state.candidate, at);
  const stop = steps.findIndex(({ kind }, index) => index >= state.step && kind === 'pause');
  const left = steps.slice(state.step, stop < 0 ? steps.length : stop);
  const reached = left.some(isJudged) ? without(state, 'StableLost') : reachedBy(state);
  const said = (to: string): Why => ({
    reason: 'StableUnhealthy',
    message: `${because}; ${candidate} continues to ${to}`,
  });
  if (stop < 0)
    return shift(withoutMark(reached), { step: steps.length, weight: 100 }, at, said('100 % of the traffic'));
  const asked = steps.slice(0, stop).findLastIndex((step) => step.kind === 'weight' && step.weight > reached.weight);
  if (state.phase === 'Shifting' && (asked === state.step || (asked < 0 && left.length <= 1))) return undefined;
  return enterStep(reached, asked < 0 ? stop : asked, at, said(`the pause of step ${stop + 1}`));
}

function withoutMark(reached: Reached): Reached {
  const { stableLostAt: _, ...rest } = reached;
  return rest;
}

/**
 * A failed gate rolls back. While stable has no ready pod or exceeds a limit, only the candidate's absolute limits
 * count, so that a candidate that repairs stable can be rolled out.
 */
export function abortOnFailedGate(state: CanaryState, at: At): Decision | undefined {
  const { seen } = at;
  const reading = readingOf(state, seen);
  if (reading === undefined) return undefined;
  const because = troubleOf(state, reading, seen);
  if (because !== undefined) return judgeAlone(state, reading, because, at);
  return reading.step === 'Fail'
    ? abortRollout(state, { reason: reading.failed ?? 'LatencyGateFailed', message: reading.message }, at)
    : undefined;
}

/** Why a candidate is not compared with stable now. */
function troubleOf(state: CanaryState, { stableSick }: GateReading, seen: Observation): string | undefined {
  if (stableSick !== undefined) return `${state.stable} exceeds an absolute limit: ${stableSick}`;
  const isAway = state.weight < 100 && (state.stableLostAt !== undefined || podsOf(seen, state.stable).ready === 0);
  return isAway ? `${state.stable} has no ready pod` : undefined;
}

function judgeAlone(state: CanaryState, reading: GateReading, because: string, at: At): Decision | undefined {
  if (reading.absolute === 'Fail')
    return abortRollout(state, { reason: reading.failed ?? 'LatencyGateFailed', message: reading.message }, at);
  if (reading.absolute === 'Pass')
    return mayGoOn(state, at.plan)
      ? hurry(state, because, at, `${state.candidate} is within its absolute limits and`)
      : undefined;
  const hasOwnEnd = state.phase === 'Paused' && (state.why === 'Undecided' || state.why === 'ReportsStale');
  if (reading.step !== 'Fail' || isOffSteps(state) || hasOwnEnd) return undefined;
  return pauseRollout(
    state,
    'StableUnhealthy',
    { reason: 'StableUnhealthy', message: `${because}; ${state.candidate} cannot be compared with it` },
    at,
  );
}

/**
 * While the model is scaled to zero, no pod can be judged, so the candidate becomes stable without a verdict. The old
 * stable revision is kept (promotion-rules.ts, finishWhenDrained). Once the model has pods again, the rollout of
 * the new revision restarts with the old revision as stable.
 */
export function sleepWhenScaledToZero(state: CanaryState, at: At): Decision | undefined {
  const { plan } = at;
  return plan.replicas === 0 ? makeStable(state.candidate, state.stable, at) : undefined;
}
