/**
 * The only door to time. Production opens it with the machine's clock; a test turns the hands itself
 * (test/support/hand-clock.ts).
 *
 * Owns: reading the time and waiting. Nothing outside lib/ calls `Date.now` or `setTimeout` for logic.
 */

export interface Clock {
  /** Milliseconds since the epoch. Used for what is shown or stored, never to measure a span. */
  now(): number;
  /** Milliseconds that only grow, whatever NTP does. Spans, deadlines and ages are measured with this one. */
  monotonic(): number;
  /** Runs `fn` once after `ms`; calling the result calls it off. The timer never keeps the process alive. */
  after(ms: number, fn: () => void): () => void;
  /** Resolves after `ms`, or at once when the signal is aborted. Never rejects: the caller looks at the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Node keeps a timer's delay in 31 bits; a longer one would fire at once. */
const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), maxTimerMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      // Not unref'd: whoever sleeps wants to wake up.
      const timer = setTimeout(done, Math.min(Math.max(0, ms), maxTimerMs));
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
