/**
 * How requests come, besides evenly.
 *
 * Owns:  the factor on the rate of requests, common to both revisions because one stream of requests is shared out.
 * Rule:  its mean is 1.
 */
import { Held } from './noise.ts';
import type { Random } from './random.ts';

export type Arrivals =
  | { readonly process: 'even' }
  /** The rate is drawn from a gamma law every so many seconds: counts are negative binomial. */
  | { readonly process: 'gamma'; readonly shape: number; readonly seconds: number }
  /** Calm and busy stretches of exponential length take turns (a Markov-modulated Poisson process). */
  | { readonly process: 'switching'; readonly busy: number; readonly busySeconds: number; readonly calmSeconds: number };

export type Rate = { /** The factor on the rate now. */ readonly at: (seconds: number) => number };

export function rateOf(arrivals: Arrivals, random: Random): Rate {
  switch (arrivals.process) {
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

  constructor({ busy, busySeconds, calmSeconds }: Extract<Arrivals, { process: 'switching' }>, random: Random) {
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
