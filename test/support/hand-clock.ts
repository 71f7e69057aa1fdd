/**
 * A clock that a test advances. Timers fire in the order of their times, including timers that are set while others
 * fire.
 */
import type { Clock } from '../../lib/clock.ts';

type Timer = { readonly at: number; readonly fn: () => void };

export class HandClock implements Clock {
  #nowMs: number;
  #timers: Timer[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Timer = { at: this.#nowMs + Math.max(0, ms), fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const off = this.after(ms, resolve);
      signal?.addEventListener(
        'abort',
        () => {
          off();
          resolve();
        },
        { once: true },
      );
    });
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#timers.length;
  }

  /**
   * Advances the clock. Every timer that becomes due fires at its own time, and promises settle before the next one.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.at);
      next.fn();
      await settle();
    }
    this.#nowMs = end;
    await settle();
  }
}

/** Waits a few turns of the event loop, in which all promises settle that do not wait for time or IO. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
