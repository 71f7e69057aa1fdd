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
  /**
   * Relative standard deviation of a rate from minute to minute, assumed until it is measured, and its weight in
   * minutes.
   */
  assumedRateNoise: 0.3,
  assumedRateMinutes: 3,
  /** A Fail without its worst 40 s is held against this share of the evidence C = ln(1/α) that it needs with them. */
  stallEvidence: 0.265,
  /** For a Fail the variance between minutes is raised by this over the minutes that it is known from. */
  noiseDoubt: 5,
  /**
   * In a window's first blocks, as many as these, blocks that differ speak for minutes; each needs so many requests
   * above the quantile.
   */
  earlyBlocks: 15,
  earlyTailRequests: 2,
  /** Standard deviations by which the candidate has to get faster from block to block to count as warming up. */
  warmingDeviations: 2.5,
  /** Blocks without such a trend after which a warm-up counts as over. */
  settledBlocks: 6,
  /**
   * Of the share of slow requests in a window's first half: with less than this in its latest, they are on their way
   * out.
   */
  ebbing: 0.5,
  /**
   * Requests above the quantile, about, for the latest half of a window to say that a slowdown lasts: 60 requests at
   * p95, 300 at p99.
   */
  lastingTailRequests: 3,
  /** Requests of each revision for a point of a trend, which is that of the mean whatever quantile is judged. */
  trendRequests: 40,
  /**
   * By how many standard errors of its slope a trend that is not seen may go on for a while (confidences, warmBlocks).
   */
  unseenTrendDeviations: 1.9,
  /** How far ahead a trend that was found is thought to go on, less so many standard errors; three minutes. */
  warmAheadBlocks: 9,
  seenTrendDeviations: 1,
  /** A stall of 20 s touches at most this many blocks. */
  stallBlocks: 2,
  /** Below this many requests of either revision nothing is said. */
  hardMinRequests: 20,
  /**
   * Blocks that a step has to see before it may end at all, and requests of each revision where nothing else is asked.
   */
  minBlocks: 3,
  fewestRequests: 3,
  /**
   * A NoFail step waits for its promise only where the candidate gets so many requests in so many blocks (ten minutes).
   */
  promiseRequests: 400,
  promiseBlocks: 30,
  /** Weight of the prior for rates near 0, Beta(½, 50), beside Jeffreys' Beta(½, ½) (rate-evidence.ts). */
  smallRateWeight: 0.9,
  smallRatePrior: 50,
  /**
   * Standard deviation of ln(latency) that two pods of one revision differ by for good, assumed until pods show it, and
   * its weight in pods.
   */
  assumedPodSpread: 0.085,
  assumedPodFreedom: 4,
  /**
   * Standard normal deviates of the margin for lasting differences where one pod stands for a revision: 2 % and 1 %.
   */
  podDeviations: { Fail: 2.05, Pass: 2.33 },
  /** Lags over which noise that lasts is added up, in minutes (noise-history.ts). */
  lastingLags: 5,
  /** What five lags and a line fitted to half an hour leave of such noise is too little by about so much. */
  lastingBias: 3,
  /**
   * For a Pass the variance that history shows is raised by this: half an hour is short for noise that lasts
   * (noise.ts).
   */
  passDoubt: 7.2,
  /** All of a variance counts as that of ordinary minutes where their share, as estimated, is a third or more. */
  ordinaryRoom: 3,
  /** Minutes of a window until which it is enough. */
  lastingMinutes: 11,
} as const;

/**
 * What a rollout trades, by `gates.confidence`. Blocks are of 20 s.
 *
 * failAlpha: chance of any wrong Fail in a whole rollout, where `gates.alpha` says nothing. passAlpha: chance that a
 * gate passes though its quantity is beyond what the Pass says. noFailBlocks: a NoFail step lasts so long at least.
 * failBlocks: no latency Fail before. warmBlocks: age of a window until which a warm-up that is not seen may go on.
 * earlyBlocks: how long a NoFail step may wait for its own promise (earlyPromise). stages: shares of the step's time
 * from which on a Pass may show less (plan.ts, toShow); the last is of gates that nobody wrote (lastToShow).
 */
// prettier-ignore
export const confidences = {
  Strict: { failAlpha: 0.01, passAlpha: 0.01, noFailBlocks: 30, failBlocks: 9,
    warmBlocks: 19, earlyBlocks: 60, relaxes: false, stages: [1, 1, 1] },
  Standard: { failAlpha: 0.05, passAlpha: 0.05, noFailBlocks: 15, failBlocks: 9,
    warmBlocks: 19, earlyBlocks: 45, relaxes: true, stages: [11 / 30, 22 / 30, 28 / 30] },
  Quick: { failAlpha: 0.2, passAlpha: 0.2, noFailBlocks: 6, failBlocks: 6,
    warmBlocks: 9, earlyBlocks: 9, relaxes: true, stages: [5 / 30, 10 / 30, 15 / 30] },
} as const;

/** What a NoFail step shows where it can before it ends: nothing worse than this. */
export const earlyPromise = { latency: 0.5, errors: 0.05 } as const;

/** ln of the ratio of two pods' loads from which on they are unequal: about a third more. */
export const equalLoadLn = 0.3;

/** Requests of each revision that a minute group needs: 100 at p95, 500 at p99. @param p the quantile, 0..1 */
export function groupRequests(p: number): number {
  return Math.ceil(tuning.tailRequests / (1 - p) - 1e-9);
}
