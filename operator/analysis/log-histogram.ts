/**
 * Latency histograms with logarithmic buckets, stored densely for arithmetic.
 *
 * Owns: merging, quantiles and tail counts. Counts may be fractions, because requests are weighted so that both
 * revisions have the same mix of sizes and tiers.
 * Units: the logarithm of milliseconds. Bucket i covers lnLow + lnStep * [i, i + 1]; values outside the scale are
 * counted in the first or the last bucket.
 * Pure: except `addCount`, `addInto` and `clear`, which change the histogram that they are given.
 */
import { base, growth } from '../../api/histogram.ts';
import type { Histogram } from '../../api/report.ts';

export type Scale = {
  /** ln(ms) of the lower edge of bucket 0. */
  readonly lnLow: number;
  /** Width of a bucket in ln(ms): with ln(1.02), each bucket is 2 % wide. */
  readonly lnStep: number;
  readonly buckets: number;
};

export type LatencyCounts = {
  readonly scale: Scale;
  readonly counts: Float64Array;
  /** All counts lie in [first, last]; first > last in an empty histogram. */
  first: number;
  last: number;
  total: number;
};

/** The report's scale: base 0.1 ms, growth 1.02, up to about 100 s. */
export const reportScale: Scale = { lnLow: Math.log((base * 1000) / growth), lnStep: Math.log(growth), buckets: 700 };

export function emptyHistogram(scale: Scale): LatencyCounts {
  return { scale, counts: new Float64Array(scale.buckets), first: scale.buckets, last: -1, total: 0 };
}

/** Adds `count` requests to a bucket; for an index outside the scale, to the first or the last bucket. */
export function addCount(into: LatencyCounts, bucket: number, count: number): void {
  if (count === 0) return;
  const at = Math.min(into.scale.buckets - 1, Math.max(0, bucket));
  into.counts[at] = (into.counts[at] ?? 0) + count;
  into.first = Math.min(into.first, at);
  into.last = Math.max(into.last, at);
  into.total += count;
}

/** The bucket that a latency belongs to. */
export function latencyBucketOf(scale: Scale, lnMs: number): number {
  return Math.min(scale.buckets - 1, Math.max(0, Math.floor((lnMs - scale.lnLow) / scale.lnStep)));
}

/** Adds each count of `from`, multiplied by `weight`, to `into`. Both histograms must have the same scale. */
export function addInto(into: LatencyCounts, from: LatencyCounts, weight = 1): void {
  if (from.last < from.first) return;
  const { counts } = into;
  const source = from.counts;
  for (let i = from.first; i <= from.last; i++) counts[i] = (counts[i] ?? 0) + (source[i] ?? 0) * weight;
  into.first = Math.min(into.first, from.first);
  into.last = Math.max(into.last, from.last);
  into.total += from.total * weight;
}

export function clear(histogram: LatencyCounts): void {
  if (histogram.last >= histogram.first) histogram.counts.fill(0, histogram.first, histogram.last + 1);
  histogram.first = histogram.scale.buckets;
  histogram.last = -1;
  histogram.total = 0;
}

/** The sum of histograms, as a new histogram. */
export function sumOf(scale: Scale, parts: Iterable<LatencyCounts>): LatencyCounts {
  const sum = emptyHistogram(scale);
  for (const part of parts) addInto(sum, part);
  return sum;
}

/**
 * Converts a report's sparse histogram to a dense histogram on `scale`.
 *
 * When the report has another base or growth (from a sidecar of another version), each bucket is added at its middle.
 * The error is at most half a bucket.
 */
export function fromReport(report: Histogram, scale: Scale = reportScale): LatencyCounts {
  const dense = emptyHistogram(scale);
  const lnGrowth = Math.log(report.growth);
  const lnBaseMs = Math.log(report.base * 1000);
  for (const [index, count] of Object.entries(report.counts))
    addCount(dense, latencyBucketOf(scale, lnBaseMs + (Number(index) - 0.5) * lnGrowth), count);
  return dense;
}

/** A histogram with its tail sums, for many quantiles of the same counts. */
export type Tail = {
  readonly histogram: LatencyCounts;
  /** sums[i]: requests in buckets i and above. */ readonly sums: Float64Array;
};

export function tailOf(histogram: LatencyCounts): Tail {
  const sums = new Float64Array(histogram.scale.buckets + 1);
  let sum = 0;
  for (let i = histogram.last; i >= 0; i--) {
    sum += histogram.counts[i] ?? 0;
    sums[i] = sum;
  }
  return { histogram, sums };
}

/**
 * ln(ms) of the latency that a fraction `exceeding` of the requests exceeds. Interpolates linearly in ln(ms) inside a
 * bucket.
 *
 * @param exceeding 0..1: 0.05 asks for p95
 * @returns -Infinity for an empty histogram
 */
export function lnQuantile({ histogram, sums }: Tail, exceeding: number): number {
  const { scale, first, last, counts } = histogram;
  if (last < first) return -Infinity;
  const wanted = exceeding * (sums[0] ?? 0);
  const bucket = wanted > 0 ? lastReaching(sums, wanted, histogram) : last;
  const here = counts[bucket] ?? 0;
  const above = sums[bucket + 1] ?? 0;
  const inside = here > 0 ? Math.min(1, Math.max(0, (wanted - above) / here)) : 0;
  return scale.lnLow + scale.lnStep * (bucket + 1 - inside);
}

/** The same as `lnQuantile` for one quantile of one histogram, without tail sums. */
export function lnQuantileOf({ scale, counts, first, last, total }: LatencyCounts, exceeding: number): number {
  if (last < first) return -Infinity;
  const wanted = exceeding * total;
  let above = 0;
  for (let bucket = last; bucket >= first; bucket--) {
    const here = counts[bucket] ?? 0;
    if (here > 0 && above + here >= wanted) return scale.lnLow + scale.lnStep * (bucket + 1 - (wanted - above) / here);
    above += here;
  }
  return scale.lnLow + scale.lnStep * first;
}

/** The highest bucket whose tail sum reaches `wanted`; tail sums decrease with the index. */
function lastReaching(sums: Float64Array, wanted: number, { first, last }: LatencyCounts): number {
  let low = first;
  let high = last;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((sums[middle] ?? 0) >= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The estimated number of requests with ln(ms) above `level`. Of the bucket that contains `level`, only the part above
 * `level` counts.
 */
export function countAbove({ scale, counts, first, last }: LatencyCounts, level: number): number {
  const exact = (level - scale.lnLow) / scale.lnStep;
  const bucket = Math.floor(exact);
  let sum = 0;
  for (let i = Math.max(first, bucket + 1); i <= last; i++) sum += counts[i] ?? 0;
  if (bucket < first || bucket > last) return sum;
  return sum + (counts[bucket] ?? 0) * (bucket + 1 - exact);
}
