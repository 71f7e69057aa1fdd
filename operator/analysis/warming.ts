/**
 * Decides whether a slow candidate is still warming up: caches fill and code is compiled, then the latency settles.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged. A gate fails when its lower
 * bound is above the limit. α is the accepted probability of a wrong verdict.
 * Owns: the rule that a warm-up is not a regression. A Fail must hold in the latest part of the window, in which the
 * candidate has no trend towards stable. It must hold there even if the largest trend that noise could hide in this
 * part continued for a while. The first minutes are too short to show a trend.
 * Pure: a function of the window's blocks. It can only remove Fails, so it spends no α.
 */
import { tuning } from './constants.ts';
import type { LatencyCounts } from './log-histogram.ts';

type Blocks = readonly LatencyCounts[];

/**
 * `from`: the window is judged from this block on; 0 is the window's first block. `stillToGain`: how much faster the
 * candidate may still get, in ln(latency), 0 or more.
 */
export type Settling = { readonly from: number; readonly stillToGain: number };

/**
 * Drops the first half of the window repeatedly, while the candidate gets faster in the remaining part. Then the
 * candidate's trend in the remaining part, made steeper by some standard errors, is assumed to continue. If nothing was
 * dropped, it continues until the window is `warmBlocks` blocks old, or to the end of an older window; otherwise for
 * three more minutes.
 *
 * @param stable absent for a limit in milliseconds
 * @param limits.leastRequests the requests of each revision that a point of the trend needs
 * @param limits.warmBlocks age of a window, in blocks, until which a warm-up may continue although no trend shows it
 * @returns undefined when less than two minutes would be left, or when a trend was found and the remaining part has too
 * few requests to show whether the trend continues
 */
export function settlingOf(
  candidate: Blocks,
  stable: Blocks | undefined,
  { leastRequests, warmBlocks }: { readonly leastRequests: number; readonly warmBlocks: number },
): Settling | undefined {
  let from = 0;
  let trend = trendOf(pointsOf(candidate, stable, leastRequests));
  while (trend !== undefined && trend.slope < -tuning.warmingDeviations * trend.error) {
    from += Math.ceil((candidate.length - from) / 2);
    if (candidate.length - from < tuning.settledBlocks) return undefined;
    trend = trendOf(pointsOf(candidate.slice(from), stable?.slice(from), leastRequests));
  }
  const lnStep = candidate[0]?.scale.lnStep ?? 0;
  if (trend === undefined) return from === 0 ? { from, stillToGain: 0 } : undefined;
  const left = candidate.length - from;
  const [until, deviations] =
    from === 0
      ? [Math.max(left, warmBlocks), tuning.unseenTrendDeviations]
      : [left + tuning.warmAheadBlocks, tuning.seenTrendDeviations];
  return { from, stillToGain: lnStep * Math.max(0, deviations * trend.error - trend.slope) * (until - trend.middle) };
}

/**
 * A point of the trend. `x`: the position, in blocks. `y`: the candidate's mean ln(latency) minus stable's, in bucket
 * widths; for a limit in milliseconds, nothing is subtracted. `w`: the weight, which is the inverse of y's sampling
 * variance.
 */
type Point = { readonly x: number; readonly y: number; readonly w: number };

/**
 * The number of requests, the sum of their bucket indices, and the sum of the squares of these indices. Latencies are
 * not needed, because a slope divided by its error has no unit.
 */
class Moments {
  n = 0;
  #sum = 0;
  #squares = 0;

  add({ counts, first, last, total }: LatencyCounts): void {
    this.n += total;
    for (let i = first; i <= last; i++) {
      const count = counts[i] ?? 0;
      this.#sum += count * i;
      this.#squares += count * i * i;
    }
  }

  get mean(): number {
    return this.#sum / this.n;
  }

  /**
   * The variance of the mean. It is computed as if the variance of one request were at least 1/12, the variance inside
   * a bucket. It is therefore never 0.
   */
  get variance(): number {
    return Math.max(1 / 12, this.#squares / this.n - this.mean ** 2) / this.n;
  }
}

function pointsOf(candidate: Blocks, stable: Blocks | undefined, leastRequests: number): Point[] {
  const points: Point[] = [];
  let [own, other, began] = [new Moments(), new Moments(), 0];
  candidate.forEach((block, at) => {
    own.add(block);
    const beside = stable?.[at];
    if (beside !== undefined) other.add(beside);
    if (own.n < leastRequests || (stable !== undefined && other.n < leastRequests)) return;
    const compared = stable === undefined ? { mean: 0, variance: 0 } : other;
    points.push({ x: (began + at) / 2, y: own.mean - compared.mean, w: 1 / (own.variance + compared.variance) });
    [own, other, began] = [new Moments(), new Moments(), at + 1];
  });
  return points;
}

/**
 * A line through the points: its slope per block, the slope's standard error, and the weighted mean of the points'
 * positions.
 */
type Trend = { readonly slope: number; readonly error: number; readonly middle: number };

/**
 * Fits a line by weighted least squares. The standard error comes from sampling, or from the residuals if the residuals
 * give a larger error.
 */
function trendOf(points: readonly Point[]): Trend | undefined {
  if (points.length < 2) return undefined;
  const w = sum(points, (point) => point.w);
  const meanX = sum(points, (point) => point.w * point.x) / w;
  const meanY = sum(points, (point) => point.w * point.y) / w;
  const spread = sum(points, (point) => point.w * (point.x - meanX) ** 2);
  const slope = sum(points, (point) => point.w * (point.x - meanX) * (point.y - meanY)) / spread;
  const residual = sum(points, (point) => point.w * (point.y - meanY - slope * (point.x - meanX)) ** 2);
  const scale = points.length > 2 ? Math.max(1, residual / (points.length - 2)) : 1;
  return { slope, error: Math.sqrt(scale / spread), middle: meanX };
}

function sum(points: readonly Point[], of: (point: Point) => number): number {
  let total = 0;
  for (const point of points) total += of(point);
  return total;
}
