/**
 * The noise of a model's latency before a window began.
 *
 * Terms: Noise is random variation between minutes or pods of one revision. A window is the blocks (of 20 seconds) by
 * which a step of the rollout is judged. History is the half hour before it. A gate fails when its lower bound is above
 * the limit, and passes when its upper bound is low enough; a Pass uses a larger noise than a Fail.
 * Owns: how noise is learnt from stable's last half hour: noise that changes every minute, lasting noise, and lasting
 * differences between pods.
 * Why: known noise makes a verdict possible minutes sooner, and the first minutes of a window cannot show lasting
 * noise.
 * Pure.
 */
import { blocksPerGroup, groupRequests, tuning } from './constants.ts';
import { addInto, emptyHistogram, lnQuantileOf, sumOf, type LatencyCounts, type Scale } from './log-histogram.ts';
import {
  doubtFor,
  doubtedVarianceOf,
  noHistory,
  ordinaryShare,
  samplingVariance,
  sum,
  type NoiseHistory,
  type PodSpread,
} from './noise.ts';
import { podSpread } from './pod-spread.ts';

/**
 * Learns the noise of stable before the window, from each pod's ln(quantile) in every minute.
 *
 * The larger of two estimates counts. The first uses the differences between successive minutes (von Neumann, Ann.
 * Math. Stat. 12, 1941). It measures noise that changes every minute and ignores drift, but it misses lasting noise,
 * because lasting noise makes neighbouring minutes alike. The second measures lasting noise: it is the long-run
 * variance about a straight line, with Bartlett's weights over five minutes (Newey & West, Econometrica 55, 1987). Both
 * are variances of the difference of two revisions, which is twice the variance of one.
 * @param pods for each pod of stable, its blocks of about the last 30 minutes, in order, without gaps
 */
export function learnHistory(pods: readonly (readonly LatencyCounts[])[], p: number): NoiseHistory {
  const { minutes, weightedVariance, doubtedVariance } = learnPods(pods, p);
  const spread = spreadOf(pods, p, minutes > 0 ? weightedVariance / minutes : 0);
  // For a high quantile few minutes have enough requests. A cause that slows one request in a hundred often slows other
  // requests too. For a Pass, the noise of a higher quantile is therefore at least the noise of `usualQuantile`.
  const usual = p > usualQuantile ? learnPods(pods, usualQuantile) : noHistory;
  const least = (minutes * doubtedVarianceOf(usual)) / Math.max(1, usual.minutes);
  return {
    minutes,
    weightedVariance,
    doubtedVariance: Math.max(doubtedVariance, least),
    ...(spread === undefined ? {} : { pods: spread }),
  };
}

/** For a Pass, the noise of a higher quantile is at least the noise of this quantile. */
const usualQuantile = 0.95;

function learnPods(pods: readonly (readonly LatencyCounts[])[], p: number): Required<Omit<NoiseHistory, 'pods'>> {
  const parts = pods.map((blocks) => learnPod(blocks, p));
  return {
    minutes: sum(parts, (part) => part.minutes),
    weightedVariance: sum(parts, (part) => part.weightedVariance),
    doubtedVariance: sum(parts, doubtedVarianceOf),
  };
}

function spreadOf(pods: readonly (readonly LatencyCounts[])[], p: number, variance: number): PodSpread | undefined {
  const scale = pods[0]?.[0]?.scale;
  if (scale === undefined) return undefined;
  const totals = pods.map((blocks) => sumOf(scale, blocks));
  const spread = podSpread([{ blocks: [], total: sumOf(scale, totals), pods: totals }], p, {
    variance: variance / 2,
    minutes: Math.max(1, (pods[0]?.length ?? 0) / blocksPerGroup),
  });
  return spread.freedom === 0 ? undefined : spread;
}

/**
 * A stretch of `minutes` minutes with enough requests for the quantile: `value` is its ln(quantile), `n` its number of
 * requests.
 */
type Stretch = { readonly value: number; readonly n: number; readonly minutes: number };

function learnPod(blocks: readonly LatencyCounts[], p: number): NoiseHistory {
  const scale = blocks[0]?.scale;
  if (scale === undefined) return noHistory;
  const assumed = 2 * tuning.assumedNoise ** 2;
  const perRequest = samplingVariance(sumOf(scale, blocks), p);
  const stretches = stretchesOf(blocks, scale, p);
  const steps = stretches.slice(1).map((current, i) => stepBetween(stretches[i] ?? current, current));
  if (steps.length === 0) return noHistory;
  const sampling = (perRequest * sum(steps, (step) => step.inverse)) / steps.length;
  const minutes = ((2 * steps.length) / 3) * (assumed / (assumed + sampling)) ** 2;
  const excess = Math.max(0, sum(steps, (step) => step.square) / steps.length - sampling);
  const noise = lastingNoise(stretches, perRequest);
  const weightedVariance = minutes * Math.max(tuning.misalignment * excess, tuning.lastingBias * 2 * noise.longRun);
  return { minutes, weightedVariance, doubtedVariance: weightedVariance * doubtFor(noise.ordinary) };
}

function stepBetween(before: Stretch, now: Stretch): { readonly square: number; readonly inverse: number } {
  // The shorter stretch counts. Its length scales the squared difference to the variance of single minutes, because the
  // mean of n minutes has about 1/n of the variance of one minute.
  const minutes = Math.min(before.minutes, now.minutes);
  return { square: minutes * (now.value - before.value) ** 2, inverse: minutes * (1 / now.n + 1 / before.n) };
}

/** Splits blocks into minutes, and joins minutes with too few requests for a quantile. */
function stretchesOf(blocks: readonly LatencyCounts[], scale: Scale, p: number): Stretch[] {
  const stretches: Stretch[] = [];
  let [gathered, minutes] = [emptyHistogram(scale), 0];
  for (let at = 0; at + blocksPerGroup <= blocks.length; at += blocksPerGroup) {
    for (const block of blocks.slice(at, at + blocksPerGroup)) addInto(gathered, block);
    minutes += 1;
    if (gathered.total < groupRequests(p)) continue;
    stretches.push({ value: lnQuantileOf(gathered, 1 - p), n: gathered.total, minutes });
    [gathered, minutes] = [emptyHistogram(scale), 0];
  }
  return stretches;
}

/** Lasting noise of a minute's ln(quantile). */
type LastingNoise = {
  /** The long-run variance minus the part that is due to the finite number of requests (sampling). */
  readonly longRun: number;
  /** The share of the variance that comes from ordinary minutes and not from a few outliers. */
  readonly ordinary: number;
};

/**
 * Lasting noise, measured from the deviations from a straight line. The long-run variance is 0 if the stretches are
 * longer than `lastingLags` minutes, or if there are fewer than two stretches for each lag, lag 0 included.
 */
function lastingNoise(stretches: readonly Stretch[], perRequest: number): LastingNoise {
  const count = stretches.length;
  const each = sum(stretches, (stretch) => stretch.minutes) / Math.max(1, count);
  const lags = Math.floor(tuning.lastingLags / each);
  if (lags < 1 || count < 2 * (lags + 1)) return { longRun: 0, ordinary: 1 };
  const residuals = detrended(stretches.map(({ value }) => value));
  let longRun = 0;
  for (let lag = 0; lag <= lags; lag++) {
    const weight = (lag === 0 ? 1 : 2) * (1 - lag / (lags + 1));
    for (let t = lag; t < count; t++)
      longRun += (weight * (residuals[t] ?? 0) * (residuals[t - lag] ?? 0)) / (count - 2);
  }
  const sampling = (perRequest * sum(stretches, ({ n }) => 1 / n)) / count;
  return { longRun: each * Math.max(0, longRun - sampling), ordinary: ordinaryShare(residuals, sampling) };
}

/** The residuals of the values about their least-squares line. */
function detrended(values: readonly number[]): number[] {
  const middle = (values.length - 1) / 2;
  const mean = sum(values, (value) => value) / values.length;
  const slope =
    sum(
      values.map((value, t) => value * (t - middle)),
      (each) => each,
    ) /
    sum(
      values.map((_, t) => (t - middle) ** 2),
      (each) => each,
    );
  return values.map((value, t) => value - mean - slope * (t - middle));
}
