/** Polls until something is true, up to a deadline, for tests with real sockets and processes. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Resolves with the first value that is neither undefined nor false; an exception in `look` counts as undefined.
 *
 * @param withinMs the deadline; it should be long, because only a failed test reaches it, and the machine may be busy
 */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  const until = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > until)
      throw new Error(`${what}: not within ${withinMs} ms`, last === undefined ? {} : { cause: last });
    await sleep(10);
  }
}
