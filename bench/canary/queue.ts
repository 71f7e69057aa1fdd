/**
 * A pod as a queue with one server and a bounded length. Requests are served in the order of their arrival.
 * Owns: Lindley's recursion (wait = remaining work of earlier requests), and the time at which an answer is counted:
 * when it is complete.
 * Units: seconds since the start of the simulation.
 */

/** The behaviour of pods under overload. */
export type QueueSetting = {
  /**
   * Share of the time that a pod of stable is busy. It is the same at every weight, because the service time is
   * computed from the pod's request rate.
   */
  readonly utilisation: number;
  /** A client times out after this multiple of the mean service time. 0: a client never times out. */
  readonly patience: number;
  /** How often a client retries a request that was refused or timed out. */
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
  /** The requests that were not refused, in the order of their end times. */
  readonly #accepted: Served[] = [];
  /** The index of the first request that `take` has not returned yet. */
  #head = 0;
  /** The index of the first request that was not finished at the time of the last arrival. */
  #waiting = 0;
  /** When the server has finished all accepted requests. */
  #freeAt = 0;

  /** Adds a request to the queue. @returns false when the queue is full and the request is refused at once */
  arrive(at: number, serviceSeconds: number, of: Asked): boolean {
    while (this.#endOf(this.#waiting) <= at) this.#waiting += 1;
    if (this.#accepted.length - this.#waiting >= queueDepth) return false;
    this.#freeAt = Math.max(this.#freeAt, at) + serviceSeconds;
    this.#accepted.push({ endedAt: this.#freeAt, latencySeconds: this.#freeAt - at, ...of });
    return true;
  }

  /** Returns the requests that ended before a time. Each request is returned once. */
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
