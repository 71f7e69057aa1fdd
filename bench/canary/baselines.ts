/**
 * How Argo Rollouts, Flagger and Kayenta would judge the same canary, by their documented rules and defaults.
 *
 * Owns:  three rules over minutes: each takes what its tool takes, a p95 per minute, and no more.
 * Rule:  written from descriptions of their behaviour. Thresholds are set as fairly as a user could: the same 15 %
 *        that our gate has, and for Flagger's absolute range the true p95 of stable.
 */
import { addCount, emptyHistogram, lnQuantileOf, reportScale, type LogHistogram } from '../../operator/analysis/log-histogram.ts';
import { sliceSeconds, type PodSlice, type World } from './world.ts';
import type { Outcome } from './ours.ts';

export type BaselineName = 'argo-rollouts' | 'flagger' | 'kayenta';
type Minute = { readonly candidate: number | undefined; readonly stable: number | undefined };
/** Whether a rule would go back, seeing the minutes so far (the newest last). */
type Rule = (minutes: readonly Minute[]) => boolean;

const quantile = 0.05;
const tolerance = 1.15;

/** A canary of half an hour at one weight, looked at once a minute. */
export function watchWith(name: BaselineName, world: World, { weight, minutes, stableP95Ms }: { weight: number; minutes: number; stableP95Ms: number }): Outcome {
  const rule = { 'argo-rollouts': argoRollouts, flagger: flagger(stableP95Ms * tolerance), kayenta }[name];
  const seen: Minute[] = [];
  let candidateRequests = 0;
  for (let minute = 0; minute < minutes; minute++) {
    const sides = { candidate: emptyHistogram(reportScale), stable: emptyHistogram(reportScale) };
    for (let i = 0; i < 60 / sliceSeconds; i++) {
      const slice = world.next(weight);
      gather(sides.candidate, slice.candidate);
      gather(sides.stable, slice.stable);
      candidateRequests += slice.candidate.reduce((sum, pod) => sum + pod.requests, 0);
    }
    seen.push({ candidate: p95(sides.candidate), stable: p95(sides.stable) });
    if (rule(seen)) return { rolledBack: true, candidateRequests, minutes: minute + 1 };
  }
  return { rolledBack: false, candidateRequests, minutes };
}

function gather(into: LogHistogram, pods: readonly PodSlice[]): void {
  for (const pod of pods) for (const bucket of pod.buckets) addCount(into, bucket, 1);
}

function p95(histogram: LogHistogram): number | undefined {
  return histogram.total === 0 ? undefined : Math.exp(lnQuantileOf(histogram, quantile));
}

/**
 * An AnalysisTemplate with `successCondition: result <= 1.15` on the ratio of the minute's p95s, one measurement a
 * minute, failureLimit 0 and consecutiveErrorLimit 4, which are the defaults: the first failed measurement, or the
 * fifth error on end (a query without a value is one), aborts.
 */
const argoRollouts: Rule = (minutes) => {
  const last = minutes.at(-1);
  if (last?.candidate !== undefined && last.stable !== undefined) return last.candidate > tolerance * last.stable;
  return minutes.length >= 5 && minutes.slice(-5).every((minute) => minute.candidate === undefined || minute.stable === undefined);
};

/**
 * A metric with `thresholdRange.max` in milliseconds, interval 1m, threshold 5: checks outside the range, and those
 * without a value, are counted over the whole analysis; at the fifth the next tick goes back.
 */
function flagger(maxMs: number): Rule {
  return (minutes) => minutes.slice(0, -1).filter((minute) => minute.candidate === undefined || minute.candidate > maxMs).length >= 5;
}

/**
 * NetflixACAJudge on the minutes' p95, every five minutes: Mann-Whitney with a 98 % confidence interval of the shift
 * (order statistics of the pairwise differences, normal approximation); High when the interval lies above a quarter
 * of the estimate and the mean ratio is above 1. One metric, so High scores 0, below every marginal threshold.
 */
const kayenta: Rule = (minutes) => {
  if (minutes.length % 5 !== 0) return false;
  const candidate = minutes.flatMap((minute) => (minute.candidate === undefined ? [] : [minute.candidate]));
  const stable = minutes.flatMap((minute) => (minute.stable === undefined ? [] : [minute.stable]));
  if (candidate.length === 0 || stable.length === 0) return false;
  const differences = candidate.flatMap((a) => stable.map((b) => a - b)).toSorted((a, b) => a - b);
  const pairs = candidate.length * stable.length;
  const spread = Math.sqrt((pairs * (candidate.length + stable.length + 1)) / 12);
  const lowRank = Math.floor(pairs / 2 - 2.3263 * spread);
  if (lowRank < 1) return false;
  const low = differences[lowRank - 1] ?? -Infinity;
  const estimate = differences[Math.floor(pairs / 2)] ?? 0;
  return low > 0.25 * Math.abs(estimate) && mean(candidate) > mean(stable);
};

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
