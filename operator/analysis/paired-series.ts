/**
 * Pairs of service times by block, for the judge: the candidate's time divided by stable's time for the same request.
 *
 * Terms: A block is 20 seconds. A ledger has the known blocks of every pod; a cell is what one pod counted in one block
 * of live requests. The sources of pairs are probes (golden inputs), replays of samples, and shadowed requests.
 * Owns: the scale of ratios, and the sum of the counts of the candidate's pods in one series. Pairs from all sources
 * are added, because a pair has the same meaning from every source. The number of pairs from each source is recorded,
 * too.
 * Rule: pairs are not live traffic: no cell contains them (ledger.ts).
 * Units: the natural logarithm of a ratio; bucket i of the report is bucket i of the scale.
 * Pure.
 */
import { pairSources, ratioBuckets, type BlockCount, type BlockTraffic, type PairSource } from '../../api/report.ts';
import type { Ledger } from './ledger.ts';
import { addInto, emptyHistogram, fromReport, sumOf, type LatencyCounts, type Scale } from './log-histogram.ts';
import type { BlockSpan } from './merged-cells.ts';
import type { LatencySeries } from './series.ts';

const lnGrowth = Math.log(ratioBuckets.growth);

/**
 * The scale of ratios. `fromReport` multiplies every report's base by 1,000 (seconds to milliseconds), although a ratio
 * has no unit. The values of this scale are therefore ln(1000) too large; subtract `lnRatioOffset`.
 */
export const ratioScale: Scale = {
  lnLow: Math.log(ratioBuckets.base) + Math.log(1000) - lnGrowth,
  lnStep: lnGrowth,
  buckets: ratioBuckets.most + 1,
};
/** The number to subtract from a value of the scale to get the logarithm of a ratio. */
export const lnRatioOffset = Math.log(1000);

export type PairCount = Readonly<Partial<Record<PairSource, number>>>;

export type PairedSeries = {
  /** Ratios by block, and by pod of the candidate, on `ratioScale`. */
  readonly series: LatencySeries;
  readonly counts: PairCount;
};

/** Pairs by block, for callers without a ledger. @param blocks on `ratioScale`, in order, without gaps */
export function pairedOf(blocks: readonly LatencyCounts[], counts: PairCount): PairedSeries {
  const total = sumOf(ratioScale, blocks);
  return { series: { blocks, total, pods: total.total === 0 ? [] : [total] }, counts };
}

/** @returns undefined when no pair was counted in the span */
export function pairedSeries(
  ledger: Ledger,
  candidate: string,
  { first, last, lost = [] }: BlockSpan,
): PairedSeries | undefined {
  const gone = new Set(lost);
  const blocks = Array.from({ length: Math.max(0, last - first + 1) }, () => emptyHistogram(ratioScale));
  const pods: LatencyCounts[] = [];
  const counts: Partial<Record<PairSource, number>> = {};
  for (const key of Object.keys(ledger).toSorted()) {
    const boot = ledger[key];
    if (boot?.revision !== candidate) continue;
    const pod = emptyHistogram(ratioScale);
    for (const count of Object.values(boot.blocks)) {
      const into = gone.has(count.index) ? undefined : blocks[count.index - first];
      if (into !== undefined) addBlock(count, [into, pod], counts);
    }
    if (pod.total > 0) pods.push(pod);
  }
  return pods.length === 0 ? undefined : { series: { blocks, pods, total: sumOf(ratioScale, pods) }, counts };
}

function addBlock(
  { traffic }: BlockCount,
  into: readonly LatencyCounts[],
  counts: Partial<Record<PairSource, number>>,
): void {
  for (const row of traffic) addRow(row, into, counts);
}

function addRow(
  { paired }: BlockTraffic,
  into: readonly LatencyCounts[],
  counts: Partial<Record<PairSource, number>>,
): void {
  if (paired === undefined) return;
  for (const source of pairSources) {
    const ratios = paired[source];
    if (ratios === undefined) continue;
    const dense = fromReport(ratios, ratioScale);
    for (const histogram of into) addInto(histogram, dense);
    counts[source] = (counts[source] ?? 0) + dense.total;
  }
}
