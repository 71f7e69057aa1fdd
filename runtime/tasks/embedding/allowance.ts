/**
 * Memory that jobs of one thread share: each takes what it needs, and waits while others hold it.
 *
 * Owns:   who waits, first come first served.
 * Limits: a job that needs more than there is takes all of it, alone; refusing it is the caller's.
 */
export class Allowance {
  #heldBytes = 0;
  readonly #waiting: { readonly bytes: number; readonly totalBytes: number; readonly go: () => void }[] = [];

  /**
   * Resolves once the bytes are the caller's.
   * @param totalBytes what all jobs together may hold
   * @returns gives the bytes back, once
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
