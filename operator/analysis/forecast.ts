/**
 * How many more requests today's estimate would need for a verdict.
 *
 * Owns:  the search. A forecast from the point estimate, not a bound: shown to people, rounded.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Decided, GateNumbers } from './verdict.ts';

const largestGrowth = 1024;
const refinements = 12;

/**
 * @param now requests of the candidate so far
 * @param decidedAt whether the verdict would be there with so many times the requests and minutes
 * @returns further candidate requests, rounded up; null when not even 1,024 times as many would do
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
 * The forecast of the estimate, and the range of those a standard error away on either side.
 *
 * The estimate's own is in the range: between one that would pass and one that would fail lies one that takes longer
 * than either, or that no number of requests decides.
 * @param needed by an estimate that is moved by so much
 * @param least requests that are missing whatever the estimate is; what is undecided needs one at least
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

/** A forecast that no number of requests reaches leaves the range open. */
function rangeOf(forecasts: readonly (number | null)[]): readonly [low: number | null, high: number | null] {
  const known = forecasts.filter((each) => each !== null);
  return known.length === 0
    ? [null, null]
    : [Math.min(...known), known.length < forecasts.length ? null : Math.max(...known)];
}

type Live = Pick<Forecast, 'requestsStillNeeded'> & { readonly neededRange: Forecast['neededRange'] | undefined };

/**
 * What is foreseen of a gate: no number of requests makes up for unequal load, and none is needed of a gate that pairs
 * decide.
 */
export function stillNeeded({ verdict, reason }: Decided, live: Live): Forecast {
  const { requestsStillNeeded, neededRange } = live;
  if (verdict !== 'Undecided') return { requestsStillNeeded: 0 };
  return reason === 'LoadUnequal'
    ? { requestsStillNeeded: null }
    : { requestsStillNeeded, ...present({ neededRange }) };
}
