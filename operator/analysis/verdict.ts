/**
 * The verdict of a gate and its numbers.
 *
 * Owns: the types. The reasons of undecided gates are in api/reasons.ts. Read this file before the files of the gates.
 * Units: a relative latency gate uses ratios minus one (0.15 is 15 % slower), an absolute latency gate uses
 * milliseconds, and rates are shares of requests (0.005 is half a percent).
 */

import type { ReasonFrom } from '../../api/reasons.ts';
import type { PairSource } from '../../api/report.ts';

export type Verdict = 'Pass' | 'Fail' | 'Undecided';
/** A verdict that decides. */
export type Said = Exclude<Verdict, 'Undecided'>;

/** Why a gate is undecided. */
export type UndecidedReason = ReasonFrom<'verdict'>;

export type Decided = {
  readonly verdict: Verdict;
  readonly reason?: UndecidedReason;
  /**
   * For a NoFail step. Shown: the candidate is not worse than the early promise (constants.ts). Blind: the gate could
   * not have failed yet, even for a bad candidate. Absent: neither. A gate without an early promise reports Shown.
   */
  readonly early?: 'Shown' | 'Blind';
};

/** A class of requests. sizeClass: the upper limit of input elements (of tokens, for text), a power of two. */
export type RequestClass = { readonly tier: string; readonly sizeClass: number };

export type GateNumbers = {
  /** The class of the verdict, for a gate that judges each class. */
  readonly ofClass?: RequestClass;
  readonly candidateRequests: number;
  /** Absent for a gate that does not compare with stable. */
  readonly stableRequests?: number;
  readonly unit: 'ratio' | 'ms' | 'share';
  /** Point estimate and bounds, in `unit`; null while unknown. */
  readonly estimate: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  /** The limit: the gate fails when the lower bound is above it. */
  readonly limit: number;
  /**
   * The gate passes when the upper bound is at most this value. It is the limit, or more when the traffic cannot show
   * the limit; Infinity when a Pass claims nothing.
   */
  readonly toShow: number;
  /**
   * The candidate's requests that a verdict still needs, by the current estimate. It is a forecast, not a bound; 0 once
   * decided, null when no number of requests is enough.
   */
  readonly requestsStillNeeded: number | null;
  /**
   * The same forecast for estimates one standard error lower and higher; null when no number of requests is enough.
   * Absent once decided, and when no requests are missing.
   */
  readonly neededRange?: readonly [low: number | null, high: number | null];
  /** Chance that the bounds are wrong in this window: of a wrong Fail and of a wrong Pass together. */
  readonly alpha: number;
  /** The part of `alpha` for a wrong Pass, which is the α of the upper bound. */
  readonly passAlpha: number;
  /** What determines the width of the bounds. */
  readonly evidence: LatencyEvidence;
  /** The result by pairs, for a gate that compares latency with stable's. */
  readonly paired?: PairedResult;
};

export type LatencyEvidence = {
  /** The effective number of minutes of the requests. */
  readonly minutes: number;
  /** Standard deviation between minutes: of the compared ln(latency), or of the rate, relative to the rate. */
  readonly noise: number;
  /** The standard deviation that a Pass assumes; present only if it is larger than the measured one. */
  readonly passNoise?: number;
  readonly candidatePods: number;
  readonly stablePods?: number;
  /**
   * If a revision has one pod and nodes may differ: the largest difference in latency that nodes alone may cause, as a
   * ratio minus one (0.28: 28 %).
   */
  readonly nodesMayDiffer?: number;
  /** Windows of 40 s that were left out to check whether the verdict still holds. */
  readonly windowsRemoved: number;
  /**
   * The deciding bound (lower for a Fail, upper for a Pass) without the windows that were left out, in the gate's unit.
   * A latency Fail needs less evidence for this bound (constants.ts, stallEvidence). Absent when no window was left
   * out.
   */
  readonly boundWithoutStalls?: number;
};

/** The result of a latency gate by pairs of service times (paired.ts). */
export type PairedResult = Pick<Decided, 'verdict' | 'reason'> & {
  readonly pairs: number;
  /** The number of pairs from each source. */
  readonly counts: Readonly<Partial<Record<PairSource, number>>>;
  /**
   * The typical slowdown of the same request, as a ratio minus one; null while there are too few pairs. A Pass shows
   * `upper`.
   */
  readonly estimate: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  /** Shown: not worse than the early promise. Blind: the pairs could not have failed the gate yet. */
  readonly early?: 'Shown' | 'Blind';
};

export type GateResult = Decided & GateNumbers & { readonly gate: string };
