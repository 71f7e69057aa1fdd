/**
 * Rules of a canary whose stable revision is in trouble: it has no ready pod, breaks its own limits, or the model is
 * scaled to zero.
 *
 * Owns:  when a candidate goes on without being compared with stable. A pause step and a hold are never left for that:
 *        the candidate carries the traffic meanwhile (decisions.ts, trafficFor), and an approval stays an approval.
 * Pure.
 */
import { abortRollout, keep, lostForMs, makeStable, readingOf, stepsOf, windowFrom, type Why } from './decisions.ts';
import { hasTaken, isFought, isOffSteps, podsOf } from './serving.ts';
import { isJudged } from './plan.ts';
import type { At, CanaryState, Decision, GateReading, Observation, RolloutPlan } from './state.ts';
import { secondsWords } from './words.ts';
import { enterStep, pauseRollout, reachedBy, setAnew, shift, without, type Reached } from './steps.ts';

/**
 * Stable is away: the candidate carries the traffic. For as long as a candidate may be without a ready pod nothing else
 * happens. After that a candidate goes on that is not judged, or that keeps its own limits: it may be the repair.
 */
export function carryForStable(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  // With all the traffic on the candidate nothing depends on stable, which may have no pods by now.
  if (plan.replicas === 0 || state.weight === 100 || isFought(state)) return undefined;
  if (podsOf(seen, state.stable).ready > 0) return returnToWeight(state, at);
  const lostAt = state.stableLostAt ?? now;
  const because = `${state.stable} has no ready pod`;
  const leftMs = lostAt + lostForMs - now;
  if (leftMs > 0) {
    const message =
      `${because}: ${state.candidate} carries the traffic, and the rollout stands still for up to ` +
      `${secondsWords(lostForMs)}`;
    return keep({ ...state, stableLostAt: lostAt }, { reason: 'StableUnhealthy', message }, at, leftMs);
  }
  return mayGoOn(state, plan) ? goOnAlone(state, because, at) : undefined;
}

/** Stable has ready pods again. What was counted while the candidate carried its traffic is not compared. */
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

/** A hold by hand, a pause step, and gates that are undecided or silent wait for what they wait for, not for stable. */
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
  // It kept its own limits already, and is on its way to the weight of an approval.
  if (state.phase === 'Shifting' && state.skipped === 'StableLost') return undefined;
  if (reading?.absolute === 'Fail') return undefined;
  if (reading?.absolute === 'Pass') return hurry(state, `${because}, and ${state.candidate} keeps its own limits`, at);
  if (state.phase === 'Paused') return undefined;
  return pauseRollout(
    state,
    'StableUnhealthy',
    { reason: 'StableUnhealthy', message: `${because}: ${state.candidate} serves until it has` },
    at,
  );
}

/** To the next pause step, else to all the traffic. @returns undefined when that is what the state does already */
function hurry(state: CanaryState, because: string, at: At): Decision | undefined {
  const steps = stepsOf(state.candidate, at);
  const stop = steps.findIndex(({ kind }, index) => index >= state.step && kind === 'pause');
  const left = steps.slice(state.step, stop < 0 ? steps.length : stop);
  const reached = left.some(isJudged) ? without(state, 'StableLost') : reachedBy(state);
  const said = (to: string): Why => ({
    reason: 'StableUnhealthy',
    message: `${because}: ${state.candidate} goes on to ${to}`,
  });
  if (stop < 0) return shift(withoutMark(reached), { step: steps.length, weight: 100 }, at, said('all the traffic'));
  const asked = steps.slice(0, stop).findLastIndex((step) => step.kind === 'weight' && step.weight > reached.weight);
  if (state.phase === 'Shifting' && (asked === state.step || (asked < 0 && left.length <= 1))) return undefined;
  return enterStep(reached, asked < 0 ? stop : asked, at, said(`the pause of step ${stop + 1}`));
}

function withoutMark(reached: Reached): Reached {
  const { stableLostAt: _, ...rest } = reached;
  return rest;
}

/**
 * A gate that fails takes the traffic back. While stable is away or breaks a limit, a candidate is held to its own
 * limits only: a repair must be able to ship.
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
  if (stableSick !== undefined) return `${state.stable} itself fails: ${stableSick}`;
  const isAway = state.weight < 100 && (state.stableLostAt !== undefined || podsOf(seen, state.stable).ready === 0);
  return isAway ? `${state.stable} has no ready pod` : undefined;
}

function judgeAlone(state: CanaryState, reading: GateReading, because: string, at: At): Decision | undefined {
  if (reading.absolute === 'Fail')
    return abortRollout(state, { reason: reading.failed ?? 'LatencyGateFailed', message: reading.message }, at);
  if (reading.absolute === 'Pass')
    return mayGoOn(state, at.plan)
      ? hurry(state, `${because}; ${state.candidate} keeps its own limits`, at)
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
 * There is nobody to serve and nothing to judge: the candidate becomes stable, unproven. The old stable revision is
 * kept (promotion-rules.ts, finishWhenDrained), and with pods again the candidate begins anew beside it.
 */
export function sleepWhenScaledToZero(state: CanaryState, at: At): Decision | undefined {
  const { plan } = at;
  return plan.replicas === 0 ? makeStable(state.candidate, state.stable, at) : undefined;
}
