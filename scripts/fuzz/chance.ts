/**
 * Seeded random numbers for the fuzzer: the same seed and case give the same numbers on every machine. A case is random
 * bytes that the fuzzer sends on one connection.
 * Owns: the generator (splitmix32 with a 32-bit state). Not cryptographically secure. Pure.
 */

export class Chance {
  #state: number;

  /** @param index the index of the case; each case has a sequence of its own, so that it can be repeated alone */
  constructor(seed: number, index: number) {
    this.#state = mix(Math.imul(seed, 0x9e37_79b9) ^ mix(index + 0x7f4a_7c15));
  }

  /** A random integer from 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x9e37_79b9) | 0;
    return mix(this.#state);
  }

  /** A random integer from 0 to n - 1. */
  below(n: number): number {
    return Math.floor((this.next() / 2 ** 32) * n);
  }

  /** A random integer from `low` to `high`; both may be returned. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  percent(n: number): boolean {
    return this.below(100) < n;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined && list.length === 0) throw new Error('there is nothing to pick from');
    return found as T;
  }

  /** Picks a value by weight: `[[3, a], [1, b]]` gives `a` three times out of four. */
  weighted<T>(list: readonly (readonly [number, T])[]): T {
    let at = this.below(list.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of list) {
      if (at < weight) return value;
      at -= weight;
    }
    throw new Error('the weights are not positive');
  }

  many<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.next() & 0xff;
    return bytes;
  }
}

function mix(state: number): number {
  let z = state | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
