/** How readings of the runtime's counters become reports. */
import assert from 'node:assert/strict';
import {
  firstReport,
  neverSeen,
  nextReport,
  silentAfterMs,
  type Collected,
} from '../../../../runtime/sidecar/collector.ts';
import type { Reading } from '../../../../runtime/sidecar/counters-client.ts';
import { fullReport } from '../../../support/reports.ts';

const { seq: _, ...counters } = fullReport;
const read: Reading = { kind: 'read', counters };
const gone: Reading = { kind: 'gone', why: 'nothing listens at 10.0.0.7:8082' };
const silent: Reading = { kind: 'silent', why: 'no answer within 2000 ms' };
const seen: Collected = { report: fullReport, readAtMs: 1_000 };

type Row = {
  readonly name: string;
  readonly before: Collected;
  readonly reading: Reading;
  readonly nowMs: number;
  readonly want: Readonly<Record<string, unknown>>;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'increases seq while the runtime is the same', before: seen, reading: read,
    nowMs: 2_000, want: { bootId: 'boot-1', seq: 42, ready: true, state: 'ready' } },
  { name: 'starts seq at one after a restart of the runtime', before: seen,
    reading: { kind: 'read', counters: { ...counters, bootId: 'boot-2' } },
    nowMs: 2_000, want: { bootId: 'boot-2', seq: 1, ready: true } },
  { name: 'is not ready as soon as nothing listens', before: seen, reading: gone,
    nowMs: 1_100, want: { bootId: 'boot-1', seq: 42, ready: false,
      state: 'the runtime does not answer any more: nothing listens at 10.0.0.7:8082' } },
  { name: 'keeps the counts of a runtime that is gone', before: seen, reading: gone,
    nowMs: 1_100, want: { traffic: fullReport.traffic, model: fullReport.model } },
  { name: 'stays ready after one missing answer', before: seen, reading: silent,
    nowMs: 1_000 + silentAfterMs - 1, want: { ready: true, state: 'ready', seq: 42 } },
  { name: 'is not ready after a long silence', before: seen, reading: silent, nowMs: 1_000 + silentAfterMs,
    want: { ready: false, state: 'the runtime does not answer any more: no answer within 2000 ms' } },
  { name: 'reports that the runtime does not answer yet', before: firstReport('6c9f01ab2d'), reading: gone,
    nowMs: 100, want: { bootId: neverSeen, revision: '6c9f01ab2d', seq: 1, ready: false,
      state: 'the runtime does not answer yet: nothing listens at 10.0.0.7:8082', traffic: undefined } },
  { name: 'takes the revision and the state from the runtime', before: firstReport('unknown'),
    reading: { kind: 'read', counters: { ...counters, ready: false, state: 'warming up' } },
    nowMs: 100, want: { revision: '6c9f01ab2d', ready: false, state: 'warming up' } },
];

describe('nextReport', () => {
  for (const { name, before, reading, nowMs, want } of rows) {
    it(name, () => {
      const { report } = nextReport(before, reading, nowMs);
      for (const [field, value] of Object.entries(want))
        assert.deepEqual(report[field as keyof typeof report], value, field);
    });
  }
});
