/**
 * Long work on a thread that has other duties: done in slices, with a turn of the event loop between them.
 *
 * Use:  in a loop, `if (slice.isOver) await slice.next()`. Cheap while the slice lasts.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';

export class Slice {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #budgetMs: number;
  #beganMs: number;
  #endedMs = 0;

  /** @param budgetMs how long the thread may be kept before others get a turn */
  constructor(clock: Pick<Clock, 'monotonic'>, budgetMs: number) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
    this.#beganMs = clock.monotonic();
  }

  get isOver(): boolean {
    return this.#clock.monotonic() - this.#beganMs >= this.#budgetMs;
  }

  /** Time in all slices so far, this one included; what others did in between is not. */
  get spentMs(): number {
    return this.#endedMs + this.#clock.monotonic() - this.#beganMs;
  }

  async next(): Promise<void> {
    this.#endedMs = this.spentMs;
    await setImmediate();
    this.#beganMs = this.#clock.monotonic();
  }
}
