/**
 * From readings of the runtime's counters to the report that is served.
 *
 * Owns:  what a silent runtime means: not ready, with the reason in words; never an error and never a success. Its last
 *        counts stay, for they stay true: what was answered was answered.
 * Pure:  time comes in as an argument.
 */
import type { Report } from '../../api/report.ts';
import type { Reading } from './counters-client.ts';

export type Collected = {
  readonly report: Report;
  /** Monotonic milliseconds of the last reading that gave counters; undefined before the first. */
  readonly readAtMs?: number;
};

/** One lost answer may be a busy machine; a runtime that says nothing for this long is silent. */
export const silentAfterMs = 5_000;

/** `bootId` of reports made before the runtime has spoken. */
export const neverSeen = 'none';

/** The report before anything was read. */
export function firstReport(revision: string): Collected {
  return {
    report: {
      schema: 1,
      bootId: neverSeen,
      seq: 0,
      revision,
      ready: false,
      state: 'the runtime has not been asked yet',
    },
  };
}

/**
 * @param nowMs monotonic milliseconds
 * @returns the next report: `seq` is one more, or 1 when the runtime was started anew
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
