/**
 * What the operator asked for last, while it holds.
 *
 * Owns:  when it stops to hold: an operator that is gone keeps nobody sampling or replaying.
 */
import type { Clock } from '../../lib/clock.ts';
import { nothingAsked, type Asked } from './asked.ts';

/** During a rollout the operator asks every five seconds; three times it may fail to. */
export const holdsMs = 20_000;

export class Standing {
  readonly #clock: Clock;
  #asked: Asked = nothingAsked;
  #heardAtMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  hear(asked: Asked): void {
    this.#asked = asked;
    this.#heardAtMs = this.#clock.monotonic();
  }

  get now(): Asked {
    return this.#clock.monotonic() - this.#heardAtMs < holdsMs ? this.#asked : nothingAsked;
  }
}
