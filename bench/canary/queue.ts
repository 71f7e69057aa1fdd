/**
 * A pod as a queue: one server, first come first served, with room for so many requests.
 *
 * Owns:  Lindley's recursion (wait = what is left of the requests before), and when an answer is counted: at its end.
 * Units: seconds since the world began.
 */

/** What pods do with more than they can. */
export type QueueSetting = {
  /** Share of the time that a pod of stable is busy, at any weight: its service time is made to fit its load. */
  readonly utilisation: number;
  /** Clients give up after so many mean service times and ask again, so often at most; 0 is never. */
  readonly patience: number;
  readonly retries: number;
};

/** The default of spec.batching.maxQueueDepth. */
export const queueDepth = 256;

export type Asked = { readonly sizeClass: number; /** How often it came before. */ readonly attempt: number };
export type Served = Asked & { readonly endedAt: number; readonly latencySeconds: number };

export class Queue {
  /** Answered or to be answered; those before `#head` were taken. */
  readonly #accepted: Served[] = [];
  #head = 0;
  /** First of those that are not served yet, at the last arrival. */
  #waiting = 0;
  #freeAt = 0;

  /** @returns false when the queue is full: refused at once */
  arrive(at: number, serviceSeconds: number, of: Asked): boolean {
    while (this.#endOf(this.#waiting) <= at) this.#waiting += 1;
    if (this.#accepted.length - this.#waiting >= queueDepth) return false;
    this.#freeAt = Math.max(this.#freeAt, at) + serviceSeconds;
    this.#accepted.push({ endedAt: this.#freeAt, latencySeconds: this.#freeAt - at, ...of });
    return true;
  }

  /** Those that ended before a time, each once. */
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
