/**
 * The port to time. Production uses the machine's clock; tests use `test/support/hand-clock.ts`, which a test advances
 * itself.
 * Owns: reading the time and waiting. api, kube, cli, operator and runtime call neither `Date.now` nor `setTimeout`.
 */

export interface Clock {
  /** Milliseconds since the epoch. Use it for times that are shown or stored, never to measure a span of time. */
  now(): number;
  /** Milliseconds of a monotonic clock, which NTP does not set back. Use it for spans of time, deadlines and ages. */
  monotonic(): number;
  /** Runs `fn` once after `ms`; calling the result cancels it. The timer does not keep the process alive. */
  after(ms: number, fn: () => void): () => void;
  /** Resolves after `ms`, or at once when the signal is aborted. Never rejects: the caller checks the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Node keeps a timer's delay in 31 bits; a timer with a longer delay would fire at once. */
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
      // Do not unref this timer: the process must live until the sleeping caller has continued.
      const timer = setTimeout(done, Math.min(Math.max(0, ms), maxTimerMs));
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
