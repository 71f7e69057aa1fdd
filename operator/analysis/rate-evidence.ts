/**
 * Evidence against "the rate is q" for one revision, and against "the difference is δ" for two. It is reduced
 * (tempered) when events come in bursts.
 *
 * Terms: A block is 20 seconds. An event is a failed request or a differing answer; a trial is a request or a compared
 * answer.
 * Source: beta-binomial mixture: Robbins (1970); Howard et al., Ann. Stat. 49(2), 2021. Counts are divided by a design
 * effect: Kish (1965); Rao & Scott, Biometrics 48, 1992.
 * Why: tempering by z in (0, 1] can only remove rejections, so the guarantee for independent requests stays. For fixed
 * counts and q, the evidence R(z) is the log of a mean of exponentials in z (rateEvidence). R is therefore convex with
 * R(0) = 0, so R(z) <= z R(1).
 * Pure: functions of counts by block.
 */
import { tuning } from './constants.ts';
import { bartlett } from './noise.ts';
import type { Counts } from './series.ts';
import { logBeta, logGamma } from './special-functions.ts';

/** How strongly one revision's events are clustered. */
export type Dispersion = {
  /** Requests per minute, approximately. */
  readonly perMinute: number;
  /** The measured square of the rate's relative standard deviation between minutes. */
  readonly measured: number;
  /** The weight of `measured`, in minutes. */
  readonly minutes: number;
};

/**
 * Measures the variance between minutes beyond that of a binomial distribution, by the method of moments over
 * Bartlett-weighted blocks.
 */
export function dispersionOf({ events, trials }: Counts): Dispersion {
  const n = total(trials);
  const x = total(events);
  if (n === 0) return { perMinute: 0, measured: 0, minutes: 0 };
  const spread = bartlett(trials);
  const perMinute = spread / n;
  const left = 1 - spread / (n * n);
  if (left < 0.2 || x === 0 || x === n) return { perMinute, measured: 0, minutes: 0 };
  const rate = x / n;
  const residuals = events.map((count, t) => count - (trials[t] ?? 0) * rate);
  const measured = Math.max(0, bartlett(residuals) / left - n * rate * (1 - rate)) / (rate * rate * spread);
  const assumed = tuning.assumedRateNoise ** 2 * rate * perMinute;
  const information = (assumed / (assumed + 1 - rate)) ** 2;
  return { perMinute, measured, minutes: ((n * n) / spread - 1) * information };
}

/**
 * The square of the rate's relative standard deviation between minutes, as the bounds use it. Measured values are
 * shrunk towards the assumed value, but a candidate with more noise raises the result at once.
 */
export function clustering(candidate: Dispersion, stable?: Dispersion): number {
  let weight = tuning.assumedRateMinutes;
  let sum = tuning.assumedRateMinutes * tuning.assumedRateNoise ** 2;
  for (const side of stable === undefined ? [candidate] : [candidate, stable]) {
    weight += side.minutes;
    sum += tuning.misalignment * side.minutes * side.measured;
  }
  const floor =
    candidate.minutes > 0
      ? (tuning.misalignment * candidate.measured * candidate.minutes) / (candidate.minutes + 2)
      : 0;
  return Math.max(sum / weight, floor);
}

/** Events among trials, and how strongly they are clustered. */
export type RateSample = {
  readonly x: number;
  readonly n: number;
  /** clustering × requests per minute */ readonly cluster: number;
};

/**
 * A mixture of two priors. Most of the weight is near 0, where error rates are; the other prior treats all rates alike.
 */
const above = 0.5;
const [smallBelow, anyBelow] = [tuning.smallRatePrior, 0.5];
const smallConstant = Math.log(tuning.smallRateWeight) - logBeta(above, smallBelow);
const anyConstant = Math.log(1 - tuning.smallRateWeight) - logBeta(above, anyBelow);
const tiny = 1e-9;

/**
 * R(q) = ln Σ_j w_j B(z x + a_j, z (n - x) + b_j) / B(a_j, b_j) - z x ln q - z (n - x) ln(1 - q), for x events in n
 * trials. Prior j is Beta(a_j, b_j) with weight w_j: Beta(½, 50) and Beta(½, ½). The design effect is
 * 1/z = 1 + `cluster` min(1, q / (1 - q)).
 *
 * A mixture of martingales of mean 1 is a martingale of mean 1 for every prior. Where errors are rare, the first prior
 * needs only half the requests.
 * @param q 0..1 exclusive
 */
export function rateEvidence({ x, n, cluster }: RateSample, q: number): number {
  const z = 1 / (1 + cluster * Math.min(1, q / (1 - q)));
  const events = z * x;
  const rest = z * (n - x);
  // ln B of both priors; they share the first term.
  const a = events + above;
  const ofEvents = logGamma(a);
  const [smallRest, anyRest] = [rest + smallBelow, rest + anyBelow];
  const small = ofEvents + logGamma(smallRest) - logGamma(a + smallRest) + smallConstant;
  const any = ofEvents + logGamma(anyRest) - logGamma(a + anyRest) + anyConstant;
  const most = Math.max(small, any);
  return most + Math.log1p(Math.exp(Math.min(small, any) - most)) - events * Math.log(q) - rest * Math.log1p(-q);
}

/** Below or above the observed rate or increase. */
export type Direction = 'lower' | 'upper';

/** The rate below or above the observed one at which evidence reaches the bound; 0 or 1 if it never does. */
export function rateBound(sample: RateSample, bound: number, direction: Direction): number {
  const against = (q: number): boolean => rateEvidence(sample, clip(q)) >= bound;
  const far = direction === 'lower' ? 0 : 1;
  return (far === 0 && sample.x === 0) || !against(far) ? far : edge(sample.x / sample.n, far, against);
}

const halvings = 60;
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/** The point between `near` and `far` at which `against` becomes true. It is false at `near` and true at `far`. */
function edge(near: number, far: number, against: (q: number) => boolean, steps = halvings): number {
  let inside = near;
  let outside = far;
  for (let i = 0; i < steps; i++) {
    const middle = (inside + outside) / 2;
    if (against(middle)) outside = middle;
    else inside = middle;
  }
  return outside;
}

/** The samples of the two revisions that are compared. */
export type RatePair = { readonly candidate: RateSample; readonly stable: RateSample };

/**
 * After this many steps of the golden-section search, 1/15,000 of its range is left. The minimum is then below the
 * search's two inner points by little more than these points differ.
 */
const almostThere = 20;

/**
 * Evidence against "the candidate's rate is stable's rate plus δ", where δ is `increase`: E(δ) = min over q of
 * R_c(q + δ) + R_s(q). This is the ln of the product of the two martingales at the pair of rates that fits best (a
 * profile over the nuisance rate q). Taking the minimum does not increase the error probability. The q of the minimum
 * lies between f_s and f_c - δ, where f_s and f_c are the observed rates. The golden-section search stays where q and
 * q + δ are both possible rates, because elsewhere the sum is not unimodal.
 * @param enough the search may stop once it knows whether the minimum is below this
 */
export function increaseEvidence({ candidate, stable }: RatePair, increase: number, enough = -Infinity): number {
  const at = (q: number): number => rateEvidence(candidate, clip(q + increase)) + rateEvidence(stable, clip(q));
  const own = stable.x / stable.n;
  const other = candidate.x / candidate.n - increase;
  const possible = (q: number): number => clip(clip(q + increase) - increase);
  let low = possible(Math.min(own, other));
  let high = possible(Math.max(own, other));
  let left = high - goldenRatio * (high - low);
  let right = low + goldenRatio * (high - low);
  let atLeft = at(left);
  let atRight = at(right);
  const isKnown = (steps: number): boolean => {
    const above = Math.min(atLeft, atRight) - enough;
    return above < 0 || (steps >= almostThere && above < Infinity && above > 1e-6 + 100 * Math.abs(atLeft - atRight));
  };
  for (let i = 0; i < halvings && !isKnown(i); i++) {
    if (atLeft <= atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - goldenRatio * (high - low);
      atLeft = at(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + goldenRatio * (high - low);
      atRight = at(right);
    }
  }
  return Math.min(atLeft, atRight);
}

/** The increase below or above the observed one at which evidence reaches the bound; -1 or 1 if it never does. */
export function increaseBound(pair: RatePair, bound: number, direction: Direction): number {
  const observed = pair.candidate.x / pair.candidate.n - pair.stable.x / pair.stable.n;
  const against = (increase: number): boolean => increaseEvidence(pair, increase, bound) >= bound;
  const far = direction === 'lower' ? -1 : 1;
  return against(far) ? edge(observed, far, against, 40) : far;
}

function clip(q: number): number {
  return Math.min(1 - tiny, Math.max(tiny, q));
}

export function total(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
