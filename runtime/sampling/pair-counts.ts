/**
 * Pairs of service times as they are found: what is told of each, and the counts of this pod since it began.
 *
 * Owns: the sums that the report carries.
 */
import { pairSources, type Pairs, type PairSource } from '../../api/report.ts';

/** The same request, answered by both: how long this pod's runtime took over how long stable's did. */
export type Pair = {
  readonly tier: string;
  readonly sizeClass: number;
  readonly source: PairSource;
  readonly ratio: number;
};

/**
 * Why a probe or a replay gave no pair. StableNotAlone, NotAlone: that runtime was not idle, shared the run, or is of a
 * version that does not say. Busy: no room beside users. Refused: one would not answer, or failed. NoInputs: there is
 * nothing to ask. Unreachable: no pod of stable answered.
 */
export type PairSkip = 'StableNotAlone' | 'NotAlone' | 'Busy' | 'Refused' | 'NoInputs' | 'Unreachable';

export type PairNews = { readonly paired: (pair: Pair) => void; readonly skipped: (why: PairSkip) => void };

/** Counts what is found, and passes pairs on. */
export class PairCounts implements PairNews {
  readonly #pass: (pair: Pair) => void;
  readonly #paired = new Map<PairSource, number>();
  readonly #skipped = new Map<PairSkip, number>();
  #probeLoad: number | null = null;
  #asked = false;

  constructor(pass: (pair: Pair) => void) {
    this.#pass = pass;
  }

  /** Undefined while nothing was ever asked for. */
  get pairs(): Pairs | undefined {
    if (!this.#asked) return undefined;
    const paired = Object.fromEntries(
      pairSources.flatMap((source) => (this.#paired.has(source) ? [[source, this.#paired.get(source) ?? 0]] : [])),
    );
    return { paired, skipped: Object.fromEntries(this.#skipped), probeLoad: this.#probeLoad };
  }

  readonly paired = (pair: Pair): void => {
    this.#asked = true;
    this.#paired.set(pair.source, (this.#paired.get(pair.source) ?? 0) + 1);
    this.#pass(pair);
  };

  readonly skipped = (why: PairSkip): void => {
    this.#asked = true;
    this.#skipped.set(why, (this.#skipped.get(why) ?? 0) + 1);
  };

  /** @param share of one pod's time, 0..1 */
  loaded(share: number): void {
    this.#probeLoad = Number(share.toPrecision(3));
  }
}
