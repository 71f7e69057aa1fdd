/**
 * The operator's latest instructions (for example to keep samples of requests, or to replay the samples of another
 * revision), until they expire.
 *
 * Owns:  their expiry, so that pods stop sampling and replaying when the operator stops asking.
 */
import type { Clock } from '../../lib/clock.ts';
import { nothingAsked, type Asked } from './asked.ts';

/**
 * During a rollout the operator repeats its instructions every 5 s; three requests in a row may fail before the
 * instructions expire.
 */
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
