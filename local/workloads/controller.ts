/**
 * The loop of every controller of local mode: a queue of keys, one pass per key, retry with back-off. A key is the
 * namespace and name of an object; a pass brings its objects into their wanted state.
 * Owns: the queue (it contains a key at most once), the order (one pass at a time), and the retry of a pass that threw.
 * Rule: a pass reads everything again; an event only gives the key.
 * Ends: `close` stops watching and drops waiting keys. A pass is synchronous, so `close` never interrupts one.
 */
import { messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { backoffMs } from '../../lib/retry.ts';
import type { StoredObject, Objects, ResourcePath } from '../objects.ts';

export type Key = { readonly namespace: string; readonly name: string };

export type WorkloadControllerDeps = {
  readonly name: string;
  readonly objects: Objects;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The types to watch, and for each type the keys that an object of this type affects. */
  readonly watches: readonly { readonly type: ResourcePath; readonly keys: (object: StoredObject) => readonly Key[] }[];
  /**
   * Brings the objects of one key into their wanted state (one pass). @returns milliseconds until the next pass;
   * undefined when no pass is needed before the next change
   */
  readonly sync: (key: Key) => number | undefined;
};

export interface WorkloadController {
  /** Adds the key to the queue. */
  enqueue(key: Key): void;
  close(): void;
}

const retry = { baseMs: 50, maxMs: 10_000 };

/** Starts a controller. The first passes are for the keys that existing objects affect. */
export function startController(deps: WorkloadControllerDeps): WorkloadController {
  return new KeyedLoop(deps);
}

class KeyedLoop implements WorkloadController {
  readonly #deps: WorkloadControllerDeps;
  readonly #waiting = new Map<string, Key>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, () => void>();
  readonly #unwatch: readonly (() => void)[];
  #scheduled = false;
  #closed = false;

  constructor(deps: WorkloadControllerDeps) {
    this.#deps = deps;
    this.#unwatch = deps.watches.map(({ type, keys }) => {
      const stop = deps.objects.watch(type, ({ object }) => this.#add(keys(object)));
      for (const object of deps.objects.list(type)) this.#add(keys(object));
      return stop;
    });
  }

  enqueue(key: Key): void {
    this.#add([key]);
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#unwatch) stop();
    for (const stop of this.#timers.values()) stop();
    this.#timers.clear();
    this.#waiting.clear();
  }

  #add(keys: readonly Key[]): void {
    if (this.#closed) return;
    for (const key of keys) this.#waiting.set(`${key.namespace}/${key.name}`, key);
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    // Run the pass later, not inside the write that triggered it: a pass writes too, and watch handlers would nest
    // without end.
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    this.#scheduled = false;
    const batch = [...this.#waiting];
    this.#waiting.clear();
    for (const [id, key] of batch) if (!this.#closed) this.#pass(id, key);
  }

  #pass(id: string, key: Key): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    let againMs: number | undefined;
    try {
      againMs = this.#deps.sync(key);
      this.#failures.delete(id);
    } catch (error) {
      const failures = (this.#failures.get(id) ?? 0) + 1;
      this.#failures.set(id, failures);
      againMs = backoffMs(retry, failures, Math.random());
      this.#deps.logger.debug('pass failed', {
        controller: this.#deps.name,
        key: id,
        failures,
        problem: messageOf(error),
      });
    }
    if (againMs !== undefined)
      this.#timers.set(
        id,
        this.#deps.clock.after(againMs, () => this.#add([key])),
      );
  }
}
