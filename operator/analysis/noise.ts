/**
 * The random difference between the two revisions from minute to minute, and the margin for it.
 *
 * Terms: A minute group is one or more minutes with enough requests for the quantile. A window is the blocks (of 20
 * seconds) by which a step of the rollout is judged. History is what is known of stable's half hour before it. A Pass
 * and a Fail are verdicts of a gate, and each uses a variance of its own. α is the accepted probability of a wrong
 * verdict.
 * Owns: the variance between minutes, learnt from minute groups of both revisions and from stable's history
 * (noise-history.ts); the effective number of minutes; the margin, which is valid at any time.
 * Why: requests of one minute share noise, so precision must not grow faster than the number of minutes.
 */
import { blocksPerGroup, groupRequests, tuning } from './constants.ts';
import { addInto, clear, emptyHistogram, lnQuantileOf, type LatencyCounts } from './log-histogram.ts';
import type { LatencySeries } from './series.ts';

/** The noise that is known before the window. */
export type NoiseHistory = {
  /** The weight of the history, in minutes. */
  readonly minutes: number;
  /**
   * The variance, from minute to minute, of the difference in ln(latency) between two revisions, multiplied by
   * `minutes`.
   */
  readonly weightedVariance: number;
  /**
   * `weightedVariance` raised for a Pass, because half an hour is too short to show lasting noise. If absent,
   * `weightedVariance` is multiplied by passDoubt.
   */
  readonly doubtedVariance?: number;
  /**
   * Lasting differences between pods of one revision: variance of ln(quantile), and its degrees of freedom.
   */
  readonly pods?: PodSpread;
};
export type PodSpread = { readonly variance: number; readonly freedom: number };
export const noHistory: NoiseHistory = { minutes: 0, weightedVariance: 0, doubtedVariance: 0 };

/**
 * The factor by which a Pass raises a variance.
 * @param ordinary the share of the variance that comes from ordinary minutes and not from a few outliers
 */
export function doubtFor(ordinary: number): number {
  return Math.max(1, tuning.passDoubt * ordinary);
}

/** The weighted variance of the history, raised for a Pass. */
export function doubtedVarianceOf({ weightedVariance, doubtedVariance }: NoiseHistory): number {
  return doubtedVariance ?? tuning.passDoubt * weightedVariance;
}

export type MinuteNoise = {
  /** Variance between minutes of the compared difference in ln(latency). */
  readonly variance: number;
  /** The variance for a Pass after a number of minutes. It allows for noise that lasts longer than history shows. */
  readonly passVariance: (minutes: number) => number;
  /** The variance that was measured in the window itself. */
  readonly measured: number;
  /** The weight of `measured`, in minutes. */
  readonly minutes: number;
};

/** What is compared: the candidate with stable, or, if `stable` is absent, the candidate with a constant. */
export type Compared = { readonly candidate: LatencySeries; readonly stable?: LatencySeries };

/**
 * The assumed variance of the compared difference before a measurement. A comparison of two revisions has the noise of
 * both.
 */
export function assumedVariance(compared: Compared): number {
  return (compared.stable === undefined ? 1 : 2) * tuning.assumedNoise ** 2;
}

/**
 * The sampling variance of ln(quantile), scaled to one request. With n requests the variance is this number / n.
 *
 * It is computed from Woodruff's interval (J. Amer. Statist. Assoc. 47, 1952) of the pooled histogram for a sample of
 * the size of a minute group, and scaled back to one request.
 */
export function samplingVariance(total: LatencyCounts, p: number): number {
  const size = groupRequests(p);
  const d = Math.sqrt((p * (1 - p)) / size);
  const low = lnQuantileOf(total, Math.min(1, 1 - p + d));
  const high = lnQuantileOf(total, Math.max(0, 1 - p - d));
  return size * ((high - low) / 2) ** 2;
}

type Group = { readonly difference: number; readonly weight: number; readonly sampling: number };

/**
 * The variance between minutes of the compared difference, from minute groups with enough requests of both revisions.
 *
 * Method of moments: the weighted variance of the groups' differences minus the part that is due to the finite number
 * of requests (sampling). The result is shrunk towards the assumed variance (empirical Bayes). The shrinkage decreases
 * with the number of known minutes. A candidate that is noisier than history raises the variance at once.
 */
export function minuteNoise(compared: Compared, p: number, history: NoiseHistory): MinuteNoise {
  const assumed = assumedVariance(compared);
  const groups = pairedGroups(compared, p, { blocks: blocksPerGroup, requests: groupRequests(p) });
  const { measured, minutes, ordinary } =
    groups.length < 2 ? { measured: 0, minutes: 0, ordinary: 1 } : excessVariance(groups, assumed);
  const known = tuning.misalignment * minutes * measured + history.weightedVariance;
  const weight = tuning.assumedMinutes + minutes + history.minutes;
  const shrunk = (tuning.assumedMinutes * assumed + known) / weight;
  const floor = minutes > 0 ? (tuning.misalignment * measured * minutes) / (minutes + 2) : 0;
  const variance = Math.max(shrunk, floor);
  // The variance of the history is already raised for a Pass (noise-history.ts). Without history, raise the window's
  // variance here.
  const doubt = history.minutes > 0 ? 1 : doubtFor(ordinary);
  const unseen = doubt * tuning.misalignment * minutes * measured + doubtedVarianceOf(history) - known;
  const raised = Math.max(variance, shrunk + unseen / weight, doubt * floor);
  return {
    variance,
    passVariance: (until) => variance + (raised - variance) * lastingGrowth(until),
    measured,
    minutes,
  };
}

/**
 * The factor by which noise that lasts as long as the window may increase the variance of a mean over `minutes`.
 *
 * The variance of a mean over T minutes is σ²/T for independent minutes, and σ² T^(2H-2) for fractional noise with
 * Hurst's exponent H: T^(2H-1) times as much. For noise that lasts longer than history can show, H is taken as 1, its
 * maximum.
 */
function lastingGrowth(minutes: number): number {
  return Math.max(1, minutes / tuning.lastingMinutes);
}

function excessVariance(
  groups: readonly Group[],
  assumed: number,
): { measured: number; minutes: number; ordinary: number } {
  const count = groups.length;
  const weights = sum(groups, (group) => group.weight);
  const mean = sum(groups, (group) => group.weight * group.difference) / weights;
  const spread = sum(groups, (group) => group.weight * (group.difference - mean) ** 2) / (count - 1);
  const sampling = sum(groups, (group) => group.sampling) / count;
  const information = sum(groups, (group) => (assumed / (assumed + group.sampling)) ** 2) / count;
  const ordinary = ordinaryShare(
    groups.map(({ difference, weight }) => Math.sqrt(weight) * (difference - mean)),
    sampling,
  );
  return { measured: Math.max(0, spread - sampling), minutes: (count - 1) * information, ordinary };
}

/**
 * The share of a variance that comes from ordinary minutes (minutes that are not outliers), 0..1. Occasional stalls, a
 * few very slow seconds, make a variance large, but they are not lasting noise.
 *
 * Computed from the 70th percentile of the residuals' sizes, which is 1.036 standard deviations of a normal
 * distribution. The result is multiplied by `ordinaryRoom`, because with few minutes the percentile is often too small
 * by chance. If stalls cause the variance, the product is still near 0.
 * @param residuals of minutes, about their mean @param sampling variance that sampling explains
 */
export function ordinaryShare(residuals: readonly number[], sampling: number): number {
  const middle = residuals.toSorted((a, b) => a - b)[Math.floor(residuals.length / 2)] ?? 0;
  const sizes = residuals.map((residual) => Math.abs(residual - middle)).toSorted((a, b) => a - b);
  const own = sum(residuals, (size) => size ** 2) / Math.max(1, sizes.length - 1) - sampling;
  const usual = ((sizes[Math.floor(0.7 * sizes.length)] ?? 0) / 1.036) ** 2 - sampling;
  return own > 0 ? Math.min(1, (tuning.ordinaryRoom * Math.max(0, usual)) / own) : 1;
}

/**
 * The variance for a Fail: the measured variance, which is raised while few minutes were measured.
 *
 * A variance from ν minutes is itself uncertain by about its size times √(2/ν), so it is multiplied by 1 + noiseDoubt/ν
 * (ν includes assumedMinutes). In the first five minutes of a window, few minutes can be compared. The variance is then
 * at least the variance between blocks, by the method of moments. Both rules only widen the bounds.
 */
export function doubtedVariance(
  compared: Compared,
  p: number,
  known: { readonly variance: number; readonly minutes: number },
): number {
  const raised = known.variance * (1 + tuning.noiseDoubt / (tuning.assumedMinutes + known.minutes));
  if (compared.candidate.blocks.length > tuning.earlyBlocks) return raised;
  const groups = pairedGroups(compared, p, {
    blocks: 1,
    requests: Math.ceil(tuning.earlyTailRequests / (1 - p) - 1e-9),
  });
  if (groups.length < 2) return raised;
  const { measured } = excessVariance(groups, assumedVariance(compared));
  return Math.max(raised, (tuning.misalignment * measured * (groups.length - 1)) / (groups.length + 1));
}

/**
 * Joins parts of `least.blocks` consecutive blocks to groups in which each revision has at least `least.requests`
 * requests.
 */
function pairedGroups(
  { candidate, stable }: Compared,
  p: number,
  least: { readonly blocks: number; readonly requests: number },
): Group[] {
  const perRequest = [candidate, ...(stable === undefined ? [] : [stable])].map((series) =>
    samplingVariance(series.total, p),
  );
  const sides = [candidate, ...(stable === undefined ? [] : [stable])];
  const groups: Group[] = [];
  const gathered = sides.map((series) => emptyHistogram(series.total.scale));
  let weight = 0;
  const whole = Math.floor(candidate.blocks.length / least.blocks);
  for (let stretch = 0; stretch < whole; stretch++) {
    gathered.forEach((into, side) =>
      addStretch(into, sides[side], { from: stretch * least.blocks, blocks: least.blocks }),
    );
    weight += 1;
    if (gathered.some((histogram) => histogram.total < least.requests)) continue;
    const [own = 0, other = 0] = gathered.map((histogram) => lnQuantileOf(histogram, 1 - p));
    const perGroup = gathered.map((histogram, side) => (perRequest[side] ?? 0) / histogram.total);
    groups.push({ difference: own - other, weight, sampling: weight * sum(perGroup, (variance) => variance) });
    gathered.forEach(clear);
    weight = 0;
  }
  return groups;
}

function addStretch(
  into: LatencyCounts,
  series: LatencySeries | undefined,
  { from, blocks }: { from: number; blocks: number },
): void {
  for (let i = from; i < from + blocks; i++) {
    const block = series?.blocks[i];
    if (block !== undefined) addInto(into, block);
  }
}

/**
 * Σ a_t², plus the products of values that are one or two blocks of 20 s apart, with Bartlett's weights 2·(1 − 1/3)
 * and 2·(1 − 2/3) (Newey & West, Econometrica 55, 1987). `a` has one value for each block.
 */
export function bartlett(a: readonly number[]): number {
  let result = 0;
  for (let t = 0; t < a.length; t++) {
    const now = a[t] ?? 0;
    result += now * (now + (4 / 3) * (a[t - 1] ?? 0) + (2 / 3) * (a[t - 2] ?? 0));
  }
  return result;
}

/**
 * The effective number of minutes, at least 1: (Σh)² / K(h). K is `bartlett`. h_t is what block t adds to the precision
 * of the comparison: n_c n_s / (n_c + n_s), where n_c and n_s are the requests of the candidate and of stable in block
 * t; or n_c in a comparison with a constant.
 */
export function effectiveMinutes(candidate: readonly number[], stable?: readonly number[]): number {
  const shares = candidate.map((n, t) => {
    if (stable === undefined) return n;
    const other = stable[t] ?? 0;
    return n + other > 0 ? (n * other) / (n + other) : 0;
  });
  const spread = bartlett(shares);
  return spread > 0 ? Math.max(1, sum(shares, (share) => share) ** 2 / spread) : 1;
}

/**
 * The square of the margin for noise between minutes, valid at any time.
 *
 * Two-sided normal mixture at level α/2: τ² (T+ρ)/T² (ln((T+ρ)/ρ) + 2 ln(2/α)) with τ² the `variance`, T the `minutes`
 * and ρ the constant `marginMinutes` (Robbins 1970; Howard et al. 2021, eq. 14, with intrinsic time Tτ²). With an
 * estimated variance, the margin gives an asymptotic confidence sequence (Waudby-Smith et al., Ann. Stat. 2024).
 * @param bound C = ln(1/α)
 */
export function minuteMargin(variance: number, minutes: number, bound: number): number {
  const rho = tuning.marginMinutes;
  return ((variance * (minutes + rho)) / minutes ** 2) * (Math.log((minutes + rho) / rho) + 2 * (bound + Math.LN2));
}

export function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
