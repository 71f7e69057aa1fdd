/**
 * What one process remembers of a model's traffic between passes. Nothing of it has to survive: who starts anew counts
 * anew.
 *
 * Owns:  how often somebody else's weights were put back, and since when a thing has been as it is.
 */

/** A fight with whoever else writes the route is counted over this long. */
const revertWindowMs = 600_000;

export class TrafficMemory {
  #revertsMs: number[] = [];
  readonly #since = new Map<string, number>();

  /** @param nowMs monotonic, here and below */
  noteRevert(nowMs: number): void {
    this.#revertsMs.push(nowMs);
  }

  reverts(nowMs: number): number {
    this.#revertsMs = this.#revertsMs.filter((atMs) => nowMs - atMs < revertWindowMs);
    return this.#revertsMs.length;
  }

  /** For how long, in milliseconds, it has held in every pass that asked; 0 when it does not. */
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
