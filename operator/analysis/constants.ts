/**
 * The constants of the judge, the code that compares a candidate with stable. docs/canary-analysis.md says how they
 * were chosen.
 *
 * Terms: A block is 20 seconds; a window is the blocks by which a step of the rollout is judged. A gate is a limit on a
 * measure, with the verdict Pass, Fail or Undecided. α is the accepted probability of a wrong verdict. Noise is random
 * variation between the minutes or the pods of one revision. A stall is a few seconds so slow that they alone could
 * decide a verdict. A NoFail step ends after a set time if no gate failed; a Pass step ends when every gate passes. The
 * early promise is the bound that a NoFail step tries to show before it ends.
 * Pure: values only. The values are the same for every model; differences between models are learnt from the models'
 * data.
 */

/** Seconds in a block. A block is the unit of time in which sidecars count requests. */
export { blockSeconds } from '../../api/report.ts';
/** Blocks in a minute group. Blocks are grouped by minute because requests of one minute share noise. */
export const blocksPerGroup = 3;

export const tuning = {
  /**
   * The concentration k of the beta mixture for the quantile p: the share of requests above a threshold has the prior
   * Beta(k (1-p), k p).
   */
  quantileMixture: 50,
  /** Standard deviation of ln(latency) of one revision from minute to minute, assumed until it is measured. */
  assumedNoise: 0.07,
  /** Weight of `assumedNoise`: it counts as much as this many measured minutes. */
  assumedMinutes: 3,
  /**
   * The constant ρ, in minutes, of the margin for noise between minutes (noise.ts, minuteMargin). Relative to 1/√T, the
   * margin is smallest at T = 10 ρ to 16 ρ minutes, for α from 0.05 to 0.0025.
   */
  marginMinutes: 0.35,
  /**
   * Measured variances are multiplied by this factor, because noise does not change exactly at the boundaries of minute
   * groups.
   */
  misalignment: 1.5,
  /** Minutes are joined to a group until each revision has about this many requests above the quantile. */
  tailRequests: 5,
  /** Relative standard deviation of a rate from minute to minute, assumed until it is measured. */
  assumedRateNoise: 0.3,
  /** Weight of `assumedRateNoise`: it counts as much as this many measured minutes. */
  assumedRateMinutes: 3,
  /** When the window's worst 40 s are left out, a Fail needs only this share of the evidence C = ln(1/α). */
  stallEvidence: 0.265,
  /**
   * For a Fail, the variance between minutes is multiplied by 1 + this number / (assumedMinutes + the number of
   * measured minutes).
   */
  noiseDoubt: 5,
  /**
   * While a window has at most this many blocks, the variance between blocks is used as a lower bound for the variance
   * between minutes (noise.ts, doubtedVariance).
   */
  earlyBlocks: 15,
  /**
   * To measure the variance between blocks, blocks are joined until each revision has about this many requests above
   * the quantile.
   */
  earlyTailRequests: 2,
  /**
   * The candidate is warming up if its latency falls from block to block, and if the size of the slope exceeds this
   * many standard errors of the slope.
   */
  warmingDeviations: 2.5,
  /** The part of the window after a warm-up must have at least this many blocks. */
  settledBlocks: 6,
  /**
   * A slowdown is fading if the share of slow requests in the latest half of a window is less than this fraction of
   * their share in the first half.
   */
  ebbing: 0.5,
  /**
   * To check whether a slowdown lasts, the latest half of a window needs enough requests: this number of them must be
   * expected above the quantile. The half needs at least 60 requests at p95, 300 at p99.
   */
  lastingTailRequests: 3,
  /**
   * Requests of each revision that one point of a trend needs. A trend is computed from mean latencies, whichever
   * quantile the gate uses.
   */
  trendRequests: 40,
  /**
   * When no warm-up trend was found, the candidate may still get faster: the estimated slope is made steeper by this
   * many standard errors. The slope is extrapolated until the window has `warmBlocks` blocks (confidences), or to the
   * end of an older window.
   */
  unseenTrendDeviations: 1.9,
  /** A warm-up trend that was measured is assumed to continue for this many blocks (three minutes). */
  warmAheadBlocks: 9,
  /** While a measured warm-up trend is assumed to continue, its slope is made steeper by this many standard errors. */
  seenTrendDeviations: 1,
  /** A stall of 20 s touches at most this many blocks. */
  stallBlocks: 2,
  /** A gate stays undecided while either revision has fewer requests than this. */
  hardMinRequests: 20,
  /** A step is not done before this many blocks are known and complete. A Fail may end it earlier. */
  minBlocks: 3,
  /** When the traffic is low, a NoFail step lowers the default of minRequests to this number for each revision. */
  fewestRequests: 3,
  /**
   * Before a NoFail step ends, it waits until the bound `earlyPromise` is shown. It waits for this only if each
   * revision gets this many requests in `promiseBlocks`.
   */
  promiseRequests: 400,
  /**
   * The number of blocks in which each revision must get `promiseRequests`: ten minutes. A short step uses fewer blocks
   * (judge.ts, within).
   */
  promiseBlocks: 30,
  /**
   * Weight of the prior for rates near 0, Beta(½, smallRatePrior). Jeffreys' prior, Beta(½, ½), has the rest of the
   * weight (rate-evidence.ts).
   */
  smallRateWeight: 0.9,
  /** The second parameter of the prior for rates near 0. */
  smallRatePrior: 50,
  /**
   * Standard deviation of the lasting differences in ln(latency) between pods of one revision, assumed until it is
   * measured.
   */
  assumedPodSpread: 0.085,
  /** Weight of `assumedPodSpread`: it counts as much as a measurement with this many degrees of freedom. */
  assumedPodFreedom: 4,
  /**
   * When a revision has only one pod, the margin for lasting differences between pods is this many standard deviations.
   * By chance, a difference exceeds the margin of a Fail in 2 % of cases, and the margin of a Pass in 1 % of cases.
   */
  podDeviations: { Fail: 2.05, Pass: 2.33 },
  /**
   * The largest lag, in minutes, up to which autocovariances are summed to estimate lasting noise (noise-history.ts).
   */
  lastingLags: 5,
  /**
   * Lasting noise is estimated, up to the lag `lastingLags`, from the deviations from a straight line over half an
   * hour. That estimate is too low by about this factor.
   */
  lastingBias: 3,
  /**
   * For a Pass, the variance is multiplied by up to this factor, because half an hour is too short to show lasting
   * noise (noise.ts).
   */
  passDoubt: 7.2,
  /**
   * The estimated share of the variance that comes from ordinary minutes (minutes that are not outliers) is multiplied
   * by this factor, so an estimate of at least a third counts as the entire variance.
   */
  ordinaryRoom: 3,
  /**
   * When a window is longer than this many minutes, the variance for a Pass is raised further (noise.ts,
   * lastingGrowth).
   */
  lastingMinutes: 11,
} as const;

/**
 * The constants of each `gates.confidence`. A block is 20 s.
 *
 * - failAlpha: the chance that any gate fails wrongly during a rollout, unless `gates.alpha` is set.
 * - passAlpha: the chance of a Pass although the quantity exceeds the bound that the Pass states.
 * - noFailBlocks: the minimum length of a NoFail step.
 * - failBlocks: the age of a window, in blocks, before which a latency gate does not fail.
 * - warmBlocks: the age of a window, in blocks, until which a warm-up may continue although no trend shows it.
 * - earlyBlocks: the number of blocks after which a NoFail step no longer waits for its early promise.
 * - relaxes: whether a Pass may show a weaker bound than the gate's limit later in the step (plan.ts, toShow).
 * - stages: the shares of the step's time after which the bound for a Pass becomes weaker. The last stage is for
 *   default gates only (plan.ts, lastToShow).
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

/**
 * The early promise: before a NoFail step ends, it tries to show that the candidate's increase over stable is at most
 * this: 50 % in latency, 5 percentage points in the error rate.
 */
export const earlyPromise = { latency: 0.5, errors: 0.05 } as const;

/**
 * The revisions' loads per pod are unequal when the ln of their ratio exceeds this, that is, when one load is larger by
 * about a third.
 */
export const equalLoadLn = 0.3;

/** Requests of each revision that a minute group needs: 100 at p95, 500 at p99. @param p the quantile, 0..1 */
export function groupRequests(p: number): number {
  return Math.ceil(tuning.tailRequests / (1 - p) - 1e-9);
}
