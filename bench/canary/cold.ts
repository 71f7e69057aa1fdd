/**
 * Cold starts: how much slower a candidate's pod is in its first minutes, or in its first requests.
 *
 * Owns:  the shapes. A pod's time begins with its first traffic, so a pod that is added at a later step is cold then.
 * Pure.
 */

export type Cold = {
  readonly shape: 'exponential' | 'decay' | 'linear' | 'step' | 'sawtooth' | 'lazy';
  /** Latency at the beginning, in times of what it is in the end; 1 is no cold start. */
  readonly factor: number;
  /**
   * `exponential`: in which the excess falls to its e-th part, for ever; the others: after which it is gone. Of no
   * meaning to `lazy`, which is over after so many requests.
   */
  readonly minutes: number;
};

/** @param seconds since the pod's first traffic @returns times, at least 1 */
export function coldFactor({ shape, factor, minutes }: Cold, seconds: number): number {
  const excess = factor - 1;
  if (excess === 0 || shape === 'lazy') return 1;
  if (shape === 'exponential') return 1 + excess * Math.exp(-seconds / 60 / minutes);
  const left = 1 - seconds / 60 / minutes;
  if (left <= 0) return 1;
  switch (shape) {
    // A twentieth of the excess is left when it ends at once.
    case 'decay':
      return 1 + excess * Math.exp(-3 * (1 - left));
    case 'linear':
      return 1 + excess * left;
    case 'step':
      return factor;
    // Each minute jumps up and falls to nothing, from lower each time.
    case 'sawtooth':
      return 1 + excess * left * (1 - (seconds % 60) / 60);
  }
}

/** Kinds of input by their share of requests, and the requests of each that a pod compiles in. */
const kindShares = [0.6, 0.25, 0.1, 0.05] as const;
const compiledRequests = 10;

/** What a pod has compiled so far: the first ten requests of each kind of input take `factor` times as long. */
export class LazyCompilation {
  readonly #factor: number;
  readonly #seen = kindShares.map(() => 0);

  constructor(factor: number) {
    this.#factor = factor;
  }

  get isDone(): boolean {
    return this.#seen.every((count) => count >= compiledRequests);
  }

  /** The next request's. @param draw 0..1, which says its kind @returns times, at least 1 */
  next(draw: number): number {
    let kind = 0;
    let upTo: number = kindShares[0];
    while (draw >= upTo && kind < kindShares.length - 1) {
      kind += 1;
      upTo += kindShares[kind] ?? 1;
    }
    const before = this.#seen[kind] ?? 0;
    this.#seen[kind] = before + 1;
    return before < compiledRequests ? this.#factor : 1;
  }
}
