/**
 * Evidence against "this threshold is the p-quantile", valid at any time, and bounds for the difference of two
 * revisions.
 *
 * Source: beta-binomial mixture martingale: Robbins (1970); Howard & Ramdas, Sequential estimation of quantiles,
 * Bernoulli 28(3), 2022, Theorem 1; mixtures: Howard, Ramdas, McAuliffe & Sekhon, Ann. Stat. 49(2), 2021.
 * Pure: functions of counts. Exact for independent requests, however often the counts are evaluated.
 */
import { crossingOf } from './crossing.ts';
import { lnQuantile, type Tail } from './log-histogram.ts';
import { logGamma } from './special-functions.ts';
import { tuning } from './constants.ts';

/** The constants of one quantile; computed once per gate. */
export type QuantileTest = {
  /** Share of requests that lie above the quantile: 1 - p. */
  readonly share: number;
  readonly above: number;
  readonly below: number;
  readonly logPrior: number;
};

/** @param p the quantile, 0..1 exclusive */
export function quantileTest(p: number): QuantileTest {
  const share = 1 - p;
  const above = tuning.quantileMixture * share;
  const below = tuning.quantileMixture * p;
  return { share, above, below, logPrior: logGamma(above) + logGamma(below) - logGamma(above + below) };
}

/**
 * The log evidence as a function of e, the share of `n` requests above a threshold:
 * G(n, e) = ln B(n e + k π, n (1 - e) + k p) - ln B(k π, k p) - n e ln π - n (1 - e) ln p, with p the quantile,
 * π = 1 - p and k = quantileMixture (constants.ts).
 *
 * exp(G) at the true quantile is a nonnegative martingale of mean 1 (Howard & Ramdas 2022, Theorem 1).
 */
export function quantileEvidenceOf(test: QuantileTest, n: number): (e: number) => number {
  const { share, above, below, logPrior } = test;
  const constant = logGamma(n + above + below) + logPrior;
  const lnShare = Math.log(share);
  const lnRest = Math.log1p(-share);
  return (e) => {
    const over = n * e;
    const under = n * (1 - e);
    return logGamma(over + above) + logGamma(under + below) - constant - over * lnShare - under * lnRest;
  };
}

const halvings = 36;

/** An upper bound of the rounding errors of the evidence of `n` requests. */
function doubtOf(n: number): number {
  return 1e-12 + 1e-14 * n * Math.log(n + 2);
}

/**
 * The smallest share above 1 - p with evidence of at least `bound`; undefined when no share has enough evidence.
 * @param n the number of requests of the evidence
 */
export function shareAbove(
  { share }: QuantileTest,
  evidence: (e: number) => number,
  bound: number,
  n: number,
): number | undefined {
  return reach(evidence, { near: share, far: 1, bound, n });
}

/**
 * The largest share below 1 - p with evidence of at least `bound`; undefined when no share has enough evidence.
 * @param n the number of requests of the evidence
 */
export function shareBelow(
  { share }: QuantileTest,
  evidence: (e: number) => number,
  bound: number,
  n: number,
): number | undefined {
  return reach(evidence, { near: share, far: 0, bound, n });
}

/** Finds where the evidence, which grows from `near` to `far`, reaches the bound. */
function reach(
  evidence: (e: number) => number,
  { near, far, bound, n }: { readonly near: number; readonly far: number; readonly bound: number; readonly n: number },
): number | undefined {
  const least = evidence(near);
  if (least >= bound) return near;
  if (evidence(far) < bound) return undefined;
  // The evidence is about that of a normal distribution: (e - π)² n / (2 π (1 - π)) above the least.
  const distance = Math.sqrt((2 * (bound - least) * near * (1 - near)) / n);
  const guess = near + Math.min(distance, Math.abs(far - near) / 2) * Math.sign(far - near);
  return crossingOf({ of: evidence, bound, near, far, least, guess, halvings, doubt: doubtOf(n) });
}

/**
 * One revision's latencies and its number of requests. In a forecast, `n` is larger than the number of requests that
 * were counted.
 */
export type QuantileSample = { readonly tail: Tail; readonly n: number };
export type Side = 'lower' | 'upper';

/** A difference of ln(latency), with the half width of its bounds on each side, from sampling alone. */
export type Contrast = {
  readonly difference: number;
  /** Infinity while the requests are too few. @param enough the search may stop once the width is over this */
  readonly width: (side: Side, enough?: number) => number;
};

const splits = 16;

/**
 * Candidate against stable: the joint set {(q_c, q_s): G_c + G_s < C}, C = ln(1/α). G_c is the candidate's log evidence
 * against q_c as its quantile, G_s the same for stable.
 *
 * The product of two independent martingales is a martingale. By Ville's inequality the set therefore contains both
 * true quantiles at all times with a probability of at least 1 - α. α is not halved, and the widths add in quadrature.
 * The set's extremes are searched over 17 splits of C between the revisions, from the middle outwards.
 */
export function contrastOf(
  test: QuantileTest,
  pair: { readonly candidate: QuantileSample; readonly stable: QuantileSample },
  bound: number,
): Contrast {
  const candidate = oneSide(test, pair.candidate);
  const stable = oneSide(test, pair.stable);
  const least = stable.least;
  const room = bound - candidate.least - least;
  const width = (side: Side, enough = Infinity): number => {
    let widest = 0;
    for (let i = 0; i <= splits; i++) {
      const step = splits / 2 + (i % 2 === 0 ? i / 2 : -(i + 1) / 2);
      const share = least + (room * step) / splits;
      const opposite = side === 'lower' ? 'upper' : 'lower';
      widest = Math.max(widest, candidate.reach(side, bound - share) + stable.reach(opposite, share));
      if (widest > enough) return widest;
    }
    return widest;
  };
  return { difference: candidate.middle - stable.middle, width };
}

/** Candidate against a fixed ln(ms): the one-sample set {q: G < C}. */
export function contrastWithLimit(
  test: QuantileTest,
  sample: QuantileSample,
  lnLimit: number,
  bound: number,
): Contrast {
  const one = oneSide(test, sample);
  return { difference: one.middle - lnLimit, width: (side) => one.reach(side, bound) };
}

function oneSide(test: QuantileTest, { tail, n }: QuantileSample) {
  const evidence = quantileEvidenceOf(test, n);
  const middle = lnQuantile(tail, test.share);
  return {
    middle,
    /** The minimum of the evidence, which is negative. */
    least: evidence(test.share),
    /**
     * How far the quantile may lie below (lower) or above (upper) its estimate before the evidence reaches the bound.
     */
    reach: (side: Side, bound: number): number => {
      const share = side === 'lower' ? shareAbove(test, evidence, bound, n) : shareBelow(test, evidence, bound, n);
      if (share === undefined) return Infinity;
      return Math.abs(lnQuantile(tail, share) - middle);
    },
  };
}
