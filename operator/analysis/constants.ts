/**
 * The constants of the judge. docs/canary-analysis.md says how they were chosen.
 *
 * Pure: values only. They are the same for every model. Differences between models are learnt from their data.
 */

/** Seconds in a block: the unit in which sidecars count. */
export { blockSeconds } from '../../api/report.ts';
/** Blocks in a minute group: requests of one minute share noise. */
export const blocksPerGroup = 3;

export const tuning = {
  /** Concentration of the beta mixture for quantiles: Beta(k (1-p), k p) on the share above the threshold. */
  quantileMixture: 50,
  /** Standard deviation of ln(latency) of one revision from minute to minute, assumed until it is measured. */
  assumedNoise: 0.07,
  /** Weight of `assumedNoise`, in minutes. */
  assumedMinutes: 3,
  /** The number of minutes at which the normal mixture is tightest. */
  marginMinutes: 0.35,
  /**
   * Measured variances are multiplied by this, because noise does not change exactly at the boundaries of minute
   * groups.
   */
  misalignment: 1.5,
  /** Requests above the quantile that a minute needs before its quantile counts for noise. */
  tailRequests: 5,
  /**
   * Relative standard deviation of a rate from minute to minute, assumed until it is measured, and its weight in
   * minutes.
   */
  assumedRateNoise: 0.3,
  assumedRateMinutes: 3,
  /** When its worst 40 s are left out, a Fail needs only this share of the evidence C = ln(1/α). */
  stallEvidence: 0.265,
  /**
   * For a Fail the variance between minutes is multiplied by 1 + this number / the number of minutes that were
   * measured.
   */
  noiseDoubt: 5,
  /**
   * While a window has at most this many blocks, its variance between minutes is at least the variance between blocks
   * (noise.ts). Each block needs `earlyTailRequests` requests above the quantile.
   */
  earlyBlocks: 15,
  earlyTailRequests: 2,
  /** The candidate is warming up if it gets faster from block to block by this many standard deviations. */
  warmingDeviations: 2.5,
  /** A warm-up is over after this many blocks without such a trend. */
  settledBlocks: 6,
  /**
   * A slowdown is fading if the share of slow requests in the latest half of a window is less than this, relative to
   * the first half.
   */
  ebbing: 0.5,
  /**
   * Requests above the quantile that the latest half of a window needs to show that a slowdown lasts: 3 are about 60
   * requests at p95, 300 at p99.
   */
  lastingTailRequests: 3,
  /**
   * Requests of each revision that one point of a trend needs. A trend is computed from mean latencies, for every
   * quantile.
   */
  trendRequests: 40,
  /**
   * In a young window (confidences, warmBlocks), a trend that is too small to see is assumed to continue, with a slope
   * of this many standard errors.
   */
  unseenTrendDeviations: 1.9,
  /**
   * A trend that was found, minus `seenTrendDeviations` standard errors, is assumed to continue for this many blocks
   * (three minutes).
   */
  warmAheadBlocks: 9,
  seenTrendDeviations: 1,
  /** A stall of 20 s touches at most this many blocks. */
  stallBlocks: 2,
  /** With fewer requests of either revision a gate stays undecided. */
  hardMinRequests: 20,
  /**
   * A step may end after at least this many blocks, and this many requests of each revision if no higher number
   * applies.
   */
  minBlocks: 3,
  fewestRequests: 3,
  /**
   * A NoFail step waits for its promise only if the candidate gets this many requests in ten minutes (30 blocks).
   */
  promiseRequests: 400,
  promiseBlocks: 30,
  /**
   * Weight of the prior for rates near 0, Beta(½, 50). The rest of the weight has Jeffreys' prior, Beta(½, ½)
   * (rate-evidence.ts).
   */
  smallRateWeight: 0.9,
  smallRatePrior: 50,
  /**
   * Standard deviation of ln(latency) of lasting differences between pods of one revision, assumed until pods show it,
   * and the weight of that assumption in pods.
   */
  assumedPodSpread: 0.085,
  assumedPodFreedom: 4,
  /**
   * When a revision has only one pod, the margin for lasting differences is this many standard deviations. By chance a
   * difference is larger in 2 % of cases for a Fail, and in 1 % for a Pass.
   */
  podDeviations: { Fail: 2.05, Pass: 2.33 },
  /** Lags over which lasting noise is summed, in minutes (noise-history.ts). */
  lastingLags: 5,
  /** The estimate of lasting noise, from five lags and a line over half an hour, is too low by about this factor. */
  lastingBias: 3,
  /**
   * For a Pass the variance in the history is multiplied by this, because half an hour is too short to show lasting
   * noise (noise.ts).
   */
  passDoubt: 7.2,
  /** The whole variance counts as noise of ordinary minutes if their estimated share is at least a third. */
  ordinaryRoom: 3,
  /** In a longer window than this many minutes, a Pass raises the variance further (noise.ts, lastingGrowth). */
  lastingMinutes: 11,
} as const;

/**
 * The constants of each `gates.confidence`. Blocks have 20 s.
 *
 * failAlpha: chance of any wrong Fail in a whole rollout, unless `gates.alpha` is set. passAlpha: chance of a Pass
 * although the quantity exceeds the bound that the Pass claims. noFailBlocks: the minimum length of a NoFail step.
 * failBlocks: latency gates do not fail earlier. warmBlocks: the age of a window until which an unseen warm-up may
 * continue. earlyBlocks: how long a NoFail step waits for its early promise. stages: the shares of the step's time from
 * which a Pass may show less (plan.ts, toShow); the last stage is for default gates only (lastToShow).
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

/** Before it ends, a NoFail step tries to show that the candidate is not worse than this. */
export const earlyPromise = { latency: 0.5, errors: 0.05 } as const;

/**
 * Loads per pod are unequal when the ln of their ratio exceeds this, that is, when one load is about a third larger.
 */
export const equalLoadLn = 0.3;

/** Requests of each revision that a minute group needs: 100 at p95, 500 at p99. @param p the quantile, 0..1 */
export function groupRequests(p: number): number {
  return Math.ceil(tuning.tailRequests / (1 - p) - 1e-9);
}
