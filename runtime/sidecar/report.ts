/**
 * Turns readings of the runtime's counters into the report that is served.
 *
 * Owns:  the report for a runtime that does not answer: not ready, with the reason in words, and with the last known
 *        counts, which remain valid.
 * Pure:  the time is an argument.
 */
import type { Report } from '../../api/report.ts';
import type { Reading } from './counters-client.ts';

export type Collected = {
  readonly report: Report;
  /** Monotonic milliseconds of the last reading that gave counters; undefined before the first. */
  readonly readAtMs?: number;
};

/** A single answer may be missing on a busy machine; after this long without one, the runtime is reported not ready. */
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
 * @returns the next report; `seq` is one more, or 1 after a restart of the runtime
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
