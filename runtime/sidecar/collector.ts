/**
 * Reads the runtime's counters once a second. Keeps the latest report, and the ring of blocks, which is made from the
 * differences between readings.
 *
 * Owns:  the loop and its pauses. After `stop` it continues to read until the runtime's socket is closed, because
 *        requests that are answered while the pod drains also count.
 * Ends:  after `stop`, `run` returns when the runtime has ended, and at the latest after `drainLimitMs`.
 * Terms: a block is 20 s of wall-clock time, in which a pod counts its requests. A reading is one answer of the runtime
 *        with its counters. A pair is the service times of this pod and of stable for the same request.
 */
import type { Clock } from '../../lib/clock.ts';
import { backoffMs } from '../../lib/retry.ts';
import type { Blocks, Report } from '../../api/report.ts';
import type { Pair } from '../sampling/pair-counts.ts';
import type { Reading } from './counters-client.ts';
import { blocksOf, nextRing, withComparison, withPair, type Ring } from './ring.ts';

export type CollectorDeps = {
  readonly revision: string;
  readonly read: () => Promise<Reading>;
  readonly clock: Clock;
  /** Random number in [0, 1), for the back-off. */
  readonly random: () => number;
};

export const intervalMs = 1_000;
/** How long to wait after `stop` for a runtime that does not end: the pod's terminationGracePeriodSeconds. */
export const drainLimitMs = 60_000;
const drainIntervalMs = 250;
const backoff = { baseMs: intervalMs, maxMs: 4_000 };
/** The loop is stuck when a turn takes longer than this. The value exceeds every deadline and pause in the loop. */
const stuckAfterMs = 30_000;

export class Collector {
  readonly #deps: CollectorDeps;
  #collected: Collected;
  #ring: Ring | undefined;
  #failures = 0;
  #turnedAtMs: number;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
    this.#collected = firstReport(deps.revision);
    this.#turnedAtMs = deps.clock.monotonic();
  }

  /** The latest report, without blocks. */
  get report(): Report {
    return this.#collected.report;
  }

  /**
   * @param from index of the first block
   * @param limitBytes maximum size of the blocks as JSON
   * @returns undefined when no block is known
   */
  blocks(from: number | undefined, limitBytes: number): Blocks | undefined {
    return blocksOf(this.#ring, from, limitBytes);
  }

  /** Counts one comparison of an answer of this pod with the answer of stable (the revision that serves). */
  compared(comparison: { readonly tier: string; readonly sizeClass: number; readonly agrees: boolean }): void {
    if (this.#ring !== undefined) this.#ring = withComparison(this.#ring, comparison);
  }

  /** Counts a pair of service times. */
  paired(pair: Pair): void {
    if (this.#ring !== undefined) this.#ring = withPair(this.#ring, pair);
  }

  /** False when the loop is stuck. */
  get alive(): boolean {
    return this.#deps.clock.monotonic() - this.#turnedAtMs < stuckAfterMs;
  }

  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!stop.aborted) {
      await this.#turn();
      await clock.sleep(this.#pauseMs(), stop);
    }
    const endMs = clock.monotonic() + drainLimitMs;
    while (clock.monotonic() < endMs) {
      const reading = await this.#turn();
      if (reading.kind === 'gone') return;
      await clock.sleep(drainIntervalMs);
    }
  }

  async #turn(): Promise<Reading> {
    const { clock, read } = this.#deps;
    const reading = await read();
    this.#turnedAtMs = clock.monotonic();
    this.#failures = reading.kind === 'read' ? 0 : this.#failures + 1;
    this.#collected = nextReport(this.#collected, reading, this.#turnedAtMs);
    if (reading.kind === 'read')
      this.#ring = nextRing(this.#ring, reading.counters, { wallMs: clock.now(), monotonicMs: this.#turnedAtMs });
    return reading;
  }

  #pauseMs(): number {
    return this.#failures === 0 ? intervalMs : backoffMs(backoff, this.#failures, this.#deps.random());
  }
}

export type Collected = {
  readonly report: Report;
  /** Monotonic time of the last reading that returned counters, in milliseconds; undefined before the first one. */
  readonly readAtMs?: number;
};

/**
 * On a busy machine a single answer may be missing. When no answer has arrived for this long, the runtime is reported
 * as not ready.
 */
export const silentAfterMs = 5_000;

/** `bootId` of reports made before the runtime's first answer. */
export const neverSeen = 'none';

/** The report before the first reading. */
export function firstReport(revision: string): Collected {
  return {
    report: {
      schema: 1,
      bootId: neverSeen,
      seq: 0,
      revision,
      ready: false,
      state: 'the counters of the runtime have not been read yet',
    },
  };
}

/**
 * @param nowMs monotonic milliseconds
 * @returns the next report; its `seq` is one more than before, or 1 after a restart of the runtime
 */
export function nextReport(before: Collected, reading: Reading, nowMs: number): Collected {
  if (reading.kind === 'read') {
    const seq = reading.counters.bootId === before.report.bootId ? before.report.seq + 1 : 1;
    return { report: { ...reading.counters, seq }, readAtMs: nowMs };
  }
  const readAtMs = before.readAtMs;
  const seq = before.report.seq + 1;
  const patient = reading.kind === 'silent' && readAtMs !== undefined && nowMs - readAtMs < silentAfterMs;
  if (patient) return { report: { ...before.report, seq }, readAtMs };
  const state =
    readAtMs === undefined
      ? `the runtime does not answer yet: ${reading.why}`
      : `the runtime does not answer any more: ${reading.why}`;
  return { report: { ...before.report, seq, ready: false, state }, ...(readAtMs === undefined ? {} : { readAtMs }) };
}
