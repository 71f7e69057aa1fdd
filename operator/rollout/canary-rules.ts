/**
 * Rules of a candidate that goes through its steps: Shifting, Analyzing, Paused.
 *
 * Terms: An intent is a field of spec.rollout that asks for one action. A window is the blocks (of 20 s) by which the
 * gates judge a step; a reading is their result. The weight is the candidate's share of the traffic in percent.
 * Owns: the events that have priority over progress (a new spec, an intent, lost pods, a failed gate, a pause), and
 * when a step ends.
 * Rule: a pause stops progress, but it never stops a rollback. A failed gate also ends a rollout that
 * spec.rollout.paused holds.
 * Pure.
 */
import { blockSeconds } from '../../api/report.ts';
import { plural } from '../../api/text.ts';
import { abortRollout, isExempt, keep, lostForMs, readingOf, stepsOf, type Why } from './decisions.ts';
import { fleetOf, hasTaken, isFought, isOffSteps, podsOf, weightNow } from './serving.ts';
import { isJudged, type JudgedStep } from './plan.ts';
import { noRequests } from './no-requests.ts';
import { splitFor } from './replicas.ts';
import type { At, CanaryState, Decision, Millis, Observation, PauseReason, StateIn } from './state.ts';
import { secondsWords, shadowWords, shareWords, wantedWords } from './words.ts';
import {
  abortLost,
  enterStep,
  fitsPlan,
  followPlan,
  judgedBy,
  lookMs,
  pauseRollout,
  reach,
  reachedBy,
  setAnew,
  without,
} from './steps.ts';

/** The rollout pauses when the operator reverted another client's weights this many times in ten minutes. */
const revertLimit = 3;
/** A step that waits for a healthy stable begins a new window after this time. */
const lookAnewMs = 600_000;

export function abortWhenSuperseded(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (seen.target === state.candidate) return undefined;
  const reverted = seen.target === state.stable;
  const why: Why = reverted
    ? { reason: 'RevisionReverted', message: wantedWords(state.stable, plan) }
    : { reason: 'RevisionSuperseded', message: wantedWords(seen.target, plan) };
  return abortRollout(state, why, at);
}

export function abortOnRequest(state: CanaryState, at: At): Decision | undefined {
  const { plan } = at;
  if (plan.abortRevision !== state.candidate) return undefined;
  return abortRollout(state, { reason: 'Aborted', message: `spec.rollout.abortRevision names ${state.candidate}` }, at);
}

/**
 * stepsOf() (decisions.ts) is empty once promotion was requested, so enterStep moves all the traffic to the candidate
 * and then promotes it.
 */
export function promoteOnRequest(state: CanaryState, at: At): Decision | undefined {
  const { plan } = at;
  if (
    plan.promoteRevision !== state.candidate ||
    isFought(state) ||
    (state.phase === 'Shifting' && state.weight === 100)
  )
    return undefined;
  const why = {
    reason: 'PromotedByRequest',
    message: `spec.rollout.promoteRevision names ${state.candidate}`,
  } as const;
  return enterStep(reachedBy(state), 0, at, why);
}

/**
 * A candidate without a ready pod gets no traffic (serving.ts, trafficFor). A candidate that has no ready pod for
 * `lostForMs` is given up.
 */
export function withdrawWhenLost(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (plan.replicas === 0) return undefined;
  const { lostAt, ...rest } = state;
  if (podsOf(seen, state.candidate).ready > 0) {
    if (lostAt === undefined) return undefined;
    return setAnew(rest, 0, at, { reason: 'WeightMoving', message: `${state.candidate} has ready pods again` });
  }
  // If stable has no ready pod either, the candidate is probably not the cause, so it is not given up.
  if (podsOf(seen, state.stable).ready === 0)
    return keep(
      rest,
      { reason: 'NoReadyPods', message: `neither ${state.stable} nor ${state.candidate} has a ready pod` },
      at,
      lookMs,
    );
  if (lostAt !== undefined && now - lostAt >= lostForMs) return abortLost(rest, at);
  const next = { ...state, lostAt: lostAt ?? now };
  return keep(
    next,
    { reason: 'CandidateUnavailable', message: `${state.candidate} has no ready pod: ${state.stable} serves alone` },
    at,
    next.lostAt + lostForMs - now,
  );
}

/**
 * A pod that starts during the rollout is checked too, because a model can be right on one CPU and wrong on another.
 */
export function abortOnFailedChecks(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan } = at;
  const { checks } = podsOf(seen, state.candidate);
  if (checks?.verdict !== 'Fail' || plan.promoteRevision === state.candidate || isExempt(state.candidate, at))
    return undefined;
  return abortRollout(state, checks, at);
}

export function pauseOnConflict(state: CanaryState, at: At): Decision | undefined {
  const { seen } = at;
  if ((seen.traffic?.reverts ?? 0) < revertLimit || isOffSteps(state)) return undefined;
  const message =
    `another client changed the weights of the route ${revertLimit} times in ten minutes; ` +
    'the operator restored them';
  return pauseRollout(state, 'WeightConflict', { reason: 'WeightConflict', message }, at);
}

/** While spec.rollout.paused is set, the rollout keeps its weight and its pods, and its time limits do not run. */
export function holdWhilePaused(state: CanaryState, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  const { heldAt, ...rest } = state;
  if (plan.paused)
    return keep(
      { ...state, heldAt: heldAt ?? now },
      {
        reason: 'PausedManually',
        message:
          `spec.rollout.paused holds ${state.candidate}: ` +
          `${shareWords(state.candidate, reachedBy(state).weight, seen)}`,
      },
      at,
      lookMs,
    );
  if (heldAt === undefined) return undefined;
  const next = { ...rest, since: state.since + now - heldAt };
  return keep(next, { reason: 'Resumed', message: `the rollout of ${state.candidate} continues` }, at, 0);
}

export function followChangedSteps(state: CanaryState, at: At): Decision | undefined {
  return fitsPlan(state, at) || isOffSteps(state) ? undefined : followPlan(state, at);
}

/**
 * Once the traffic matches the weight that the ready pods can carry, records this weight, so that stable can scale
 * down.
 */
export function moveWeight(state: StateIn<'Shifting'>, at: At): Decision | undefined {
  const { seen } = at;
  const carried = weightNow(state, at);
  if (carried === state.set || !hasTaken(state, carried, at)) return undefined;
  const { ready } = podsOf(seen, state.candidate);
  return keep(
    { ...state, set: carried },
    {
      reason: 'WeightMoving',
      message: `${state.candidate} with ${plural(ready, 'ready pod')}: ${shareWords(state.candidate, carried, seen)}`,
    },
    at,
    0,
  );
}

export function reachWhenVerified(state: StateIn<'Shifting'>, at: At): Decision | undefined {
  if (state.set !== state.weight || !hasTaken(state, state.weight, at) || !hasPodsFor(state, at)) return undefined;
  return reach(state, at);
}

/**
 * With router Service, the numbers of ready pods determine the share, so the pods for a share are ready when the share
 * is reached. A route can reach its weight with fewer pods; the rollout then waits for the missing pods until the
 * progress deadline.
 */
function hasPodsFor(state: StateIn<'Shifting'>, { seen, plan }: At): boolean {
  return (
    state.weight === 0 ||
    state.weight === 100 ||
    podsOf(seen, state.candidate).ready >= splitFor(state.weight, fleetOf(state, plan)).candidate
  );
}

export function abortWhenLate(state: StateIn<'Shifting'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (now - state.since < plan.readyWithinMs) return undefined;
  const within = secondsWords(plan.readyWithinMs);
  const { problem } = seen.traffic ?? {};
  if (problem !== undefined)
    return abortRollout(
      state,
      {
        reason: 'RouteNotAccepted',
        message: `the traffic did not reach the target of ${state.weight} % within ${within}: ${problem}`,
      },
      at,
    );
  const { ready, trouble } = podsOf(seen, state.candidate);
  const needed = splitFor(state.weight, fleetOf(state, plan)).candidate;
  const message =
    `${ready} of ${needed} pods for ${state.weight} % of the traffic were ready after ` +
    `${within}${trouble === undefined ? '' : `: ${trouble.message}`}`;
  return abortRollout(state, { reason: trouble?.reason ?? 'ProgressDeadlineExceeded', message }, at);
}

export function waitForWeight(state: StateIn<'Shifting'>, at: At): Decision {
  const { seen, plan, now } = at;
  const { ready } = podsOf(seen, state.candidate);
  const needed = splitFor(state.weight, fleetOf(state, plan)).candidate;
  const missing =
    ready < needed ? `${ready} of ${needed} pods are ready` : (seen.traffic?.problem ?? 'the route is being updated');
  return keep(
    state,
    {
      reason: 'WeightMoving',
      message: `${state.candidate}: ${shareWords(state.candidate, state.weight, seen)}; ${missing}`,
    },
    at,
    Math.min(1000, state.since + plan.readyWithinMs - now),
  );
}

export function pauseWhenSilent(state: StateIn<'Analyzing'>, at: At): Decision | undefined {
  const { seen } = at;
  const reading = readingOf(state, seen);
  if (reading === undefined || reading.silent.length === 0) return undefined;
  const message = `no pod of ${reading.silent.join(' or ')} has reported recently, so the gates cannot decide`;
  return pauseRollout(state, 'ReportsStale', { reason: 'ReportsStale', message }, at);
}

export function goOnWhenDone(state: StateIn<'Analyzing'>, at: At): Decision | undefined {
  const { seen } = at;
  const reading = readingOf(state, seen);
  return reading?.step === 'Done' ? enterStep(judgedBy(state, reading), state.step + 1, at) : undefined;
}

/** Too little traffic is neither a failure nor a success; spec.rollout.onUndecided decides. */
export function endWhenUndecided(state: StateIn<'Analyzing'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  const step = judgedStep(state, at);
  const reading = readingOf(state, seen);
  if (step === undefined || now - state.since < step.maxDurationMs || reading?.pending === true) return undefined;
  const message =
    `undecided after ${secondsWords(step.maxDurationMs)}: ` +
    `${noRequests(state.candidate, reading, now - state.since) ?? reading?.message ?? 'no pod has reported'}`;
  if (plan.onUndecided === 'Rollback') return abortRollout(state, { reason: 'Undecided', message }, at);
  if (plan.onUndecided === 'Promote')
    return enterStep(without(state, 'PromotedUndecided'), state.step + 1, at, {
      reason: 'Undecided',
      message: `${message}; spec.rollout.onUndecided is Promote, so the rollout continues`,
    });
  return pauseRollout(state, 'Undecided', { reason: 'Undecided', message }, at);
}

export function waitForEvidence(state: StateIn<'Analyzing'>, at: At): Decision {
  const { seen, now } = at;
  const step = judgedStep(state, at);
  const leftMs = state.since + (step?.maxDurationMs ?? lookMs) - now;
  const has = step?.kind === 'shadow' ? shadowWords : shareWords(state.candidate, state.weight, seen);
  return keep(
    state,
    {
      reason: 'Analyzing',
      message: `analysing ${state.candidate}: ${[has, ...knownWords(state, seen, now)].join('; ')}`,
    },
    at,
    Math.min(lookMs, leftMs),
  );
}

function knownWords(state: StateIn<'Analyzing'>, seen: Observation, now: Millis): readonly string[] {
  const reading = readingOf(state, seen);
  const { problem } = seen.traffic ?? {};
  return [
    noRequests(state.candidate, reading, now - state.since) ?? reading?.message ?? 'waiting for reports',
    // Name the problem of the traffic, such as a missing Gateway: it can explain why no request arrives.
    ...(problem === undefined ? [] : [`traffic problem: ${problem}`]),
    ...(reading?.promise === undefined ? [] : [`forecast: ${reading.promise}`]),
  ];
}

function judgedStep(state: CanaryState, at: At): JudgedStep | undefined {
  const step = stepsOf(state.candidate, at)[state.step];
  return isJudged(step) ? step : undefined;
}

/**
 * A pause for WeightConflict resumes only once there are fewer than `revertLimit` reverts in ten minutes. Otherwise the
 * next pass would pause the rollout again.
 */
export function resumeOnRequest(state: StateIn<'Paused'>, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (plan.resumeStep !== `${state.candidate}/${state.step}`) return undefined;
  const why = {
    reason: 'Resumed',
    message: `spec.rollout.resumeStep ends the pause of step ${state.step + 1}`,
  } as const;
  if (!isFought(state))
    return enterStep(
      state.why === 'Step' ? reachedBy(state) : without(state, 'ResumedUndecided'),
      state.step + 1,
      at,
      why,
    );
  return (seen.traffic?.reverts ?? 0) < revertLimit ? setAnew(state, state.weight, at, why) : undefined;
}

type Ends = { readonly [W in PauseReason]: (state: StateIn<'Paused'>, at: At) => Decision | undefined };

/** How each kind of pause ends without spec.rollout.resumeStep. */
const ends: Ends = {
  Step: (state, at) => {
    const step = stepsOf(state.candidate, at)[state.step];
    const over = step?.kind === 'pause' && step.durationMs !== undefined && at.now - state.since >= step.durationMs;
    return over ? enterStep(reachedBy(state), state.step + 1, at) : undefined;
  },
  Undecided: (state, at) => {
    const reading = readingOf(state, at.seen);
    const message =
      reading?.step === 'Done' ? `the gates have decided: ${reading.message}` : 'spec.rollout.onUndecided is Promote';
    if (at.plan.onUndecided === 'Rollback')
      return abortRollout(state, { reason: 'Undecided', message: 'spec.rollout.onUndecided is Rollback' }, at);
    if (reading?.step !== 'Done' && at.plan.onUndecided !== 'Promote') return undefined;
    const reached = reading?.step === 'Done' ? judgedBy(state, reading) : without(state, 'PromotedUndecided');
    return enterStep(reached, state.step + 1, at, { reason: 'Resumed', message });
  },
  ReportsStale: (state, at) =>
    readingOf(state, at.seen)?.silent.length === 0
      ? enterStep(reachedBy(state), state.step, at, { reason: 'Resumed', message: 'the pods report again' })
      : undefined,
  StableUnhealthy: (state, at) => {
    if (podsOf(at.seen, state.stable).ready === 0) return undefined;
    const reading = readingOf(state, at.seen);
    if (reading?.pending === true || (reading?.stableSick !== undefined && at.now - state.since < lookAnewMs))
      return undefined;
    return setAnew(state, state.weight, at, {
      reason: 'Resumed',
      message:
        reading?.stableSick === undefined
          ? `${state.stable} is healthy again`
          : `${state.stable} is checked again in a new window`,
    });
  },
  WeightConflict: (state, at) =>
    (at.seen.traffic?.reverts ?? 0) === 0
      ? setAnew(state, state.weight, at, {
          reason: 'Resumed',
          message: 'no other client has changed the weights for ten minutes',
        })
      : undefined,
};

export function resumeWhenOver(state: StateIn<'Paused'>, at: At): Decision | undefined {
  return ends[state.why](state, at);
}

const pauseWords: Readonly<Record<PauseReason, Why['reason']>> = {
  Step: 'PausedByStep',
  Undecided: 'Undecided',
  ReportsStale: 'ReportsStale',
  StableUnhealthy: 'StableUnhealthy',
  WeightConflict: 'WeightConflict',
};

/** What ends each kind of pause, for the status message. */
const wayOut: { readonly [W in PauseReason]: (state: StateIn<'Paused'>) => string } = {
  Step: ({ candidate, step }) =>
    `until pause step ${step + 1} ends; set spec.rollout.resumeStep to ${candidate}/${step} to end it now`,
  Undecided: ({ candidate, step }) => `until its gates decide or spec.rollout.resumeStep is ${candidate}/${step}`,
  ReportsStale: ({ candidate, step }) =>
    `until its pods and the pods of stable report again, or spec.rollout.resumeStep is ${candidate}/${step}`,
  StableUnhealthy: ({ stable, candidate, step }) =>
    `until ${stable} is healthy, or spec.rollout.resumeStep is ${candidate}/${step}`,
  WeightConflict: ({ candidate, step }) =>
    'until ten minutes have passed without a weight change by another client; to continue sooner, stop the other ' +
    `client and set spec.rollout.resumeStep to ${candidate}/${step}`,
};

export function stayPaused(state: StateIn<'Paused'>, at: At): Decision {
  const { seen, now } = at;
  const step = stepsOf(state.candidate, at)[state.step];
  const durationMs = state.why === 'Step' && step?.kind === 'pause' ? step.durationMs : undefined;
  const leftMs = durationMs === undefined ? lookMs : Math.min(lookMs, state.since + durationMs - now);
  const isAlone = podsOf(seen, state.stable).ready === 0 && state.weight < 100;
  const has = isAlone
    ? `${state.candidate} serves alone because ${state.stable} has no ready pod; it stays paused`
    : `${state.candidate} is paused: ${shareWords(state.candidate, state.weight, seen)},`;
  const idle =
    state.why === 'Undecided'
      ? noRequests(state.candidate, readingOf(state, seen), now - state.window * blockSeconds * 1000)
      : undefined;
  const message = `${has} ${wayOut[state.why](state)}${idle === undefined ? '' : `; ${idle}`}`;
  return keep(state, { reason: pauseWords[state.why], message }, at, leftMs);
}
