/**
 * What one process remembers of a model's traffic between passes. In-memory only; counts restart with the process.
 *
 * Owns: how often the operator reverted another client's weights, and for how long a condition has been true.
 */

/** Reverts of other clients' weights are counted over this time. */
const revertWindowMs = 600_000;

export class TrafficMemory {
  #revertsMs: number[] = [];
  readonly #since = new Map<string, number>();

  /** @param nowMs milliseconds of a monotonic clock, as in the other methods */
  noteRevert(nowMs: number): void {
    this.#revertsMs.push(nowMs);
  }

  reverts(nowMs: number): number {
    this.#revertsMs = this.#revertsMs.filter((atMs) => nowMs - atMs < revertWindowMs);
    return this.#revertsMs.length;
  }

  /**
   * For how many milliseconds `holds` has been true without interruption in the calls with this `what`. 0 when `holds`
   * is false.
   */
  heldMs(what: string, holds: boolean, nowMs: number): number {
    if (!holds) {
      this.#since.delete(what);
      return 0;
    }
    const since = this.#since.get(what) ?? nowMs;
    this.#since.set(what, since);
    return nowMs - since;
  }
}
