/**
 * What a gate says, and on which numbers.
 *
 * Owns:  the types; the reasons for not deciding are in api/reasons.ts. Read this before the gates.
 * Units: a relative latency gate speaks in ratios less one (0.15 is 15 % slower), an absolute one in
 *        milliseconds, rates in shares of requests (0.005 is half a percent).
 */

import type { ReasonFrom } from '../../api/reasons.ts';
import type { PairSource } from '../../api/report.ts';

export type Verdict = 'Pass' | 'Fail' | 'Undecided';
/** A verdict that says something. */
export type Said = Exclude<Verdict, 'Undecided'>;

/** Why a gate is undecided. */
export type UndecidedReason = ReasonFrom<'verdict'>;

export type Decided = {
  readonly verdict: Verdict;
  readonly reason?: UndecidedReason;
  /**
   * For a step that asks for NoFail. Shown: nothing worse than the early promise (constants.ts). Blind: the gate could
   * not fail yet, whatever the candidate did. Absent: neither; a gate without such a promise says Shown.
   */
  readonly early?: 'Shown' | 'Blind';
};

/** A class of requests. sizeClass: up to so many input elements (for text, tokens), a power of two. */
export type RequestClass = { readonly tier: string; readonly sizeClass: number };

export type GateNumbers = {
  /** Of a gate that judges each class, where the verdict is that of one. */
  readonly ofClass?: RequestClass;
  readonly candidateRequests: number;
  /** Absent where nothing is compared with stable. */
  readonly stableRequests?: number;
  readonly unit: 'ratio' | 'ms' | 'share';
  /** Point estimate and bounds, in `unit`; null while there are none. */
  readonly estimate: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  /** What the lower bound is held against. */
  readonly limit: number;
  /**
   * What the upper bound is held against: the limit, or more where the traffic cannot show that; Infinity where a Pass
   * shows nothing.
   */
  readonly toShow: number;
  /**
   * Candidate requests that today's estimate would need for a verdict: a forecast, not a bound. 0 once decided, null
   * when no number of requests would do.
   */
  readonly requestsStillNeeded: number | null;
  /**
   * The same with those for estimates a standard error away on either side; null where no number would do. Absent once
   * decided, and where no number of requests is missing.
   */
  readonly neededRange?: readonly [low: number | null, high: number | null];
  /** Chance that the bounds miss in this window: of a wrong Fail and of a wrong Pass together. */
  readonly alpha: number;
  /** Of these the chance of a wrong Pass, which is that of the upper bound. */
  readonly passAlpha: number;
  /** What made the bounds as wide as they are. */
  readonly evidence: LatencyEvidence;
  /** Of a latency gate against stable, where the same was asked of both revisions. */
  readonly paired?: PairedResult;
};

export type LatencyEvidence = {
  /** Minutes that the requests amount to. */
  readonly minutes: number;
  /** Standard deviation between minutes: of the compared ln(latency), or of the rate, relative to it. */
  readonly noise: number;
  /** The same as a Pass has to allow for, where that is more. */
  readonly passNoise?: number;
  readonly candidatePods: number;
  readonly stablePods?: number;
  /**
   * Where one pod stands for a revision on nodes that may differ: how much of a difference, as a ratio less one, may be
   * theirs.
   */
  readonly nodesMayDiffer?: number;
  /** Windows of 40 s left out to see whether the verdict still holds. */
  readonly windowsRemoved: number;
  /**
   * What the bound that speaks (lower for a Fail, upper for a Pass) is without those windows, in the gate's unit; for
   * latency a Fail asks a little less of it than of the whole (constants.ts, stallEvidence). Absent when none were left
   * out.
   */
  readonly boundWithoutStalls?: number;
};

/** What pairs of service times say of a latency gate (paired.ts). */
export type PairedResult = Pick<Decided, 'verdict' | 'reason'> & {
  readonly pairs: number;
  /** Where they came from. */
  readonly counts: Readonly<Partial<Record<PairSource, number>>>;
  /**
   * Typical slowdown of the same request: ratios less one; null while there are too few pairs. `upper` is what a Pass
   * shows.
   */
  readonly estimate: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  /** Shown: nothing worse than the early promise. Blind: the pairs could not have failed it yet. */
  readonly early?: 'Shown' | 'Blind';
};

export type GateResult = Decided & GateNumbers & { readonly gate: string };
