/**
 * The golden run of a pod: runs the golden set once the model is ready, and repeats a pass that could not finish.
 *
 * Owns:   the start and repetition of passes, and the result in the report. While no pod of stable is known, a case
 *         without an expected answer passes if the answer's numbers are finite. When `offer` names pods of stable
 *         later, the set is run again.
 * Ends:   `run` returns when the result is final, or soon after `stop`. The operator limits the total time of the run.
 * Terms:  a golden set is a list of cases: inputs with or without the expected answer. A pass sends each case once.
 *         Stable is the revision that serves; the candidate may replace it.
 */
import { AppError, messageOf } from '../../../api/errors.ts';
import type { GoldenResult } from '../../../api/report.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { backoffMs } from '../../../lib/retry.ts';
import { GoldenPass, type PassEnd } from './golden-pass.ts';
import { findSet, type SourceDeps } from './golden-source.ts';

export type GoldenRunDeps = Omit<SourceDeps, 'peers' | 'stop'> & {
  /** Whether this pod's runtime is ready. */
  readonly ready: () => boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
};

const lookMs = 1_000;
const pause = { baseMs: 2_000, maxMs: 30_000 };
const maxPeers = 16;

export class GoldenRunner {
  readonly #deps: GoldenRunDeps;
  #peers: readonly string[] = [];
  #pass: GoldenPass | undefined;
  #state: GoldenResult['state'] = 'Waiting';
  #problem: string | undefined = 'the model is not ready yet';

  constructor(deps: GoldenRunDeps) {
    this.#deps = deps;
  }

  /**
   * @param peers addresses of stable's ready pods; empty when no pod of stable is ready, or when this pod belongs to
   * stable itself
   */
  offer(peers: readonly string[]): void {
    this.#peers = peers.slice(0, maxPeers);
  }

  result(): GoldenResult {
    const { id } = this.#deps.golden;
    const numbers = this.#pass?.numbers ?? { n: 0, done: 0, passed: 0, compared: 0, score: null, worst: null };
    // Report a score only at the end: an earlier score covers only a part of the cases, and could be mistaken for the
    // score of the whole set.
    const score = this.#state === 'Done' ? numbers.score : null;
    const problem = this.#problem ?? ('problem' in numbers ? numbers.problem : undefined);
    return { id, state: this.#state, ...numbers, score, ...(problem === undefined ? {} : { problem }) };
  }

  async run(stop: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#deps;
    let failures = 0;
    while (!stop.aborted) {
      await this.#until(() => this.#deps.ready(), stop);
      if (stop.aborted) return;
      const askedPeers = this.#peers;
      const end = await this.#runOnce(askedPeers, stop).catch((error: unknown) => failed(error));
      this.#settle(end);
      if (end.kind === 'later') {
        failures += 1;
        await clock.sleep(backoffMs(pause, failures, random()), stop);
        continue;
      }
      failures = 0;
      logger.info('golden run ended', { ...this.result() });
      if (end.kind === 'broken' || askedPeers.length > 0 || !this.#lacksTruth()) return;
      await this.#until(() => this.#peers.length > 0, stop);
    }
  }

  async #runOnce(peers: readonly string[], stop: AbortSignal): Promise<PassEnd & { readonly note?: string }> {
    const { golden, ask, self, clock, random } = this.#deps;
    const found = await findSet({ ...this.#deps, peers, stop });
    if (found.kind === 'later') return found;
    const pass = new GoldenPass({ golden, ask, self, peers: found.peers, clock, random, stop }, found.set);
    this.#pass = pass;
    this.#state = 'Running';
    this.#problem = undefined;
    const end = await pass.run();
    return found.note === undefined ? end : { ...end, note: found.note };
  }

  #settle(end: PassEnd & { readonly note?: string }): void {
    this.#state = end.kind === 'done' ? 'Done' : end.kind === 'broken' ? 'Broken' : 'Waiting';
    this.#problem = end.kind === 'done' ? end.note : end.why;
  }

  #lacksTruth(): boolean {
    const { n, compared } = this.#pass?.numbers ?? { n: 0, compared: 0 };
    return compared < n;
  }

  async #until(condition: () => boolean, stop: AbortSignal): Promise<void> {
    while (!condition() && !stop.aborted) await this.#deps.clock.sleep(lookMs, stop);
  }
}

/** After a temporary error, the pass is repeated later. Any other error, including a bug, makes the result Broken. */
function failed(error: unknown): PassEnd {
  if (error instanceof AppError && error.kind !== 'invalid' && error.kind !== 'missing')
    return { kind: 'later', why: messageOf(error) };
  return { kind: 'broken', why: messageOf(error) };
}
