/**
 * The transitions from step to step of a canary.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step is judged. The weight is the candidate's share of the
 * traffic in percent. A judgement is skipped when a rollout continues although its gates have not decided.
 * Owns: the effect of entering a step, where a rollout continues after its weight was set again, and which step follows
 * after the steps were changed.
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

/** A rollout between two steps. */
export type Reached = {
  readonly stable: Revision;
  readonly candidate: Revision;
  readonly attempt: number;
  readonly floor: number;
  /** The weight that was reached, 0 to 100. */
  readonly weight: number;
  /** The first block of the window in which the traffic had this weight; 0 if there is no window. */
  readonly window: Block;
} & Pick<CanaryState, 'stableLostAt' | 'skipped' | 'shown'>;

/** The weight and window that a state has reached. While the weight moves, the reached weight is `set`. */
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

/** Records the first judgement that an attempt skipped. A judgement that is skipped later does not replace it. */
export function without(state: CanaryState, skip: Skip): Reached {
  const reached = reachedBy(state);
  return { ...reached, skipped: reached.skipped ?? skip };
}

/** Records what the gates have shown in a completed step. It replaces what they have shown in an earlier step. */
export function judgedBy(state: CanaryState, { shown }: Pick<GateReading, 'shown'>): Reached {
  return { ...reachedBy(state), ...present({ shown }) };
}

/**
 * Begins step `from`. If it is a weight step whose weight was already reached, it is skipped, and so are the weight
 * steps that follow it with a reached weight. After the last step, the weight moves to 100 %. A candidate that already
 * has 100 % is promoted.
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

/** Moves the weight. A new window begins once the new weight is verified. */
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

/** Enters the next step with a new window, once the weight is reached and its pods are ready. */
export function reach(state: CanaryState & { readonly phase: 'Shifting' }, at: At): Decision {
  return enterStep(
    { ...reachedBy(state), weight: state.weight, window: firstWholeBlockAfter(at.now) },
    state.step + 1,
    at,
  );
}

/**
 * Moves the weight from `from`, which may be lower, back to the state's weight. Once this weight is reached, the
 * rollout continues after the step that asked for it, because the windows of earlier steps are over.
 */
export function setAnew(state: CanaryState, from: number, at: At, why: Why): Decision {
  const reached = { ...reachedBy(state), weight: from };
  const step = stepOfWeight(stepsOf(state.candidate, at), state.weight);
  return state.weight === 0 || step < 0
    ? enterStep(reached, 0, at, why)
    : shift(reached, { step, weight: state.weight }, at, why);
}

/** The index of the last weight step with at most this weight; -1 if there is no such step. */
function stepOfWeight(steps: readonly Step[], weight: number): number {
  return steps.findLastIndex((step) => step.kind === 'weight' && step.weight <= weight);
}

/**
 * Whether the plan still fits the state. At the state's index, the plan must have a step of the state's kind; a pause
 * that does not belong to a pause step needs a step with gates. Up to this step, the plan must ask for at most the
 * state's weight. If the plan has no step at this index, the state fits only while the weight moves to 100 %.
 */
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
 * When the steps were changed during a rollout, the rollout keeps its weight and continues after the last weight step
 * with at most that weight.
 */
export function followPlan(state: CanaryState, at: At): Decision {
  const reached = reachedBy(state);
  const index = stepOfWeight(stepsOf(state.candidate, at), reached.weight) + 1;
  const why = {
    reason: 'StepsChanged',
    message:
      `spec.rollout.steps has changed: ${state.candidate} continues from ` +
      `${shareWords(state.candidate, reached.weight, at.seen)}`,
  } as const;
  return enterStep(reached, index, at, why);
}

/** Aborts the rollout of a candidate that has no ready pod any more. */
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

/** While a rollout waits, the next pass runs after this time at the latest, and whenever a report changes. */
export const lookMs = 5000;

/** Pauses the rollout. If the weight was moving, a window begins, so that the gates also judge during the pause. */
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
