/**
 * Chooses the number of rows of a run from the cost of runs.
 *
 * Owns: the rule. A run has the fewest rows whose rate (rows per millisecond) is within 5 % of the best rate. The gain
 *       is that rate divided by the rate of single rows. Example: an image model takes 25 ms for a row and 50 ms for
 *       two, so two rows gain nothing and each row runs alone. An MLP takes 1.3 ms for a row and 6.4 ms for 32, so a
 *       run has up to 32 rows and the gain is 6.5.
 * Pure.
 */

export type BatchShape = {
  /** Maximum number of rows of a run. */
  readonly rows: number;
  /**
   * True when runs of several rows are much cheaper than single rows. A free worker then takes all waiting rows, up to
   * `rows`. Otherwise it takes the waiting rows divided by the number of workers.
   */
  readonly pays: boolean;
};

/** A rate of at least this share of the best rate is good enough. */
const nearBest = 0.95;
/** The smallest gain for which `pays` is true. */
const payingGain = 1.3;

/**
 * @param msOf predicted milliseconds of a run with this number of rows; 0 when it is not known
 * @param mostRows the most rows to consider, at least 1
 */
export function batchShape(msOf: (rows: number) => number, mostRows: number): BatchShape {
  const rateOf = (rows: number): number => rows / Math.max(msOf(rows), 1e-6);
  if (msOf(1) <= 0) return { rows: mostRows, pays: true };
  const counts = rowCounts(mostRows);
  const best = Math.max(...counts.map(rateOf));
  const rows = counts.find((count) => rateOf(count) >= nearBest * best) ?? 1;
  return { rows, pays: rateOf(rows) >= payingGain * rateOf(1) };
}

/** 1, 2, 4 … and `mostRows` itself. */
function rowCounts(mostRows: number): readonly number[] {
  const counts: number[] = [];
  for (let rows = 1; rows < mostRows; rows *= 2) counts.push(rows);
  return [...counts, mostRows];
}
