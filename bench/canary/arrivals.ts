/**
 * Uneven arrivals of requests, and the retries of failed requests.
 * Owns: the factor on the rate of requests, and the retries of clients that were refused or timed out. The factor has
 * mean 1. The factor is the same for both revisions, because one stream of requests is split between the revisions.
 * Terms: the two revisions are stable, which serves already, and the candidate, which may replace it. A slice is one
 * step of the simulation: five seconds.
 */
import { Held } from './noise.ts';
import type { Random } from './random.ts';

/** The length of a slice: the simulation computes the requests of this many seconds at a time. */
export const sliceSeconds = 5;

export type Arrivals =
  | { readonly kind: 'even' }
  /** After every `seconds`, a new rate is drawn from a gamma distribution, so the counts are negative binomial. */
  | { readonly kind: 'gamma'; readonly shape: number; readonly seconds: number }
  /** Calm and busy periods of exponential length alternate (a Markov-modulated Poisson process). */
  | {
      readonly kind: 'switching';
      readonly busy: number;
      readonly busySeconds: number;
      readonly calmSeconds: number;
    };

export type Rate = { /** The factor on the rate at a time. */ readonly at: (seconds: number) => number };

export function rateOf(arrivals: Arrivals, random: Random): Rate {
  switch (arrivals.kind) {
    case 'even':
      return { at: () => 1 };
    case 'gamma':
      return new Held(random, arrivals.seconds, (from) => from.gamma(arrivals.shape));
    case 'switching':
      return new Switching(arrivals, random);
  }
}

class Switching implements Rate {
  readonly #random: Random;
  readonly #seconds: { readonly busy: number; readonly calm: number };
  readonly #factor: { readonly busy: number; readonly calm: number };
  #isBusy: boolean;
  #until: number;

  constructor({ busy, busySeconds, calmSeconds }: Extract<Arrivals, { kind: 'switching' }>, random: Random) {
    const share = busySeconds / (busySeconds + calmSeconds);
    this.#random = random;
    this.#seconds = { busy: busySeconds, calm: calmSeconds };
    this.#factor = { busy, calm: Math.max(0, (1 - share * busy) / (1 - share)) };
    this.#isBusy = random.uniform() < share;
    this.#until = this.#stretch();
  }

  at(seconds: number): number {
    while (this.#until <= seconds) {
      this.#isBusy = !this.#isBusy;
      this.#until += this.#stretch();
    }
    return this.#isBusy ? this.#factor.busy : this.#factor.calm;
  }

  #stretch(): number {
    return (this.#isBusy ? this.#seconds.busy : this.#seconds.calm) * this.#random.exponential();
  }
}

/**
 * The retries of clients. A client retries about a second later, up to a maximum number of times. Each retry is routed
 * independently.
 */
export class Repeats {
  readonly #random: Random;
  readonly #most: number;
  /**
   * For each slice of time, the requests that are retried in it. A retry is stored as the number of earlier tries of
   * its request.
   */
  readonly #slices = new Map<number, number[]>();

  constructor(random: Random, most: number) {
    this.#random = random;
    this.#most = most;
  }

  /**
   * @param at when the request was refused or timed out
   * @param from the earliest time of the retry
   * @param attempt how many times the request was tried before this time
   */
  add(at: number, attempt: number, from: number): void {
    if (attempt >= this.#most) return;
    const slice = Math.floor(Math.max(from, at + this.#random.exponential()) / sliceSeconds);
    const known = this.#slices.get(slice);
    if (known === undefined) this.#slices.set(slice, [attempt + 1]);
    else known.push(attempt + 1);
  }

  /**
   * Removes and returns the retries of the slice that contains `at`.
   * @param weight the candidate's share of the traffic, 0..1
   */
  take(at: number, weight: number): { readonly candidate: readonly number[]; readonly stable: readonly number[] } {
    const slice = Math.floor(at / sliceSeconds);
    const all = this.#slices.get(slice);
    if (all === undefined) return noRetries;
    this.#slices.delete(slice);
    const candidate: number[] = [];
    const stable: number[] = [];
    for (const attempt of all) (this.#random.uniform() < weight ? candidate : stable).push(attempt);
    return { candidate, stable };
  }
}

const noRetries = { candidate: [], stable: [] } as const;
