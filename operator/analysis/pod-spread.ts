/**
 * Lasting differences between pods of one revision. They exist because nodes of one kind are not equally fast.
 *
 * Terms: Noise is random variation between the minutes of one revision. A window is the blocks (of 20 seconds) by which
 * a step of the rollout is judged.
 * Owns: the size of these differences, and the margin that they add to a comparison.
 * Pure: functions of the window's totals by pod.
 */
import { groupRequests, tuning } from './constants.ts';
import { lnQuantileOf } from './log-histogram.ts';
import { samplingVariance, sum, type Compared, type NoiseHistory, type PodSpread } from './noise.ts';
import type { LatencySeries, Nodes } from './series.ts';

/**
 * The square of the margin for lasting differences between pods of one revision.
 *
 * One-way analysis of variance of the pods' ln(quantile). When a compared revision has only one pod, the variance
 * between its pods cannot be measured. The margin is then 0 if both revisions run on the same nodes. Otherwise the
 * variance is estimated from other pods, including stable's pods in the half hour before the window, and shrunk towards
 * the usual difference between virtual machines of one kind (constants.ts, assumedPodSpread).
 */
export function podMargin(compared: Compared, p: number, known: PodMarginOf): number {
  const { candidate, stable } = compared;
  const sides = [candidate, ...(stable === undefined ? [] : [stable])];
  const { variance, freedom } = podSpread(sides, p, known);
  const inverse = sum(sides, (series) => 1 / Math.max(1, series.pods.length));
  if (stable !== undefined && sides.some((series) => series.pods.length < 2)) {
    if (known.nodes === 'Shared') return 0;
    const { variance: before, freedom: since } = known.history.pods ?? { variance: 0, freedom: 0 };
    const all = tuning.assumedPodFreedom + freedom + since;
    const shrunk =
      (tuning.assumedPodFreedom * tuning.assumedPodSpread ** 2 + freedom * variance + since * before) / all;
    return known.deviations ** 2 * inverse * shrunk;
  }
  return freedom < 2 ? 0 : (freedom / (freedom + 1)) * variance * inverse * 2 * known.bound;
}

export type PodMarginOf = {
  readonly variance: number;
  readonly minutes: number;
  readonly bound: number;
  readonly deviations: number;
  readonly nodes: Nodes;
  readonly history: NoiseHistory;
};

/**
 * The variance of the pods' ln(quantile) about their revision's mean, minus the parts that are due to the finite number
 * of requests (sampling) and to the noise between minutes.
 */
export function podSpread(
  sides: readonly LatencySeries[],
  p: number,
  { variance, minutes }: Pick<PodMarginOf, 'variance' | 'minutes'>,
): PodSpread {
  const perPod = variance / (sides.length * minutes);
  let squares = 0;
  let freedom = 0;
  const expected: number[] = [];
  for (const series of sides) {
    const pods = series.pods.filter((pod) => pod.total >= groupRequests(p));
    if (pods.length < 2) continue;
    const values = pods.map((pod) => lnQuantileOf(pod, 1 - p));
    const mean = sum(values, (value) => value) / values.length;
    squares += sum(values, (value) => (value - mean) ** 2);
    freedom += values.length - 1;
    const own = samplingVariance(series.total, p);
    expected.push(...pods.map((pod) => own / pod.total + perPod));
  }
  if (freedom === 0) return { variance: 0, freedom: 0 };
  return { variance: Math.max(0, squares / freedom - sum(expected, (value) => value) / expected.length), freedom };
}
