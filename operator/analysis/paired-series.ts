/**
 * Pairs of service times by block, for the judge: how many times as long the candidate took for the same request.
 *
 * Owns:   the scale of ratios and the fold from what the candidate's pods counted to one series. Sources are added up,
 *         for a pair says the same whoever asked; how many came from where is told beside it.
 * Rule:   pairs are never live traffic: they are in no cell (ledger.ts).
 * Units:  a ratio, as its natural logarithm; bucket i of the report is bucket i of the scale.
 * Pure.
 */
import { pairSources, ratioBuckets, type BlockCount, type BlockTraffic, type PairSource } from '../../api/report.ts';
import type { Ledger } from './ledger.ts';
import { addInto, emptyHistogram, fromReport, sumOf, type LatencyCounts, type Scale } from './log-histogram.ts';
import type { BlockSpan } from './merged-cells.ts';
import type { LatencySeries } from './series.ts';

const lnGrowth = Math.log(ratioBuckets.growth);

/** `fromReport` takes a report's base for seconds and the scale for milliseconds: the factor cancels. */
export const ratioScale: Scale = {
  lnLow: Math.log(ratioBuckets.base) + Math.log(1000) - lnGrowth,
  lnStep: lnGrowth,
  buckets: ratioBuckets.most + 1,
};
/** What to take off a value of the scale for the logarithm of a ratio. */
export const lnRatioOffset = Math.log(1000);

export type PairCount = Readonly<Partial<Record<PairSource, number>>>;

export type PairedSeries = {
  /** Ratios by position and by pod of the candidate, on `ratioScale`. */
  readonly series: LatencySeries;
  readonly counts: PairCount;
};

/** Pairs by block, for who has no ledger. @param blocks on `ratioScale`, in order, none left out */
export function pairedOf(blocks: readonly LatencyCounts[], counts: PairCount): PairedSeries {
  const total = sumOf(ratioScale, blocks);
  return { series: { blocks, total, pods: total.total === 0 ? [] : [total] }, counts };
}

/** @returns undefined where no pair was ever counted in the span */
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
