/**
 * Cold starts: how much slower a candidate's pod is in its first minutes, or for its first requests.
 * Owns: the curves by which the slowdown ends. A pod's time starts with its first traffic, so a pod that is added at a
 * later step is cold at that step.
 * Pure.
 */

export type Cold = {
  readonly shape: 'exponential' | 'decay' | 'linear' | 'step' | 'sawtooth' | 'lazy';
  /** The latency of a cold pod at the beginning, as a multiple of its warm latency. The factor falls to 1. */
  readonly factor: number;
  /**
   * The minutes in which the pod warms up. With `exponential`, `factor - 1` falls to 1/e of its start in this time;
   * with the other shapes the latency is normal after this time. Not used by `lazy`, which ends after a number of
   * requests.
   */
  readonly minutes: number;
};

/**
 * @param seconds since the pod's first traffic
 * @returns a factor, at least 1
 */
export function coldFactor({ shape, factor, minutes }: Cold, seconds: number): number {
  const excess = factor - 1;
  if (excess === 0 || shape === 'lazy') return 1;
  if (shape === 'exponential') return 1 + excess * Math.exp(-seconds / 60 / minutes);
  const left = 1 - seconds / 60 / minutes;
  if (left <= 0) return 1;
  switch (shape) {
    // At the end of `minutes`, a twentieth of the excess (`factor - 1`) is left; the factor then drops to 1 at once.
    case 'decay':
      return 1 + excess * Math.exp(-3 * (1 - left));
    case 'linear':
      return 1 + excess * left;
    case 'step':
      return factor;
    // A sawtooth: at the start of each minute the excess jumps up, then it falls to 0. Each peak is lower than the
    // previous one.
    case 'sawtooth':
      return 1 + excess * left * (1 - (seconds % 60) / 60);
  }
}

/** For each kind of input, its share of the requests. */
const kindShares = [0.6, 0.25, 0.1, 0.05] as const;
/** The number of requests of one kind of input after which a pod has compiled code for this kind. */
const compiledRequests = 10;

/**
 * The kinds of input for which a pod has compiled code. The first ten requests of each kind take `factor` times as
 * long.
 */
export class LazyCompilation {
  readonly #factor: number;
  readonly #seen = kindShares.map(() => 0);

  constructor(factor: number) {
    this.#factor = factor;
  }

  get isDone(): boolean {
    return this.#seen.every((count) => count >= compiledRequests);
  }

  /**
   * The factor on the latency of the next request.
   * @param draw 0..1, selects the kind of input of the request
   * @returns at least 1
   */
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
