/**
 * When pods are pulled (asked for their reports), and which changes of a report trigger a pass, which is one run of the
 * operator for a model.
 */
import assert from 'node:assert/strict';
import type { Report } from '../../../../api/report.ts';
import type { Pulled } from '../../../../operator/reports/report-client.ts';
import { deadlineMs, pullLimits } from '../../../../operator/reports/puller.ts';
import { withoutCounts } from '../../../../operator/reports/kept-report.ts';
import { paceMs } from '../../../../operator/reports/pace.ts';
import { settle } from '../../../support/hand-clock.ts';
import { model, never, pod, pullerWorld } from '../../../support/report-puller.ts';
import { fullReport } from '../../../support/reports.ts';

describe('ReportPuller', () => {
  it('pulls a new pod at once', async () => {
    const { puller, changes } = pullerWorld();
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.equal(puller.latest('uid-1')?.report.bootId, 'boot-1');
    assert.deepEqual(changes, [model]);
  });

  for (const [pace, minutes, want] of [
    ['rollout', 1, 13],
    ['rest', 1, 3],
  ] as const) {
    it(`pulls every ${paceMs[pace] / 1000} seconds at the pace of ${pace}`, async () => {
      const { puller, clock, asked } = pullerWorld();
      puller.watch(model, [pod], pace);
      await clock.advance(minutes * 60_000);
      assert.equal(asked.length, want);
    });
  }

  it('pulls a pod at the pace of a rollout until it is ready, also at rest', async () => {
    const { puller, clock, asked, answer } = pullerWorld();
    answer({ kind: 'report', report: { ...fullReport, ready: false } });
    puller.watch(model, [pod], 'rest');
    await clock.advance(10_000);
    assert.equal(asked.length, 3);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(40_000);
    assert.equal(asked.length, 5);
  });

  it('shortens the pause when a rollout begins', async () => {
    const { puller, clock, asked } = pullerWorld();
    puller.watch(model, [pod], 'rest');
    await clock.advance(1_000);
    puller.watch(model, [pod], 'rollout');
    await clock.advance(5_000);
    assert.equal(asked.length, 2);
  });

  it('forgets a removed pod', async () => {
    const { puller, clock, asked } = pullerWorld();
    puller.watch(model, [pod], 'rollout');
    await settle();
    puller.watch(model, [], 'rollout');
    await clock.advance(60_000);
    assert.equal(puller.latest('uid-1'), undefined);
    assert.equal(asked.length, 1);
    assert.equal(clock.pending, 0);
  });

  it('does not forget the pods of other models', async () => {
    const { puller } = pullerWorld();
    puller.watch(model, [pod], 'rest');
    puller.watch('ranking/other', [{ uid: 'uid-2', ip: '10.0.0.2', name: 'other-1' }], 'rest');
    await settle();
    puller.watch('ranking/other', [], 'rest');
    assert.notEqual(puller.latest('uid-1'), undefined);
    assert.equal(puller.latest('uid-2'), undefined);
  });

  it('ignores the answer of a pod that was removed meanwhile', async () => {
    const { puller, changes, answer } = pullerWorld();
    let say: (pulled: Pulled) => void = () => {};
    answer(
      () =>
        new Promise((resolve) => {
          say = resolve;
        }),
    );
    puller.watch(model, [pod], 'rollout');
    await settle();
    puller.watch(model, [], 'rollout');
    say({ kind: 'report', report: fullReport });
    await settle();
    assert.equal(puller.latest('uid-1'), undefined);
    assert.deepEqual(changes, []);
  });

  it('pulls at most as many new pods at once as a namespace has slots for them', async () => {
    const { puller, clock, asked, answer } = pullerWorld();
    answer(never);
    puller.watch(
      model,
      Array.from({ length: 12 }, (_v, i) => ({ uid: `uid-${i}`, ip: `10.0.0.${i}`, name: `ranker-${i}` })),
      'rollout',
    );
    await settle();
    assert.equal(asked.length, pullLimits.namespaceUnheardSlots);
    await clock.advance(deadlineMs);
    assert.equal(asked.length, 2 * pullLimits.namespaceUnheardSlots);
    await clock.advance(deadlineMs);
    assert.equal(new Set(asked).size, 12);
  });

  it('backs off from a silent pod, and returns to its pace when it answers', async () => {
    const { puller, clock, asked, answer } = pullerWorld();
    answer({ kind: 'nothing', reason: 'connect ECONNREFUSED' });
    puller.watch(model, [pod], 'rest');
    await clock.advance(5_000 + 10_000 + 20_000 + 40_000);
    assert.equal(asked.length, 5);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(80_000);
    assert.equal(asked.length, 6);
    await clock.advance(paceMs.rest);
    assert.equal(asked.length, 7);
    answer({ kind: 'nothing', reason: 'connect ECONNREFUSED' });
    await clock.advance(paceMs.rest + paceMs.rollout);
    assert.equal(asked.length, 9);
  });

  const silent = { ...pod, isReady: false, restarts: 0 };
  for (const [name, after] of [
    ['restarted', { ...silent, restarts: 1 }],
    ['became ready', { ...silent, isReady: true }],
    ['got another address', { ...silent, ip: '10.0.0.9' }],
  ] as const) {
    it(`pulls a silent pod at once after it ${name}`, async () => {
      const { puller, clock, asked, answer } = pullerWorld();
      answer({ kind: 'nothing', reason: 'connect ECONNREFUSED' });
      puller.watch(model, [silent], 'rest');
      await clock.advance(3_600_000);
      const before = asked.length;
      puller.watch(model, [silent], 'rest');
      await settle();
      assert.equal(asked.length, before);
      puller.watch(model, [after], 'rest');
      await settle();
      assert.equal(asked.length, before + 1);
      await clock.advance(paceMs.rollout);
      assert.equal(asked.length, before + 2);
    });
  }

  it('shortens the back-off of a silent pod when a rollout begins, but not at every pass', async () => {
    const { puller, clock, asked, answer } = pullerWorld();
    answer({ kind: 'nothing', reason: 'connect ECONNREFUSED' });
    puller.watch(model, [pod], 'rest');
    await clock.advance(3_600_000);
    const before = asked.length;
    for (let second = 0; second < 30; second += 1) {
      puller.watch(model, [pod], 'rollout');
      await clock.advance(1_000);
    }
    assert.equal(asked.length, before + 1);
    for (let second = 0; second < 30; second += 1) {
      puller.hearAnew(model);
      await clock.advance(1_000);
    }
    assert.equal(asked.length, before + 2);
  });

  it('keeps the last report of a silent pod with the reason of its silence, without a pass', async () => {
    const { puller, clock, changes, answer } = pullerWorld();
    puller.watch(model, [pod], 'rollout');
    await settle();
    const receivedAtMs = puller.latest('uid-1')?.receivedAtMs;
    answer(never);
    await clock.advance(paceMs.rollout + deadlineMs);
    assert.deepEqual(puller.latest('uid-1'), {
      report: withoutCounts(fullReport),
      receivedAtMs,
      silence: 'no answer within 2000 ms',
    });
    assert.equal(puller.silence('uid-1'), 'no answer within 2000 ms');
    assert.deepEqual(changes, [model]);
  });

  it('has no report of a pod that never answered', async () => {
    const { puller, changes, answer } = pullerWorld();
    answer({ kind: 'nothing', reason: 'bootId is not a string' });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.equal(puller.latest('uid-1'), undefined);
    assert.equal(puller.silence('uid-1'), 'bootId is not a string');
    assert.deepEqual(changes, []);
  });

  it('ends pulls in progress when it is closed', async () => {
    const { puller, clock, answer } = pullerWorld();
    answer(never);
    puller.watch(model, [pod], 'rollout');
    await settle();
    puller.close();
    await settle();
    assert.equal(clock.pending, 0);
  });
});

type ChangeRow = { readonly name: string; readonly change: Partial<Report>; readonly wakes: boolean };
const memory = fullReport.memory!;
const stepBytes = (512 << 20) / 16;

const golden = { id: 'sha256:0', n: 3, done: 3, passed: 3, score: null, worst: null } as const;

// prettier-ignore
const changeRows: readonly ChangeRow[] = [
  { name: 'traffic', change: { seq: 42, traffic: [] }, wakes: false },
  { name: 'queue and event loop', change: { queue: { depth: 9, oldestMs: 80 },
      eventLoopLagMs: { p50: 1, p99: 9, max: 40 } }, wakes: false },
  { name: 'current memory', change: { memory: { ...memory,
      anonymousBytes: memory.anonymousBytes + (40 << 20) } }, wakes: false },
  { name: 'a peak within the same sixteenth of the limit',
    change: { memory: { ...memory, peakBytes: memory.peakBytes + 1 } }, wakes: false },
  { name: 'a peak in the next sixteenth of the limit',
    change: { memory: { ...memory, peakBytes: memory.peakBytes + stepBytes } }, wakes: true },
  { name: 'readiness', change: { ready: false }, wakes: true },
  { name: 'the actual provider', change: {
      providers: { requested: ['CUDA', 'CPU'], actual: [{ provider: 'CPU', nodes: 1, time: 1 }] } }, wakes: true },
  { name: 'the share of a provider', change: {
      providers: { requested: ['CPU'], actual: [{ provider: 'CPU', nodes: 0.9, time: 0.8 }] } }, wakes: false },
  { name: 'the precision', change: { model: { digest: fullReport.model!.digest, precision: 'INT8' } }, wakes: true },
  { name: 'the digest', change: { model: { digest: 'sha256:cd', precision: 'Source' } }, wakes: true },
  { name: 'a golden run that is done', change: { golden: { ...golden, state: 'Done', score: 1 } }, wakes: true },
  { name: 'a new boot', change: { bootId: 'boot-2' }, wakes: false },
];

describe('ReportPuller.onChange', () => {
  for (const { name, change, wakes } of changeRows) {
    it(`${wakes ? 'is called' : 'is not called'} for a change of ${name}`, async () => {
      const { puller, clock, changes, answer } = pullerWorld();
      puller.watch(model, [pod], 'rollout');
      await settle();
      answer({ kind: 'report', report: { ...fullReport, ...change } });
      await clock.advance(paceMs.rollout);
      assert.equal(changes.length, wakes ? 2 : 1);
      assert.deepEqual(puller.latest('uid-1')?.report, withoutCounts({ ...fullReport, ...change }));
    });
  }
});

describe('ReportPuller, during a golden run', () => {
  it('pulls after 1.5 s in a rollout, and at the usual pace after the run', async () => {
    const { puller, clock, changes, answer } = pullerWorld();
    answer({ kind: 'report', report: { ...fullReport, golden: { ...golden, state: 'Running' } } });
    puller.watch(model, [pod], 'rollout');
    await settle();
    answer({ kind: 'report', report: { ...fullReport, golden: { ...golden, state: 'Done', score: 1 } } });
    await clock.advance(1_500);
    assert.equal(changes.length, 2);
    answer({ kind: 'report', report: { ...fullReport, golden: { ...golden, state: 'Broken' } } });
    // The next moment of the model: 5 s after its first pull.
    await clock.advance(paceMs.rollout - 1_500 - 1);
    assert.equal(changes.length, 2);
    await clock.advance(1);
    assert.equal(changes.length, 3);
  });

  it('pulls the pods of a model at the same moments, also a pod that started later', async () => {
    const { puller, clock, asked } = pullerWorld();
    puller.watch(model, [pod], 'rollout');
    await clock.advance(1_800);
    puller.watch(model, [pod, { uid: 'uid-2', ip: '10.0.0.2', name: 'ranker-2' }], 'rollout');
    await clock.advance(3_199);
    assert.deepEqual(asked, ['10.0.0.1', '10.0.0.2']);
    await clock.advance(1);
    assert.deepEqual(asked.slice(2), ['10.0.0.1', '10.0.0.2']);
  });

  it('triggers a pass for a second run, which compared with stable', async () => {
    const { puller, clock, changes, answer } = pullerWorld();
    answer({ kind: 'report', report: { ...fullReport, golden: { ...golden, state: 'Done' } } });
    puller.watch(model, [pod], 'rollout');
    await settle();
    answer({ kind: 'report', report: { ...fullReport, golden: { ...golden, state: 'Done', score: 0.99 } } });
    await clock.advance(paceMs.rollout);
    assert.equal(changes.length, 2);
  });
});
