/** How long a new request waits. */
import assert from 'node:assert/strict';
import { comesTooLate, expectedWait, type CurrentRun } from '../../../../runtime/batching/backlog.ts';

const run = (leftMs: number): CurrentRun => ({ beganMs: 900, expectedMs: 100 + leftMs });

// All rows: two workers, and the current time is 1000 ms. `want` is the expected wait in ms.
// prettier-ignore
const rows: readonly { name: string; aheadMs?: number; runs?: readonly CurrentRun[]; want: number }[] = [
  { name: 'nothing on an idle server', want: 0 },
  { name: 'nothing while a worker is free', runs: [run(80)], want: 0 },
  { name: 'the end of the first run when nothing else waits', runs: [run(80), run(30)], want: 30 },
  { name: 'nothing for a run that takes longer than predicted', runs: [run(-20), run(30)], want: 0 },
  { name: 'its share of all work ahead of it', aheadMs: 150, runs: [run(80), run(30)], want: 130 },
];

describe('expectedWait', () => {
  for (const { name, aheadMs = 0, runs = [], want } of rows)
    it(`is ${name}`, () => assert.equal(expectedWait(aheadMs, { runs, workers: 2, nowMs: 1000 }), want));
});

describe('comesTooLate', () => {
  // prettier-ignore
  const late: readonly { name: string; waitMs: number; runMs: number; leftMs: number; want: boolean }[] = [
    { name: 'admits what need not wait, however long its run is', waitMs: 0, runMs: 500, leftMs: 1, want: false },
    { name: 'admits what ends well before its deadline', waitMs: 50, runMs: 30, leftMs: 100, want: false },
    { name: 'refuses what would end after its deadline', waitMs: 80, runMs: 30, leftMs: 100, want: true },
    { name: 'refuses what would end just before its deadline', waitMs: 60, runMs: 30, leftMs: 100, want: true },
  ];
  for (const { name, want, ...expected } of late) it(name, () => assert.equal(comesTooLate(expected), want));
});
