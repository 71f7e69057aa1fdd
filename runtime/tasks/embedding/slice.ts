/**
 * Splits long work on a shared thread into slices, with a turn of the event loop between them.
 *
 * Use:  in a loop, `if (slice.isOver) await slice.next()`. Checking costs little while the slice lasts.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';

export class Slice {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #budgetMs: number;
  #beganMs: number;
  #endedMs = 0;

  /** @param budgetMs maximum duration of a slice, in milliseconds */
  constructor(clock: Pick<Clock, 'monotonic'>, budgetMs: number) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
    this.#beganMs = clock.monotonic();
  }

  get isOver(): boolean {
    return this.#clock.monotonic() - this.#beganMs >= this.#budgetMs;
  }

  /** Milliseconds in all slices so far, including the current one, without the time between slices. */
  get spentMs(): number {
    return this.#endedMs + this.#clock.monotonic() - this.#beganMs;
  }

  async next(): Promise<void> {
    this.#endedMs = this.spentMs;
    await setImmediate();
    this.#beganMs = this.#clock.monotonic();
  }
}
