/**
 * The bench's results for one cell.
 * Owns: the row, its fields and how they are computed from runs. Rates are 0..1. A number that is not defined for the
 * cell is null.
 * Terms: a cell is one judge in one scenario at one rate of requests. A run simulates the candidate (the new revision)
 * beside stable (the serving revision): in a rollout with its steps, or in a single window with one share of the
 * traffic. A gate limits one measure; its bounds are an interval for the true value of the measure.
 */
import type { GateResult } from '../../operator/analysis/verdict.ts';
import type { Cell } from './cell.ts';
import type { Outcome } from './ours.ts';
import type { Ending, RolloutRun, Router } from './rollout.ts';
import { isCorrelated, same } from './scenarios.ts';
import { unseenSame } from './unseen.ts';

export type Row = {
  readonly judge: Cell['judge'];
  readonly scenario: string;
  readonly identical: boolean;
  readonly correlatedNoise: boolean;
  readonly requestsPerMinute: number;
  readonly runs: number;
  /**
   * Share of runs that rolled back although the candidate was within its limits; null when the candidate exceeds a
   * limit.
   */
  readonly falseRollbackRate: number | null;
  /** Share of runs that found the regression; null when the candidate has no regression. */
  readonly detectedRate: number | null;
  /** Median of the candidate's requests until the rollback; null when the candidate has no regression. */
  readonly medianRequestsToDetect: number | null;
  /** Median minutes until the rollback; null when the candidate has no regression. */
  readonly medianMinutesToDetect: number | null;
  readonly candidateShare: number | null;
  readonly historyMinutes: number;
  /** The results that only a rollout has; null for a single window. */
  readonly rollout: RolloutNumbers | null;
};

export type RolloutNumbers = {
  readonly router: Router;
  readonly replicas: number;
  /**
   * True: both revisions had the same number of pods in every step. False: the candidate had the number of pods that
   * its share of the traffic needs.
   */
  readonly podsEach: boolean;
  readonly promotedRate: number;
  /** Share of runs in which a step reached its maximum duration without a verdict. */
  readonly heldRate: number;
  /** Share of runs that end with stable when `onUndecided` is Rollback. It includes held runs. */
  readonly rolledBackIfRollback: number;
  /** Share of runs that end with the candidate when `onUndecided` is Promote. It includes held runs. */
  readonly promotedIfPromote: number;
  readonly medianMinutesToPromotion: number | null;
  readonly p90MinutesToPromotion: number | null;
  /** For each analysis window, the median duration in minutes over the runs that reached this window. */
  readonly medianStepMinutes: readonly number[];
  /** Share of all runs that rolled back before the candidate had half of the traffic. */
  readonly foundBeforeHalfRate: number;
  readonly medianCandidateRequests: number | null;
  readonly medianCandidateFailures: number | null;
  /** The median number of the candidate's answers that took longer than 1.15 times stable's p95. */
  readonly medianCandidateSlow: number | null;
  /** Share of runs that promoted a candidate whose true difference exceeds both a gate's limit and its upper bound. */
  readonly wrongPromotionRate: number;
  readonly shown: readonly ShownNumbers[];
  readonly bounds: readonly BoundNumbers[];
};

/** Median upper bound of a gate at promotion. */
export type ShownNumbers = { readonly gate: string; readonly medianUpper: number | null };

/** How often the true value was outside the bounds of a gate. */
export type BoundNumbers = {
  readonly gate: string;
  readonly alpha: number;
  /** The number of windows that were compared. */
  readonly windows: number;
  /** The number of windows whose bounds did not contain the true value at the end. */
  readonly missedAtEnd: number;
  /**
   * The number of windows whose bounds did not contain the true value at the end or at an earlier comparison
   * (rollout.ts, seenAfterMinutes).
   */
  readonly everMissed: number;
};

export function rowOfWindows(cell: Cell, outcomes: readonly Outcome[], isHarmless: boolean): Row {
  const found = outcomes.filter((outcome) => outcome.rolledBack);
  return { ...commonOf(cell, { runs: outcomes.length, found, isHarmless }), candidateShare: cell.share, rollout: null };
}

export function rowOfRollouts(
  cell: Cell & { readonly podsEach: boolean },
  runs: readonly RolloutRun[],
  isHarmless: boolean,
): Row {
  const share = (count: number): number => count / runs.length;
  const ended = (ending: Ending): readonly RolloutRun[] => runs.filter((run) => run.ending === ending);
  const found = ended('RolledBack');
  const promoted = ended('Promoted').map(({ minutes }) => minutes);
  const rollout: RolloutNumbers = {
    router: cell.router,
    replicas: cell.replicas,
    podsEach: cell.podsEach,
    promotedRate: share(promoted.length),
    heldRate: share(ended('Held').length),
    rolledBackIfRollback: share(runs.length - promoted.length),
    promotedIfPromote: share(runs.filter((run) => run.endingIfPromoted === 'Promoted').length),
    medianMinutesToPromotion: quantileOf(promoted, 0.5),
    p90MinutesToPromotion: quantileOf(promoted, 0.9),
    medianStepMinutes: stepMinutes(runs),
    foundBeforeHalfRate: share(found.filter((run) => !run.reachedHalf).length),
    medianCandidateRequests: quantileOf(
      runs.map((run) => run.candidateRequests),
      0.5,
    ),
    medianCandidateFailures: quantileOf(defined(runs.map((run) => run.candidateFailures)), 0.5),
    medianCandidateSlow: quantileOf(defined(runs.map((run) => run.candidateSlow)), 0.5),
    wrongPromotionRate: share(runs.filter((run) => run.isWronglyPromoted === true).length),
    shown: shownOf(runs),
    bounds: boundsOf(runs),
  };
  return { ...commonOf(cell, { runs: runs.length, found, isHarmless }), candidateShare: null, rollout };
}

type Found = {
  readonly runs: number;
  readonly found: readonly Pick<Outcome, 'candidateRequests' | 'minutes'>[];
  readonly isHarmless: boolean;
};

function commonOf(cell: Cell, { runs, found, isHarmless }: Found): Omit<Row, 'candidateShare' | 'rollout'> {
  const { scenario } = cell;
  return {
    judge: cell.judge,
    scenario: scenario.name,
    identical: same.has(scenario) || unseenSame.includes(scenario),
    correlatedNoise: isCorrelated(scenario),
    requestsPerMinute: cell.requestsPerMinute,
    runs,
    falseRollbackRate: isHarmless ? found.length / runs : null,
    detectedRate: isHarmless ? null : found.length / runs,
    medianRequestsToDetect: isHarmless ? null : medianOf(found.map((outcome) => outcome.candidateRequests)),
    medianMinutesToDetect: isHarmless ? null : medianOf(found.map((outcome) => outcome.minutes)),
    historyMinutes: cell.historyMinutes,
  };
}

function stepMinutes(runs: readonly RolloutRun[]): readonly number[] {
  const steps = Math.max(0, ...runs.map((run) => run.stepMinutes?.length ?? 0));
  const minutesOf = (step: number): readonly number[] => defined(runs.map((run) => run.stepMinutes?.[step]));
  return Array.from({ length: steps }, (_, step) => medianOf(minutesOf(step)) ?? 0);
}

function shownOf(runs: readonly RolloutRun[]): readonly ShownNumbers[] {
  const last = defined(runs.map((run) => run.promotedOn));
  return (last[0] ?? []).map(({ gate }) => {
    const upper = quantileOf(
      last.map((results) => upperOf(results, gate)),
      0.5,
    );
    return { gate, medianUpper: upper === Infinity ? null : upper };
  });
}

function upperOf(results: readonly GateResult[], gate: string): number {
  return results.find((one) => one.gate === gate)?.upper ?? Infinity;
}

function boundsOf(runs: readonly RolloutRun[]): readonly BoundNumbers[] {
  const windows = runs.flatMap((run) => run.windows ?? []);
  return [...new Set(windows.map(({ gate }) => gate))].map((gate) => {
    const own = windows.filter((one) => one.gate === gate);
    const missedAtEnd = own.filter((one) => one.isMissedAtEnd).length;
    const everMissed = own.filter((one) => one.isEverMissed).length;
    return { gate, alpha: own[0]?.alpha ?? 0, windows: own.length, missedAtEnd, everMissed };
  });
}

function medianOf(values: readonly number[]): number | null {
  return quantileOf(values, 0.5);
}

function defined<T>(values: readonly (T | undefined)[]): readonly T[] {
  return values.filter((value) => value !== undefined);
}

/**
 * A quantile, interpolated between the two nearest values.
 * @param share 0..1; 0.5 for the median
 * @returns null for an empty list
 */
export function quantileOf(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0];
  return low === high ? low : low + (at - Math.floor(at)) * (high - low);
}
