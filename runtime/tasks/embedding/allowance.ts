/**
 * A memory budget that jobs of one thread share: a job takes the memory that it needs, or waits until other jobs have
 * returned enough.
 *
 * Owns:   the queue of waiting jobs, first come first served.
 * Limits: a job that needs more than the whole budget runs alone, with the whole budget. If this is not acceptable, the
 *         caller must refuse such a job.
 */
export class Allowance {
  #heldBytes = 0;
  readonly #waiting: { readonly bytes: number; readonly totalBytes: number; readonly go: () => void }[] = [];

  /**
   * Resolves when the bytes were granted.
   * @param totalBytes the budget of all jobs together
   * @returns a function that returns the bytes; call it once
   */
  async take(bytes: number, totalBytes: number): Promise<() => void> {
    const own = Math.min(bytes, totalBytes);
    if (this.#waiting.length > 0 || !this.#fits(own, totalBytes))
      await new Promise<void>((go) => this.#waiting.push({ bytes: own, totalBytes, go }));
    else this.#heldBytes += own;
    let held = true;
    return () => {
      if (held) this.#giveBack(own);
      held = false;
    };
  }

  #fits(bytes: number, totalBytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= totalBytes;
  }

  #giveBack(bytes: number): void {
    this.#heldBytes -= bytes;
    for (
      let [next] = this.#waiting;
      next !== undefined && this.#fits(next.bytes, next.totalBytes);
      [next] = this.#waiting
    ) {
      this.#waiting.shift();
      this.#heldBytes += next.bytes;
      next.go();
    }
  }
}
