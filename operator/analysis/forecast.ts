/**
 * Estimates how many more requests a verdict needs.
 *
 * Terms: A verdict is Pass or Fail; until then a gate is undecided. A pair is the service times of the same request on
 * stable and on the candidate.
 * Owns: the search for this number. The number is computed from the current point estimate, so it is not a bound.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Decided, GateNumbers } from './verdict.ts';

const largestGrowth = 1024;
const refinements = 12;

/**
 * @param now requests of the candidate so far
 * @param decidedAt whether there is a verdict with `growth` times the requests and minutes
 * @returns further candidate requests, rounded up; null when even 1,024 times as many requests are not enough
 */
export function forecastRequests(now: number, decidedAt: (growth: number) => boolean): number | null {
  let enough = 1;
  while (!decidedAt(enough)) {
    enough *= 2;
    if (enough > largestGrowth) return null;
  }
  let tooFew = enough / 2;
  for (let i = 0; enough > 1 && i < refinements; i++) {
    const middle = (tooFew + enough) / 2;
    if (decidedAt(middle)) enough = middle;
    else tooFew = middle;
  }
  return Math.ceil((enough - 1) * now);
}

type Forecast = Pick<GateNumbers, 'requestsStillNeeded' | 'neededRange'>;

/**
 * The forecast for the current estimate, and the range of the forecasts for the estimate itself and for estimates that
 * are one standard error lower and higher.
 *
 * The forecast for the current estimate may be the largest of the three: a lower estimate may pass soon, a higher one
 * may fail soon, and the estimate between them may take longer or never get a verdict.
 * @param needed the forecast after `shift` is added to the estimate; null if no number of requests is enough
 * @param least the forecast is at least this number of requests, whatever the estimate is, and at least 1
 */
export function forecastAround(
  needed: (shift: number) => number | null,
  { error, least }: { readonly error: number; readonly least: number },
): Forecast {
  const at = (shift: number): number | null => {
    const found = needed(shift);
    return found === null ? null : Math.max(1, Math.ceil(least), found);
  };
  const own = at(0);
  return { requestsStillNeeded: own, neededRange: rangeOf([at(-error), own, at(error)]) };
}

/**
 * The range of several forecasts. A null forecast means that no number of requests is enough; the upper end of the
 * range is then null.
 */
function rangeOf(forecasts: readonly (number | null)[]): readonly [low: number | null, high: number | null] {
  const known = forecasts.filter((each) => each !== null);
  return known.length === 0
    ? [null, null]
    : [Math.min(...known), known.length < forecasts.length ? null : Math.max(...known)];
}

type Live = Pick<Forecast, 'requestsStillNeeded'> & { readonly neededRange: Forecast['neededRange'] | undefined };

/**
 * The forecast of a gate, after the verdicts from live requests and from pairs were combined. It is 0 if the gate has a
 * verdict, and null if the loads of the revisions' pods differ, because more requests do not help then. Otherwise it is
 * the forecast of live requests.
 */
export function stillNeeded({ verdict, reason }: Decided, live: Live): Forecast {
  const { requestsStillNeeded, neededRange } = live;
  if (verdict !== 'Undecided') return { requestsStillNeeded: 0 };
  return reason === 'LoadUnequal'
    ? { requestsStillNeeded: null }
    : { requestsStillNeeded, ...present({ neededRange }) };
}
