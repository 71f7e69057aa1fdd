/**
 * A pod as a queue with one server and a bounded length. Requests are served in the order of their arrival.
 * Owns: Lindley's recursion (wait = remaining work of earlier requests), and when an answer is counted, which is when
 * it ends.
 * Units: seconds since the start of the simulation.
 */

/** The behaviour of pods under overload. */
export type QueueSetting = {
  /**
   * Share of the time that a pod of stable is busy. It is the same at every weight: the service time is computed from
   * the load.
   */
  readonly utilisation: number;
  /**
   * Clients time out after `patience` mean service times, then retry at most `retries` times. With patience 0 a client
   * never times out.
   */
  readonly patience: number;
  readonly retries: number;
};

/** The default of spec.batching.maxQueueDepth. */
export const queueDepth = 256;

export type Asked = {
  readonly sizeClass: number;
  /** The number of earlier tries of the same request. */
  readonly attempt: number;
};
export type Served = Asked & { readonly endedAt: number; readonly latencySeconds: number };

export class Queue {
  /** Requests with their end times. Requests before `#head` were already returned. */
  readonly #accepted: Served[] = [];
  #head = 0;
  /** The first request that was not finished at the time of the last arrival. */
  #waiting = 0;
  #freeAt = 0;

  /** @returns false when the queue is full: the request is refused at once */
  arrive(at: number, serviceSeconds: number, of: Asked): boolean {
    while (this.#endOf(this.#waiting) <= at) this.#waiting += 1;
    if (this.#accepted.length - this.#waiting >= queueDepth) return false;
    this.#freeAt = Math.max(this.#freeAt, at) + serviceSeconds;
    this.#accepted.push({ endedAt: this.#freeAt, latencySeconds: this.#freeAt - at, ...of });
    return true;
  }

  /** Requests that ended before a time. Each request is returned once. */
  take(before: number): readonly Served[] {
    const from = this.#head;
    while (this.#endOf(this.#head) < before) this.#head += 1;
    const taken = this.#accepted.slice(from, this.#head);
    if (this.#head > 4096 && this.#waiting > 4096) {
      const gone = Math.min(this.#head, this.#waiting);
      this.#accepted.splice(0, gone);
      this.#head -= gone;
      this.#waiting -= gone;
    }
    return taken;
  }

  #endOf(index: number): number {
    return this.#accepted[index]?.endedAt ?? Infinity;
  }
}
