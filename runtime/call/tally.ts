/**
 * Sums over inference requests, for the statistics endpoint of the Open Inference Protocol.
 */
import type { Clock } from '../../lib/clock.ts';
import { isInference } from './handler.ts';
import type { AnsweredCall, Observer } from './observer.ts';

/** Counts, and sums of milliseconds, since the process started. */
export type InferStats = {
  readonly ok: number;
  readonly failed: number;
  /** Rows of all runs. */
  readonly rows: number;
  readonly runs: number;
  /** Time of the last successful answer, in milliseconds since the epoch. */
  readonly lastInferenceMs: number;
  readonly totalMs: number;
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly inferMs: number;
  readonly encodeMs: number;
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Tally implements Observer {
  readonly #clock: Clock;
  readonly #sums: Mutable<InferStats> = {
    ok: 0,
    failed: 0,
    rows: 0,
    runs: 0,
    lastInferenceMs: 0,
    totalMs: 0,
    decodeMs: 0,
    queueMs: 0,
    inferMs: 0,
    encodeMs: 0,
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  answered({ kind, route, trace }: AnsweredCall): void {
    if (!isInference(route)) return;
    const sums = this.#sums;
    if (kind !== 'Answered') {
      sums.failed += 1;
      return;
    }
    const { times, totalMs } = trace;
    sums.ok += 1;
    sums.lastInferenceMs = this.#clock.now();
    sums.totalMs += totalMs;
    sums.decodeMs += times.decode ?? 0;
    sums.queueMs += times.queue ?? 0;
    sums.inferMs += times.infer ?? 0;
    sums.encodeMs += times.encode ?? 0;
  }

  ran(rows: number): void {
    this.#sums.runs += 1;
    this.#sums.rows += rows;
  }

  now(): InferStats {
    return { ...this.#sums };
  }
}
