/**
 * How many more requests today's estimate would need for a verdict.
 *
 * Owns:  the search. A forecast from the point estimate, not a bound: shown to people, rounded.
 * Pure.
 */

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

/** What the estimate's own error makes of a forecast: a bound that no number of requests reaches is open. */
export function rangeOf(ends: readonly (number | null)[]): readonly [low: number | null, high: number | null] {
  const known = ends.filter((end) => end !== null);
  return known.length === 0 ? [null, null] : [Math.min(...known), known.length < ends.length ? null : Math.max(...known)];
}
