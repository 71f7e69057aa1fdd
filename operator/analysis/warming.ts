/**
 * Since when the candidate has not been getting faster: caches fill, code is compiled, and then it is what it is.
 *
 * Owns:  the rule that keeps a warm-up from being taken for a regression: a Fail has to stand also in the latest part
 *        of the window in which the candidate shows no trend for the better against stable.
 * Why:   a decaying excess has a trend, a lasting one has none, so a lasting one is found as soon as ever. A warm-up
 *        without a trend cannot be told from a regression: `warmup` or `--settle` is for that.
 * Pure:  a function of the window's blocks. It can only take Fails away, so it costs no α.
 */
import { tuning } from './constants.ts';
import type { LogHistogram } from './log-histogram.ts';

type Blocks = readonly LogHistogram[];

/**
 * Drops the first half of the window, and again, as long as the candidate is getting faster in what is left.
 *
 * @param stable absent where the candidate is held against a limit in milliseconds
 * @param leastRequests of each revision for a point of the trend
 * @returns the position the rest begins at: 0 without any trend; undefined when less than two minutes would be left
 */
export function settledSince(candidate: Blocks, stable: Blocks | undefined, leastRequests: number): number | undefined {
  let from = 0;
  while (isFalling(pointsOf(candidate.slice(from), stable?.slice(from), leastRequests))) {
    from += Math.ceil((candidate.length - from) / 2);
    if (candidate.length - from < tuning.settledBlocks) return undefined;
  }
  return from;
}

/** Difference of mean ln(latency), when, and its weight: the inverse of its sampling variance. */
type Point = { readonly x: number; readonly y: number; readonly w: number };

/** Requests, and sums of bucket indices and their squares: the unit cancels in a slope over its error. */
class Moments {
  n = 0;
  #sum = 0;
  #squares = 0;

  add({ counts, first, last, total }: LogHistogram): void {
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

  /** Of the mean; a bucket's own width (1/12) keeps it above 0. */
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
 * A line through the points (weighted least squares) falls by more than chance: its slope's standard error is that of
 * sampling, or that of the residuals where they are larger.
 */
function isFalling(points: readonly Point[]): boolean {
  if (points.length < 2) return false;
  const w = sum(points, (point) => point.w);
  const meanX = sum(points, (point) => point.w * point.x) / w;
  const meanY = sum(points, (point) => point.w * point.y) / w;
  const spread = sum(points, (point) => point.w * (point.x - meanX) ** 2);
  const slope = sum(points, (point) => point.w * (point.x - meanX) * (point.y - meanY)) / spread;
  const residual = sum(points, (point) => point.w * (point.y - meanY - slope * (point.x - meanX)) ** 2);
  const scale = points.length > 2 ? Math.max(1, residual / (points.length - 2)) : 1;
  return slope < -tuning.warmingDeviations * Math.sqrt(scale / spread);
}

function sum(points: readonly Point[], of: (point: Point) => number): number {
  let total = 0;
  for (const point of points) total += of(point);
  return total;
}
