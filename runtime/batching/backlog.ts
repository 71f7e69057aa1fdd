/**
 * Predicts how long a new request waits, from the work before it and the runs in progress. Pure.
 */

/** A run in progress. `expectedMs` is its predicted duration. */
export type CurrentRun = { readonly beganMs: number; readonly expectedMs: number };

/** Predictions are raised by this factor before they are compared with a deadline, because runs differ in length. */
const margin = 1.2;

/**
 * Milliseconds that a new request is expected to wait for its run.
 * @param aheadMs work that is done before the request, in milliseconds of worker time
 */
export function expectedWait(aheadMs: number, { runs, workers, nowMs }: Workers): number {
  const leftMs = runs.map(({ beganMs, expectedMs }) => Math.max(0, beganMs + expectedMs - nowMs));
  if (aheadMs === 0) return leftMs.length < workers ? 0 : Math.min(...leftMs);
  return (aheadMs + leftMs.reduce((sum, ms) => sum + ms, 0)) / Math.max(1, workers);
}

/** The state of the workers. `workers` is the number of workers with a loaded model, busy or free. */
export type Workers = { readonly runs: readonly CurrentRun[]; readonly workers: number; readonly nowMs: number };

/** Whether to refuse a request, because it would probably not be answered by its deadline. */
export function comesTooLate(expected: {
  readonly waitMs: number;
  readonly runMs: number;
  readonly leftMs: number;
}): boolean {
  // A request that does not wait is never refused: the prediction may be wrong, and the request delays no other.
  return expected.waitMs > 0 && (expected.waitMs + expected.runMs) * margin > expected.leftMs;
}
