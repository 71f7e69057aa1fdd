/**
 * The port (interface) to time. Production uses the machine's clock; tests use `test/support/hand-clock.ts`, which a
 * test advances itself.
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

/**
 * Runs `fn` once after `ms`, which may be longer than Node's longest delay: several timers then run one after another.
 * Calling the result cancels them.
 *
 * @param start starts one timer of at most 2^31 - 1 ms, and returns the function that cancels the timer
 */
export function longTimer(ms: number, fn: () => void, start: StartTimer): () => void {
  const part = Math.min(Math.max(0, ms), maxTimerMs);
  let cancel = start(part, () => {
    if (ms > part) cancel = longTimer(ms - part, fn, start);
    else fn();
  });
  return () => cancel();
}

type StartTimer = (ms: number, fn: () => void) => () => void;

function startTimer(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms);
  return () => clearTimeout(timer);
}

/** The timer does not keep the process alive. */
function startIdleTimer(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, fn) => longTimer(ms, fn, startIdleTimer),
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      // Do not use startIdleTimer: the process must live until the sleeping caller has continued.
      const cancel = longTimer(ms, done, startTimer);
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
