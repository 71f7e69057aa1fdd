/**
 * From step to step of a canary.
 *
 * Owns:  what entering a step does, where a rollout goes on after its weight had to be set anew, and which step a
 *        changed list of steps leaves it in.
 * Pure.
 */
import { present } from '../../api/present.ts';
import { firstWholeBlockAfter } from '../../api/report.ts';
import { abortRollout, keep, makeStable, stepsOf, type Why } from './decisions.ts';
import { podsOf } from './serving.ts';
import { isJudged, type Step } from './plan.ts';
import { secondsWords, shadowWords, shareWords } from './words.ts';
import type { Skip } from './provenance.ts';
import type { At, Block, CanaryState, Decision, GateReading, PauseReason, Revision } from './state.ts';

/** A rollout between two steps: what was reached, and since which block the weight is what it is. */
export type Reached = {
  readonly stable: Revision;
  readonly candidate: Revision;
  readonly attempt: number;
  readonly floor: number;
  readonly weight: number;
  readonly window: Block;
} & Pick<CanaryState, 'stableLostAt' | 'skipped' | 'shown'>;

/** What a state has reached so far. A weight on its way has reached what was set. */
export function reachedBy(state: CanaryState): Reached {
  const { stable, candidate, attempt, floor, stableLostAt, skipped, shown } = state;
  const weight = state.phase === 'Shifting' ? state.set : state.weight;
  return {
    stable,
    candidate,
    attempt,
    floor,
    weight,
    window: 'window' in state ? state.window : 0,
    ...present({ stableLostAt, skipped, shown }),
  };
}

/** The first judgement that an attempt goes on without is the one that counts. */
export function without(state: CanaryState, skip: Skip): Reached {
  const reached = reachedBy(state);
  return { ...reached, skipped: reached.skipped ?? skip };
}

/** A judgement that is done has shown what it has shown; the last one counts. */
export function judgedBy(state: CanaryState, { shown }: Pick<GateReading, 'shown'>): Reached {
  return { ...reachedBy(state), ...present({ shown }) };
}

/**
 * Begins step `from`, or the first after it that asks for something new; past the last one all traffic is the
 * candidate's.
 */
export function enterStep(reached: Reached, from: number, at: At, why?: Why): Decision {
  const steps = stepsOf(reached.candidate, at);
  let index = from;
  while (asksForReachedWeight(steps[index], reached.weight)) index += 1;
  const step = steps[index];
  const { weight, window, ...course } = reached;
  const place = { ...course, step: index, since: at.now };
  if (step === undefined)
    return weight === 100
      ? makeStable(reached.candidate, reached.stable, at, reached)
      : shift(reached, { step: index, weight: 100 }, at, why);
  if (step.kind === 'weight') return shift(reached, { step: index, weight: step.weight }, at, why);
  if (step.kind === 'pause') return pauseAt({ phase: 'Paused', ...place, weight, window, why: 'Step' }, step, at);
  const message =
    `analysing ${reached.candidate} at step ${index + 1} of ${steps.length}: ` +
    `${step.kind === 'shadow' ? shadowWords : shareWords(reached.candidate, weight, at.seen)}`;
  const judgedFrom = step.kind === 'shadow' ? firstWholeBlockAfter(at.now) : window;
  return keep(
    { phase: 'Analyzing', ...place, weight, window: judgedFrom },
    why ?? { reason: 'Analyzing', message },
    at,
    step.maxDurationMs,
  );
}

function asksForReachedWeight(step: Step | undefined, weight: number): boolean {
  return step?.kind === 'weight' && step.weight <= weight;
}

function pauseAt(
  next: CanaryState & { readonly phase: 'Paused' },
  step: Step & { readonly kind: 'pause' },
  at: At,
): Decision {
  const until =
    step.durationMs === undefined
      ? `until spec.rollout.resumeStep is ${next.candidate}/${next.step}`
      : `for ${secondsWords(step.durationMs)}`;
  return keep(
    next,
    {
      reason: 'PausedByStep',
      message:
        `step ${next.step + 1} pauses ${next.candidate} ${until}: ` +
        `${shareWords(next.candidate, next.weight, at.seen)}`,
    },
    at,
    step.durationMs,
  );
}

/** Moves the weight; the window begins anew once the new one is verified. */
export function shift(
  reached: Reached,
  { step, weight }: { readonly step: number; readonly weight: number },
  at: At,
  why?: Why,
): Decision {
  const { weight: set, window: _, ...course } = reached;
  const next = { phase: 'Shifting', ...course, step, weight, set, since: at.now } as const;
  return keep(
    next,
    why ?? { reason: 'WeightMoving', message: `${course.candidate}: ${shareWords(course.candidate, weight, at.seen)}` },
    at,
    1000,
  );
}

/** Everything that was asked for is there: the next step, in a window of its own. */
export function reach(state: CanaryState & { readonly phase: 'Shifting' }, at: At): Decision {
  return enterStep(
    { ...reachedBy(state), weight: state.weight, window: firstWholeBlockAfter(at.now) },
    state.step + 1,
    at,
  );
}

/**
 * Sets the weight anew, from a share that may be less, and goes on after the step that asked for it: what was judged
 * before is a closed window.
 */
export function setAnew(state: CanaryState, from: number, at: At, why: Why): Decision {
  const reached = { ...reachedBy(state), weight: from };
  const step = stepOfWeight(stepsOf(state.candidate, at), state.weight);
  return state.weight === 0 || step < 0
    ? enterStep(reached, 0, at, why)
    : shift(reached, { step, weight: state.weight }, at, why);
}

/** The last step that asks for at most this weight; -1 when none does. */
function stepOfWeight(steps: readonly Step[], weight: number): number {
  return steps.findLastIndex((step) => step.kind === 'weight' && step.weight <= weight);
}

/** Whether the state's step is still what the plan says there. */
export function fitsPlan(state: CanaryState, at: Pick<At, 'seen' | 'plan'>): boolean {
  const steps = stepsOf(state.candidate, at);
  const step = steps[state.step];
  const reachedByPlan = steps.slice(0, state.step + 1).findLast((each) => each.kind === 'weight')?.weight ?? 0;
  if (state.phase === 'Shifting')
    return step === undefined ? state.weight === 100 : step.kind === 'weight' && step.weight <= state.weight;
  const fits = state.phase === 'Analyzing' || state.why !== 'Step' ? isJudged(step) : step?.kind === 'pause';
  return fits && reachedByPlan <= state.weight;
}

/**
 * The steps were changed under a rollout: it keeps its weight and goes on after the last step that asks for no more.
 */
export function followPlan(state: CanaryState, at: At): Decision {
  const reached = reachedBy(state);
  const index = stepOfWeight(stepsOf(state.candidate, at), reached.weight) + 1;
  const why = {
    reason: 'StepsChanged',
    message:
      `spec.rollout.steps has changed: ${state.candidate} goes on from ` +
      `${shareWords(state.candidate, reached.weight, at.seen)}`,
  } as const;
  return enterStep(reached, index, at, why);
}

/** The candidate's pods broke before or under its traffic. */
export function abortLost(state: CanaryState, at: At): Decision {
  const { trouble } = podsOf(at.seen, state.candidate);
  return abortRollout(
    state,
    {
      reason: 'CandidateUnavailable',
      message: `${state.candidate} has no ready pod left: ${trouble?.message ?? 'its pods are not ready'}`,
    },
    at,
  );
}

/** How often a pass looks at reports, besides when one says something new. */
export const lookMs = 5000;

/** In the middle of a shift a window begins with the pause: what happens in it is looked at too. */
export function pauseRollout(state: CanaryState, why: PauseReason, words: Why, at: At): Decision {
  const { window, ...reached } = reachedBy(state);
  return keep(
    {
      phase: 'Paused',
      ...reached,
      step: state.step,
      window: state.phase === 'Shifting' ? firstWholeBlockAfter(at.now) : window,
      why,
      since: at.now,
    },
    words,
    at,
    lookMs,
  );
}
