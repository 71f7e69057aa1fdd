/**
 * Whether a slow candidate is still warming up: caches fill and code is compiled, then latency settles.
 *
 * Owns: the rule that a warm-up is not a regression. A Fail must hold in the latest part of the window that has no
 * trend towards stable, even if the largest trend that could be hidden in it continued for a while. The first minutes
 * cannot show a trend.
 * Pure: a function of the window's blocks. It can only remove Fails, so it spends no α.
 */
import { tuning } from './constants.ts';
import type { LatencyCounts } from './log-histogram.ts';

type Blocks = readonly LatencyCounts[];

/** The position from which a window is judged, and how much faster the candidate may still get, in ln (0 or more). */
export type Settling = { readonly from: number; readonly stillToGain: number };

/**
 * Drops the first half of the window repeatedly, while the candidate gets faster in the remaining part. In the
 * remaining part its trend, minus some standard errors, is assumed to continue until the window is five minutes old, or
 * for three more minutes after a trend was found.
 *
 * @param stable absent for a limit in milliseconds
 * @param limits.leastRequests of each revision for a point of the trend
 * @param limits.warmBlocks age of a window until which an unseen trend may continue
 * @returns undefined when less than two minutes would be left
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

/** Difference of mean ln(latency) at a position, with its weight: the inverse of its sampling variance. */
type Point = { readonly x: number; readonly y: number; readonly w: number };

/**
 * Number of requests, and sums of bucket indices and of their squares. Indices suffice, because a slope divided by its
 * error has no unit.
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

  /** The variance of the mean. The width of a bucket (variance 1/12) keeps it above 0. */
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

/** A line through the points: its slope per block, the slope's standard error, and the middle of the points. */
type Trend = { readonly slope: number; readonly error: number; readonly middle: number };

/** Weighted least squares. The standard error comes from sampling, or from the residuals if they give a larger one. */
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
