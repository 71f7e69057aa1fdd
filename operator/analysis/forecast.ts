/**
 * Estimates how many more requests a verdict needs.
 *
 * Owns: the search. The result follows from the current point estimate. It is not a bound, and it is rounded for
 * people.
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
 * The forecast for the estimate, and its range for estimates one standard error lower and higher.
 *
 * The range includes the estimate's own forecast. The lower estimate may pass soon and the higher one may fail soon,
 * while an estimate between them takes longer than both or is never decided.
 * @param needed the forecast of an estimate that is moved by the given difference
 * @param least requests that are missing for every estimate; an undecided gate needs at least one
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

/** The range of several forecasts. A null (no number of requests is enough) makes the end of the range open. */
function rangeOf(forecasts: readonly (number | null)[]): readonly [low: number | null, high: number | null] {
  const known = forecasts.filter((each) => each !== null);
  return known.length === 0
    ? [null, null]
    : [Math.min(...known), known.length < forecasts.length ? null : Math.max(...known)];
}

type Live = Pick<Forecast, 'requestsStillNeeded'> & { readonly neededRange: Forecast['neededRange'] | undefined };

/**
 * The forecast of a gate. It is null under unequal load, because more requests do not help, and 0 for a gate that pairs
 * have decided.
 */
export function stillNeeded({ verdict, reason }: Decided, live: Live): Forecast {
  const { requestsStillNeeded, neededRange } = live;
  if (verdict !== 'Undecided') return { requestsStillNeeded: 0 };
  return reason === 'LoadUnequal'
    ? { requestsStillNeeded: null }
    : { requestsStillNeeded, ...present({ neededRange }) };
}
