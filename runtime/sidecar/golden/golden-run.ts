/**
 * The golden run of a pod: once its model is ready, every case is asked and the answers are judged.
 *
 * Owns:   when a pass begins, when it is tried again, and the result that the report carries.
 * Level:  `offer` says each time who stable is. A run without stable only asks for finite numbers where nobody gave the
 *         right answer; when stable is named later, it begins again.
 * Limits: one question at a time, each with its deadline; passes that came to nothing pause up to half a minute. How
 *         long the whole may take is the rollout's deadline.
 * Ends:   `run` returns when the numbers are final, or soon after `stop`.
 */
import { AppError, messageOf } from '../../../api/errors.ts';
import type { GoldenResult } from '../../../api/report.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { backoffMs } from '../../../lib/retry.ts';
import { GoldenPass, type PassEnd } from './golden-pass.ts';
import { findSet, type SourceDeps } from './golden-source.ts';

export type GoldenRunDeps = Omit<SourceDeps, 'peers' | 'stop'> & {
  /** Whether this pod's runtime takes requests. */
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

  /** @param peers addresses of stable's ready pods; none: there are none, or this pod is stable itself */
  offer(peers: readonly string[]): void {
    this.#peers = peers.slice(0, maxPeers);
  }

  result(): GoldenResult {
    const { id } = this.#deps.golden;
    const numbers = this.#pass?.numbers ?? { n: 0, done: 0, passed: 0, compared: 0, score: null, worst: null };
    // While it runs, the score is that of the cases so far: nobody is to take it for the set's.
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
      logger.info('golden set was run', { ...this.result() });
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

/** A set that cannot be read is broken; a bug is, too, rather than a sidecar that ends. */
function failed(error: unknown): PassEnd {
  if (error instanceof AppError && error.kind !== 'invalid' && error.kind !== 'missing')
    return { kind: 'later', why: messageOf(error) };
  return { kind: 'broken', why: messageOf(error) };
}
