/**
 * A queue of keys with work to do. Ten events about one object are one piece of work.
 *
 * Owns:   which keys wait, which are being worked on, and the timers of those that come back later.
 * Rule:   a key is never handed to two workers at once; added while it is being worked on, it is handed out
 *         once more after `done`. Added later and again sooner, the earlier time counts.
 * Ends:   `close` hands out nothing more and resolves when everything in flight is done.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Registry } from '../../lib/metrics.ts';
import { RateLimiter, defaultRateLimits, type RateLimits } from '../client/rate-limit.ts';
import { QueueMetrics } from './workqueue-metrics.ts';

export type WorkQueueOptions = {
  /** The controller's name; the `name` label of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly limits?: RateLimits;
};

type Later = { readonly at: number; readonly off: () => void };

export class WorkQueue {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter;
  readonly #metrics: QueueMetrics;
  /** Keys that wait for a worker, first come first served. A Set keeps both the order and the oneness. */
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  /** Keys to be handed out again as soon as they are done. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, Later>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #drained: (() => void)[] = [];
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#limiter = new RateLimiter(options.clock, options.limits ?? defaultRateLimits);
    this.#metrics = new QueueMetrics(options, () => this.#waiting.size + this.#again.size);
  }

  /** How many keys wait now, those to come later not counted. */
  get length(): number {
    return this.#waiting.size + this.#again.size;
  }

  /** There is work for this key. */
  add(key: string): void {
    if (this.#closed || this.#waiting.has(key) || this.#again.has(key)) return;
    this.#metrics.added(key);
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#waiting.add(key);
    this.#serve();
  }

  /** There will be work for this key in `ms`. A sooner time replaces a later one, never the reverse. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.at <= at) return;
    planned?.off();
    const off = this.#clock.after(ms, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { at, off });
  }

  /** The key failed: it comes back after its backoff. Answers the wait in milliseconds, at least `atLeastMs`. */
  addRateLimited(key: string, atLeastMs = 0): number {
    const ms = Math.max(atLeastMs, this.#limiter.next(key));
    this.#metrics.retried();
    this.addAfter(key, ms);
    return ms;
  }

  /** The key succeeded: its backoff starts from the beginning. */
  forget(key: string): void {
    this.#limiter.forget(key);
  }

  /** Failures of the key since it was last forgotten. */
  failures(key: string): number {
    return this.#limiter.failures(key);
  }

  /** The next key to work on, when there is one; undefined when the queue is closed. Every key taken must be `done`. */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  /** The work on a taken key is over, however it ended. */
  done(key: string): void {
    if (!this.#working.delete(key)) return;
    this.#metrics.done(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#serve();
    if (this.#working.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Forgets what waits, turns takers away, and resolves when what is being worked on is done. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { off } of this.#later.values()) off();
    this.#later.clear();
    this.#waiting.clear();
    this.#again.clear();
    for (const turnAway of this.#takers.splice(0)) turnAway(undefined);
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #serve(): void {
    while (!this.#closed && this.#takers.length > 0) {
      const [key] = this.#waiting;
      if (key === undefined) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      this.#metrics.taken(key);
      this.#takers.shift()?.(key);
    }
  }
}
