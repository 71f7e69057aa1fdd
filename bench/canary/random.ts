/**
 * Seeded random numbers: the same seed gives the same canary on every machine.
 * Owns: one generator (sfc32, which passes PractRand; 128 bits of state) and the distributions that the bench needs.
 */
import { normalQuantile } from './normal.ts';

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seeds any integers; their order matters */
  constructor(...seeds: readonly number[]) {
    let hash = 0x9e3779b9;
    const next = (): number => {
      hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      return (hash ^= hash >>> 16) >>> 0;
    };
    for (const seed of seeds) hash = (hash ^ Math.imul(seed + 1, 0x27d4eb2f)) + next();
    [this.#a, this.#b, this.#c] = [next(), next(), next()];
    for (let i = 0; i < 15; i++) this.bits();
  }

  /** An integer of 32 random bits. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number between 0 and 1, exclusive. */
  uniform(): number {
    return (this.bits() + 0.5) / 2 ** 32;
  }

  normal(): number {
    return normalQuantile(this.uniform());
  }

  /**
   * A Poisson count. It is exact for a mean of at most 60. Above 60 it is a rounded normal value, which is never below
   * 0.
   */
  poisson(mean: number): number {
    if (mean <= 0) return 0;
    if (mean > 60) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count += 1;
    return count;
  }

  /** A draw from the exponential distribution with mean 1. */
  exponential(): number {
    return -Math.log(this.uniform());
  }

  /**
   * A draw from the gamma distribution with this shape and mean 1 (scale 1 / shape). Method: Marsaglia and Tsang, ACM
   * TOMS 26(3), 2000. For shapes below 1, their correction is applied: a factor that is a power of a uniform draw.
   */
  gamma(shape: number): number {
    if (shape < 1) return (this.gamma(shape + 1) * (shape + 1) * this.uniform() ** (1 / shape)) / shape;
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return (d * v) / shape;
    }
  }

  /**
   * A binomial count: how many of `count` events occur with the given probability. The events are drawn one by one
   * because counts are small.
   */
  binomial(count: number, chance: number): number {
    let hits = 0;
    for (let i = 0; i < count; i++) if (this.uniform() < chance) hits += 1;
    return hits;
  }
}
