/**
 * Predicts how long a new request waits, from the work that is queued and the runs in progress.
 *
 * Owns:  the sums of queued work, so that a prediction does not read the queue.
 */
import type { Tier } from '../../api/tiers.ts';

export type QueuedWork = {
  readonly tier: Tier;
  /** The request's part of a full run: predicted worker time in milliseconds. */
  readonly workMs: number;
};

/** A run in progress. `expectedMs` is its predicted duration. */
export type CurrentRun = { readonly beganMs: number; readonly expectedMs: number };

/** Predictions are raised by this factor before they are compared with a deadline, because runs differ in length. */
const margin = 1.2;

export class Backlog {
  readonly #workMs: Record<Tier, number> = { interactive: 0, bulk: 0 };
  readonly #count: Record<Tier, number> = { interactive: 0, bulk: 0 };

  add({ tier, workMs }: QueuedWork): void {
    this.#workMs[tier] += workMs;
    this.#count[tier] += 1;
  }

  remove({ tier, workMs }: QueuedWork): void {
    this.#count[tier] -= 1;
    // Start again from 0 when the tier is empty, so that rounding errors do not add up.
    this.#workMs[tier] = this.#count[tier] === 0 ? 0 : this.#workMs[tier] - workMs;
  }

  /** Number of queued requests of a tier. */
  depthOf(tier: Tier): number {
    return this.#count[tier];
  }

  /**
   * Milliseconds that a new request is expected to wait for its run. Queued bulk requests do not delay an interactive
   * request, because interactive requests overtake them.
   */
  waitMs(tier: Tier, { runs, workers, nowMs }: Workers): number {
    const aheadMs = this.#workMs.interactive + (tier === 'bulk' ? this.#workMs.bulk : 0);
    const leftMs = runs.map(({ beganMs, expectedMs }) => Math.max(0, beganMs + expectedMs - nowMs));
    if (aheadMs === 0) return leftMs.length < workers ? 0 : Math.min(...leftMs);
    return (aheadMs + leftMs.reduce((sum, ms) => sum + ms, 0)) / Math.max(1, workers);
  }
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
