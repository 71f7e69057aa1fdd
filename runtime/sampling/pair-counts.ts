/**
 * Pairs of service times, and this pod's counts of pairs since its start, which the pod reports to the operator.
 *
 * Terms: the service time is the time of a request inside the runtime, without the queue. Stable is the revision that
 *        serves; this pod belongs to the candidate, which may replace it. A probe sends a golden input to both
 *        revisions. A replay sends a request that stable has answered to the candidate too.
 */
import { pairSources, type Pairs, type PairSource } from '../../api/report.ts';

/** The service times of one request that both revisions answered. */
export type Pair = {
  readonly tier: string;
  readonly sizeClass: number;
  readonly source: PairSource;
  /** Service time of this pod's runtime, divided by the service time of stable's runtime. */
  readonly ratio: number;
};

/**
 * Why a probe or a replay gave no pair. StableNotAlone: stable's runtime was not idle, ran the request together with
 * others, or has a version that does not report whether it ran the request alone. NotAlone: the same holds for this
 * pod's runtime. Busy: one of the runtimes was serving user requests, could not be reached, or did not answer in time.
 * Refused: one of the runtimes refused the request or failed. NoInputs: no golden input is available. Unreachable is
 * not used at present.
 */
export type PairSkip = 'StableNotAlone' | 'NotAlone' | 'Busy' | 'Refused' | 'NoInputs' | 'Unreachable';

export type PairNews = { readonly paired: (pair: Pair) => void; readonly skipped: (why: PairSkip) => void };

/** Counts pairs and the reasons for missing pairs, and passes each pair to the function given to the constructor. */
export class PairCounts implements PairNews {
  readonly #pass: (pair: Pair) => void;
  readonly #paired = new Map<PairSource, number>();
  readonly #skipped = new Map<PairSkip, number>();
  #probeLoad: number | null = null;
  #asked = false;

  constructor(pass: (pair: Pair) => void) {
    this.#pass = pass;
  }

  /** Undefined before the first probe or replay. */
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

  /** @param share of one pod's time that a probe took, 0 to 1 */
  loaded(share: number): void {
    this.#probeLoad = Number(share.toPrecision(3));
  }
}
