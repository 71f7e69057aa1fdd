/**
 * The numbers the judge is tuned with, each with its meaning. docs/canary-analysis.md says how they were chosen.
 *
 * Pure: values only. They are the same for every model: what differs between models is learnt from its data.
 */

/** Seconds in a block: the unit in which sidecars count. */
export { blockSeconds } from '../../api/report.ts';
/** Blocks in a minute group: requests of one minute share noise. */
export const blocksPerGroup = 3;

export const tuning = {
  /** Concentration of the beta mixture for quantiles: Beta(k (1-p), k p) on the share above the threshold. */
  quantileMixture: 50,
  /** Standard deviation of ln(latency) of one revision in one minute, assumed until it is measured. */
  assumedNoise: 0.07,
  /** Weight of that assumption, in minutes. */
  assumedMinutes: 3,
  /** Where the normal mixture is tightest, in minutes. */
  marginMinutes: 0.35,
  /** Noise does not change on the minute, groups do: measured variances are raised by this. */
  misalignment: 1.5,
  /** Requests above the quantile that a minute needs before its quantile says something about noise. */
  tailRequests: 5,
  /** Relative standard deviation of a rate from minute to minute, assumed until it is measured, and its weight in minutes. */
  assumedRateNoise: 0.3,
  assumedRateMinutes: 3,
  /** A Fail without its worst 40 s is held against this share of the evidence C = ln(1/α) that it needs with them. */
  stallEvidence: 0.265,
  /** For a Fail the variance between minutes is raised by this over the minutes that it is known from. */
  noiseDoubt: 5,
  /** In a window's first blocks, as many as these, blocks that differ speak for minutes; each needs so many requests above the quantile. */
  earlyBlocks: 15,
  earlyTailRequests: 2,
  /** Standard deviations by which the candidate has to get faster from block to block to count as warming up. */
  warmingDeviations: 2.5,
  /** Blocks without such a trend after which a warm-up counts as over. */
  settledBlocks: 6,
  /** A stall of 20 s touches at most this many blocks. */
  stallBlocks: 2,
  /** Below this many requests of either revision nothing is said. */
  hardMinRequests: 20,
  /** Blocks that a step has to see before it may end with NoFail. */
  minBlocks: 3,
} as const;

/** Requests of each revision that a minute group needs: 100 at p95, 500 at p99. @param p the quantile, 0..1 */
export function groupRequests(p: number): number {
  return Math.ceil(tuning.tailRequests / (1 - p) - 1e-9);
}
