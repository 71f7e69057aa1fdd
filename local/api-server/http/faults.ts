/**
 * Fault injection for tests: errors that clients of kube-apiserver sometimes meet.
 * Owns: the active faults, and how often each fault applies. Only code in this process can set faults; a request
 * cannot.
 */
import type { Clock } from '../../../lib/clock.ts';
import type { Store } from '../store.ts';
import { StatusError } from '../status.ts';
import type { ApiExchange } from './exchange.ts';
import type { Watches } from './watch.ts';

export type FaultEffect =
  /** Delays the answer by `ms` milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Answers with this status instead of executing the request. */
  | {
      readonly kind: 'refuse';
      readonly code: number;
      readonly reason: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** Breaks the connection without an answer. */
  | { readonly kind: 'reset' }
  /** Never answers, and keeps the connection open. */
  | { readonly kind: 'silence' };

export type InjectedFault = FaultEffect & {
  /** The requests that the fault applies to; absent: all requests. */
  readonly matches?: (request: {
    readonly method: string;
    readonly path: string;
    readonly query: URLSearchParams;
  }) => boolean;
  /** The number of requests that get the fault. Absent: all matching requests, until the fault is removed. */
  readonly times?: number;
};

export type FaultsDeps = { readonly watches: Watches; readonly store: Store; readonly clock: Clock };

export class Faults {
  readonly #watches: Watches;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #active = new Map<InjectedFault, number>();

  constructor(deps: FaultsDeps) {
    this.#watches = deps.watches;
    this.#store = deps.store;
    this.#clock = deps.clock;
  }

  /** @returns a function that removes the fault */
  add(fault: InjectedFault): () => void {
    this.#active.set(fault, fault.times ?? Infinity);
    return () => this.#active.delete(fault);
  }

  /** Ends every watch without an error, as a timeout does. */
  closeWatches(): void {
    this.#watches.closeAll();
  }

  /** Breaks the connection of every watch. */
  resetWatches(): void {
    this.#watches.resetAll();
  }

  /** Keeps every open watch open, but sends no more events. */
  stallWatches(): void {
    this.#watches.stallAll();
  }

  /** Forgets past events: a client that resumes a watch from an older resourceVersion gets 410 Expired. */
  expireEvents(): void {
    this.#store.forget();
  }

  /** The number of open watches. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /**
   * Applies the active faults to a request.
   * @returns false when the request must not be answered: its connection was broken, or the fault is `silence`
   * @throws StatusError of a `refuse` fault
   */
  async pass(exchange: ApiExchange): Promise<boolean> {
    for (const [fault, left] of this.#active) {
      if (fault.matches?.({ method: exchange.method, path: exchange.path, query: exchange.query }) === false) continue;
      if (left <= 1) this.#active.delete(fault);
      else this.#active.set(fault, left - 1);
      if (!(await this.#strike(fault, exchange))) return false;
    }
    return true;
  }

  async #strike(fault: InjectedFault, exchange: ApiExchange): Promise<boolean> {
    switch (fault.kind) {
      case 'delay':
        await this.#clock.sleep(fault.ms);
        return true;
      case 'refuse':
        throw new StatusError(
          fault.code,
          fault.reason,
          fault.message ?? "refused by a test's fault injection",
          fault.retryAfterSeconds === undefined ? undefined : { retryAfterSeconds: fault.retryAfterSeconds },
        );
      case 'reset':
        exchange.response.destroy();
        return false;
      case 'silence':
        return false;
    }
  }
}
