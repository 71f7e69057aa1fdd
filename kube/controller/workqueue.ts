/**
 * A queue of keys (namespace/name) whose objects need a pass, which is one run of the controller's work. Ten events
 * about one object become one pass.
 * Owns: which keys wait, which keys a worker has, and the timers of delayed keys. fair-queue.ts chooses the next of the
 * waiting keys.
 * Rule: a key is never given to two workers at once; a key that is added while a worker has it is given out once more
 * after `done`. When a key is added with several delays, the earliest time counts.
 * Ends: after `close`, no more keys are given out. `close` resolves when the workers are done with the keys that they
 * have.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Registry } from '../../lib/metrics.ts';
import { RateLimiter, defaultRateLimits, type RateLimits } from '../client/rate-limit.ts';
import { FairQueue, moreUrgent, type Priority } from './fair-queue.ts';
import { QueueMetrics } from './workqueue-metrics.ts';

export type WorkQueueDeps = {
  /** The controller's name; the `name` label of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly limits?: RateLimits;
  /** The priority of a key at the moment when it is added. If absent: `low`. `add` may ask for a more urgent one. */
  readonly priorityOf?: (key: string) => Priority;
};

type Later = { readonly at: number; readonly off: () => void; atLeast: Priority };

export class WorkQueue {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter;
  readonly #metrics: QueueMetrics;
  readonly #priorityOf: (key: string) => Priority;
  /** Keys that wait for a worker. */
  readonly #waiting = new FairQueue();
  readonly #working = new Set<string>();
  /**
   * Keys that were added while a worker has them, each with its priority. They are added again when the worker is done.
   */
  readonly #again = new Map<string, Priority>();
  readonly #later = new Map<string, Later>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #drained: (() => void)[] = [];
  #closed = false;

  constructor(deps: WorkQueueDeps) {
    this.#clock = deps.clock;
    this.#limiter = new RateLimiter(deps.clock, deps.limits ?? defaultRateLimits);
    this.#priorityOf = deps.priorityOf ?? (() => 'low');
    this.#metrics = new QueueMetrics(deps, () => this.#waiting.size + this.#again.size);
  }

  /** How many keys wait now. Delayed keys do not count. */
  get length(): number {
    return this.#waiting.size + this.#again.size;
  }

  /**
   * Adds a key that needs a pass.
   *
   * @param atLeast the priority of the event. The key gets this priority or the priority of `priorityOf`, whichever is
   * more urgent
   */
  add(key: string, atLeast: Priority = 'low'): void {
    if (this.#closed) return;
    const priority = moreUrgent(atLeast, this.#priorityOf(key));
    const again = this.#again.get(key);
    if (again === undefined && !this.#waiting.has(key)) this.#metrics.added(key);
    if (this.#working.has(key)) {
      this.#again.set(key, again === undefined ? priority : moreUrgent(priority, again));
      return;
    }
    this.#waiting.add(key, priority, this.#clock.monotonic());
    this.#serve();
  }

  /**
   * Adds the key after `ms` milliseconds. If the key is delayed already, the earlier of the two times and the more
   * urgent of the two priorities count.
   */
  addAfter(key: string, ms: number, atLeast: Priority = 'low'): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key, atLeast);
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const planned = this.#later.get(key);
    if (planned !== undefined) planned.atLeast = moreUrgent(atLeast, planned.atLeast);
    if (planned !== undefined && planned.at <= at) return;
    planned?.off();
    const later = { at, off: () => {}, atLeast: planned?.atLeast ?? atLeast };
    later.off = this.#clock.after(ms, () => {
      this.#later.delete(key);
      this.add(key, later.atLeast);
    });
    this.#later.set(key, later);
  }

  /**
   * Call this method when the pass failed: the key comes back after its back-off. Returns the wait in milliseconds, at
   * least `atLeastMs`.
   */
  addRateLimited(key: string, atLeastMs = 0): number {
    const ms = Math.max(atLeastMs, this.#limiter.next(key));
    this.#metrics.retried();
    this.addAfter(key, ms);
    return ms;
  }

  /** Call this method when the pass succeeded: the next back-off of the key starts from the shortest wait. */
  forget(key: string): void {
    this.#limiter.forget(key);
  }

  /** Failures of the key since the last `forget`. */
  failures(key: string): number {
    return this.#limiter.failures(key);
  }

  /**
   * Resolves with the next key to work on, or with undefined when the queue is closed. Call `done` for every key that
   * was taken.
   */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  /** Call this method when the pass of a taken key has ended, successful or not. */
  done(key: string): void {
    if (!this.#working.delete(key)) return;
    this.#metrics.done(key);
    const again = this.#again.get(key);
    if (again !== undefined) this.#waiting.add(key, again, this.#clock.monotonic());
    this.#again.delete(key);
    this.#serve();
    if (this.#working.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Drops waiting keys, resolves pending calls of `take` with undefined, and resolves when every taken key is done. */
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
      const key = this.#waiting.take(this.#clock.monotonic());
      if (key === undefined) return;
      this.#working.add(key);
      this.#metrics.taken(key);
      this.#takers.shift()?.(key);
    }
  }
}
