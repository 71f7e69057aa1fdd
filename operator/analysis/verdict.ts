/**
 * The verdict of a gate and its numbers.
 *
 * Terms: A gate compares a measure of the candidate with a limit. A window is the blocks (of 20 seconds) by which a
 * step of the rollout is judged. The mix is all requests; a class is the requests of one tier and size. A pair is the
 * service times of the same request on stable and on the candidate. A NoFail step ends after a set time if no gate
 * failed.
 * Owns: the types. The reasons of undecided gates are in api/reasons.ts. Read this file before the files of the gates.
 * Units: a relative latency gate uses ratios minus one (0.15 is 15 % slower), an absolute latency gate uses
 * milliseconds, and rates are shares of requests (0.005 is half a percent).
 */

import type { ReasonFrom } from '../../api/reasons.ts';
import type { PairSource } from '../../api/report.ts';

export type Verdict = 'Pass' | 'Fail' | 'Undecided';
/** A verdict other than Undecided. */
export type Said = Exclude<Verdict, 'Undecided'>;

/** Why a gate is undecided. */
export type UndecidedReason = ReasonFrom<'verdict'>;

export type Decided = {
  readonly verdict: Verdict;
  readonly reason?: UndecidedReason;
  /**
   * For a NoFail step. Shown: the candidate is not worse than the early promise, the bound that such a step tries to
   * show before it ends (constants.ts, earlyPromise). Blind: the gate could not have failed yet, even for a bad
   * candidate. Absent if neither is true. A gate without an early promise reports Shown.
   */
  readonly early?: 'Shown' | 'Blind';
};

/**
 * A class of requests. `sizeClass` is a power of two: the upper limit of the number of input elements of a request (for
 * text, of tokens).
 */
export type RequestClass = { readonly tier: string; readonly sizeClass: number };

export type GateNumbers = {
  /**
   * For a gate that judges each class: the class whose judgement determines the verdict. Absent if the mix of all
   * requests determines it.
   */
  readonly ofClass?: RequestClass;
  readonly candidateRequests: number;
  /** The number of stable's requests. Absent for a gate that does not compare with stable. */
  readonly stableRequests?: number;
  readonly unit: 'ratio' | 'ms' | 'share';
  /** The point estimate, in `unit`; null while it is unknown. */
  readonly estimate: number | null;
  /** The lower bound, in `unit`; null while it is unknown. */
  readonly lower: number | null;
  /** The upper bound, in `unit`; null while it is unknown. */
  readonly upper: number | null;
  /** The limit: the gate fails when the lower bound is above it. */
  readonly limit: number;
  /**
   * The gate passes when the upper bound is at most this value. A Pass is evidence that the candidate is not worse than
   * this value. The value is the limit, or larger when the traffic cannot show the limit. It is Infinity for a gate
   * that can only fail a candidate: its Pass states no bound.
   */
  readonly toShow: number;
  /**
   * The candidate's requests that a verdict still needs, by the current estimate. It is a forecast, not a bound. It is
   * 0 once the gate has a verdict, and null when no number of requests is enough.
   */
  readonly requestsStillNeeded: number | null;
  /**
   * The range of `requestsStillNeeded` for estimates up to one standard error lower and higher. Where `low` or `high`
   * is null, no number of requests is enough. Absent once the gate has a verdict, and when more requests would not
   * help.
   */
  readonly neededRange?: readonly [low: number | null, high: number | null];
  /** Chance that the bounds are wrong in this window: the sum of the α for a wrong Fail and the α for a wrong Pass. */
  readonly alpha: number;
  /** The accepted chance of a wrong Pass: the share of `alpha` that the upper bound uses. */
  readonly passAlpha: number;
  /** What determines the width of the bounds. */
  readonly evidence: LatencyEvidence;
  /** The result by pairs, for a gate that compares latency with stable's. */
  readonly paired?: PairedResult;
};

export type LatencyEvidence = {
  /** The effective number of minutes over which the requests are spread (noise.ts, effectiveMinutes). */
  readonly minutes: number;
  /**
   * For latency: the standard deviation between minutes of the compared ln(latency). For rates: the standard deviation
   * between minutes of the rate, relative to the rate.
   */
  readonly noise: number;
  /** For latency: the standard deviation that a Pass assumes. Absent for a gate on rates. */
  readonly passNoise?: number;
  readonly candidatePods: number;
  readonly stablePods?: number;
  /**
   * The largest difference in latency that nodes alone may cause, as a ratio minus one (0.28 is 28 %). Present only if
   * a revision has a single pod and the revisions may run on different nodes.
   */
  readonly nodesMayDiffer?: number;
  /** The number of ranges of 40 s that were left out to check whether the verdict still holds. */
  readonly windowsRemoved: number;
  /**
   * The deciding bound (lower for a Fail, upper for a Pass) without the ranges that were left out, in the gate's unit.
   * It uses the full evidence ln(1/α), although a Fail needs less evidence without these ranges (constants.ts,
   * stallEvidence). Absent when no range was left out.
   */
  readonly boundWithoutStalls?: number;
};

/** The result of a latency gate from pairs of service times (paired.ts). */
export type PairedResult = Pick<Decided, 'verdict' | 'reason'> & {
  readonly pairs: number;
  /** The number of pairs from each source. */
  readonly counts: Readonly<Partial<Record<PairSource, number>>>;
  /** The typical slowdown of the same request, as a ratio minus one; null while there are too few pairs. */
  readonly estimate: number | null;
  /** The lower bound of the slowdown; null while it is unknown. */
  readonly lower: number | null;
  /** The upper bound of the slowdown, which a Pass shows; null while it is unknown. */
  readonly upper: number | null;
  /** Shown: the candidate is not worse than the early promise. Blind: the pairs could not have failed the gate yet. */
  readonly early?: 'Shown' | 'Blind';
};

export type GateResult = Decided & GateNumbers & { readonly gate: string };
