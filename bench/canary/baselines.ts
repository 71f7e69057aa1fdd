/**
 * How Argo Rollouts, Flagger and Kayenta judge a canary, by their documented rules and defaults.
 * Owns: one rule for each tool. Each rule uses one number per minute, as its tool does.
 * Rule: the rules follow the tools' documentation, not their code. The thresholds are the ones of our gate: 15 % more
 * latency, or 0.5 percentage points more errors. Flagger's threshold is an absolute number, so it is computed from
 * stable's true value.
 * Terms: a window is a period in which the candidate (the new revision) gets a constant share of the traffic and is
 * compared with stable (the serving revision). A gate limits one measure, such as the latency.
 */
import { addCount, emptyHistogram, lnQuantileOf, reportScale } from '../../operator/analysis/log-histogram.ts';
import { sliceSeconds, type PodSlice, type World } from './world.ts';
import type { Outcome } from './ours.ts';

/** One canary window, and the metric that a rule judges in it. */
export type Watched = {
  readonly weight: number;
  readonly minutes: number;
  readonly metric: 'latency' | 'errors';
  /** Stable's true values, for thresholds that are absolute numbers. */
  readonly stable: { readonly p95Ms: number; readonly errors: number };
};
export type BaselineName = 'argo-rollouts' | 'flagger' | 'kayenta';
type Minute = { readonly candidate: number | undefined; readonly stable: number | undefined };
/** Whether a tool would roll back. The rule gets one value per minute since the start, the newest last. */
type Rule = (minutes: readonly Minute[]) => boolean;

const quantile = 0.05;
const tolerance = 1.15;
const increase = 0.005;

/** Runs a canary at one weight and evaluates a tool's rule once a minute. */
export function watchWith(name: BaselineName, world: World, { weight, minutes, metric, stable }: Watched): Outcome {
  const byErrors = metric === 'errors';
  const limit = byErrors ? stable.errors + increase : stable.p95Ms * tolerance;
  const rule = {
    'argo-rollouts': argoRollouts(
      byErrors ? (own, other) => own > other + increase : (own, other) => own > tolerance * other,
    ),
    flagger: flagger(limit),
    kayenta,
  }[name];
  const seen: Minute[] = [];
  let candidateRequests = 0;
  for (let minute = 0; minute < minutes; minute++) {
    const sides = { candidate: new Minutely(), stable: new Minutely() };
    for (let i = 0; i < 60 / sliceSeconds; i++) {
      const slice = world.next(weight);
      sides.candidate.add(slice.candidate);
      sides.stable.add(slice.stable);
      candidateRequests += slice.candidate.reduce((sum, pod) => sum + pod.requests, 0);
    }
    seen.push({ candidate: sides.candidate.value(metric), stable: sides.stable.value(metric) });
    if (rule(seen)) return { rolledBack: true, candidateRequests, minutes: minute + 1 };
  }
  return { rolledBack: false, candidateRequests, minutes };
}

/** The requests of one revision in one minute or several minutes, and the metrics that are computed from them. */
export class Minutely {
  readonly #latency = emptyHistogram(reportScale);
  #requests = 0;
  #failures = 0;

  add(pods: readonly PodSlice[]): void {
    for (const pod of pods) {
      for (const bucket of pod.buckets) addCount(this.#latency, bucket, 1);
      this.#requests += pod.requests;
      this.#failures += pod.failures;
    }
  }

  /**
   * p95 of the successful requests in ms, or the share of errors; undefined when there are no requests to compute it
   * from.
   */
  value(metric: 'latency' | 'errors'): number | undefined {
    if (metric === 'errors') return this.#requests === 0 ? undefined : this.#failures / this.#requests;
    return this.#latency.total === 0 ? undefined : Math.exp(lnQuantileOf(this.#latency, quantile));
  }
}

/**
 * An AnalysisTemplate with one measurement per minute. For latency it has `successCondition: result <= 1.15`, where the
 * result is the candidate's p95 of that minute divided by stable's. The defaults are failureLimit 0 and
 * consecutiveErrorLimit 4: the first failed measurement aborts the rollout, and so does the fifth consecutive error. A
 * query without a value is an error.
 */
function argoRollouts(isBad: (candidate: number, stable: number) => boolean): Rule {
  return (minutes) => {
    const last = minutes.at(-1);
    if (last?.candidate !== undefined && last.stable !== undefined) return isBad(last.candidate, last.stable);
    return (
      minutes.length >= 5 &&
      minutes.slice(-5).every((minute) => minute.candidate === undefined || minute.stable === undefined)
    );
  };
}

/**
 * A metric with `thresholdRange.max`, interval 1m and threshold 5. A check fails when its value is above the maximum or
 * missing; failed checks are counted over the complete analysis. After the fifth failed check, the next tick rolls
 * back.
 * @param limit in milliseconds, or a share of errors
 */
function flagger(limit: number): Rule {
  return (minutes) =>
    minutes.slice(0, -1).filter((minute) => minute.candidate === undefined || minute.candidate > limit).length >= 5;
}

/**
 * NetflixACAJudge with one value per minute, evaluated every five minutes. The Mann-Whitney test gives a 98 %
 * confidence interval of the shift between the revisions. The bounds of the interval are order statistics of the
 * pairwise differences; a normal approximation gives their ranks. The result is High when two conditions are met. The
 * lower bound of the interval is above a quarter of the estimated shift, and the candidate's mean is above stable's
 * mean. With a single metric, a High result has the score 0, which is below every marginal threshold.
 */
const kayenta: Rule = (minutes) => {
  if (minutes.length % 5 !== 0) return false;
  const candidate = minutes.flatMap((minute) => (minute.candidate === undefined ? [] : [minute.candidate]));
  const stable = minutes.flatMap((minute) => (minute.stable === undefined ? [] : [minute.stable]));
  return isHigh(candidate, stable);
};

/**
 * Whether the Mann-Whitney test gives High. False when all values are equal, or when there are too few values for an
 * interval.
 */
export function isHigh(candidate: readonly number[], stable: readonly number[]): boolean {
  if (candidate.length === 0 || stable.length === 0) return false;
  const differences = candidate.flatMap((a) => stable.map((b) => a - b)).toSorted((a, b) => a - b);
  const pairs = candidate.length * stable.length;
  const spread = Math.sqrt((pairs * (candidate.length + stable.length + 1)) / 12);
  const lowRank = Math.floor(pairs / 2 - 2.3263 * spread);
  if (lowRank < 1) return false;
  const low = differences[lowRank - 1] ?? -Infinity;
  const estimate = differences[Math.floor(pairs / 2)] ?? 0;
  return low > 0.25 * Math.abs(estimate) && mean(candidate) > mean(stable);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
