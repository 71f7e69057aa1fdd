/**
 * Cold starts: how much slower a candidate's pod is in its first minutes, or for its first requests.
 * Owns: the shapes. A pod's time begins with its first traffic, so a pod that is added at a later step is cold at that
 * step.
 * Pure.
 */

export type Cold = {
  readonly shape: 'exponential' | 'decay' | 'linear' | 'step' | 'sawtooth' | 'lazy';
  /** The factor on latency at the beginning; it falls to 1. */
  readonly factor: number;
  /**
   * Seconds. For `exponential` the excess falls to 1/e in this time; for the other shapes it ends after this time. Not
   * used by `lazy`, which ends after a number of requests.
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
    // This shape ends abruptly after `minutes`, while a twentieth of the excess is left.
    case 'decay':
      return 1 + excess * Math.exp(-3 * (1 - left));
    case 'linear':
      return 1 + excess * left;
    case 'step':
      return factor;
    // A sawtooth: each minute jumps up and falls to 0, from a lower peak each time.
    case 'sawtooth':
      return 1 + excess * left * (1 - (seconds % 60) / 60);
  }
}

/** Each kind of input: its share of the requests, and the number of requests after which a pod has compiled it. */
const kindShares = [0.6, 0.25, 0.1, 0.05] as const;
const compiledRequests = 10;

/** The kinds of input that a pod has compiled. The first ten requests of each kind take `factor` times as long. */
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
   * The factor for the next request.
   * @param draw 0..1, selects its kind of input
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
