/** How long a new request waits. */
import assert from 'node:assert/strict';
import { Backlog, comesTooLate, type CurrentRun, type QueuedWork } from '../../../../runtime/batching/backlog.ts';

const run = (leftMs: number): CurrentRun => ({ beganMs: 900, expectedMs: 100 + leftMs });
const work = (workMs: number, tier: QueuedWork['tier'] = 'interactive'): QueuedWork => ({ tier, workMs });

type Row = {
  readonly name: string;
  readonly queued?: readonly QueuedWork[];
  readonly runs?: readonly CurrentRun[];
  readonly tier?: QueuedWork['tier'];
  readonly want: number;
};

// All rows: two workers, and the current time is 1000 ms. `want` is the expected wait in ms.
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'nothing on an idle server', want: 0 },
  { name: 'nothing while a worker is free', runs: [run(80)], want: 0 },
  { name: 'the end of the first run when nothing else waits', runs: [run(80), run(30)], want: 30 },
  { name: 'nothing for a run that takes longer than predicted', runs: [run(-20), run(30)], want: 0 },
  { name: 'its share of all work ahead of it', queued: [work(50), work(100)], runs: [run(80), run(30)], want: 130 },
  { name: 'no bulk work, for an interactive request', queued: [work(50, 'bulk')], runs: [run(80), run(30)], want: 30 },
  { name: 'all work, for a bulk request', queued: [work(50, 'bulk'), work(10)], runs: [run(80), run(60)],
    tier: 'bulk', want: 100 },
];

describe('Backlog', () => {
  for (const { name, queued = [], runs = [], tier = 'interactive', want } of rows)
    it(`waits for ${name}`, () => {
      const backlog = new Backlog();
      for (const one of queued) backlog.add(one);
      assert.equal(backlog.waitMs(tier, { runs, workers: 2, nowMs: 1000 }), want);
    });

  it('forgets work that left, without rounding errors', () => {
    const backlog = new Backlog();
    const all = [0.1, 0.2, 0.3].map((ms) => work(ms));
    for (const one of all) backlog.add(one);
    for (const one of all) backlog.remove(one);
    assert.deepEqual(
      [backlog.depthOf('interactive'), backlog.waitMs('bulk', { runs: [], workers: 1, nowMs: 0 })],
      [0, 0],
    );
  });
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
