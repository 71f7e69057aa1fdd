/**
 * Which blocks the operator requests from a pod, when it calls listeners, and when blocks trigger a pass (one run of
 * the operator for a model). A block has the requests that a pod counted in 20 s.
 */
import assert from 'node:assert/strict';
import { blockSeconds, type Report } from '../../../../api/report.ts';
import type { Pulled } from '../../../../operator/reports/report-client.ts';
import { paceMs } from '../../../../operator/reports/pace.ts';
import type { ReportNews } from '../../../../operator/reports/puller.ts';
import { settle } from '../../../support/hand-clock.ts';
import { model, never, pod, pullerWorld, type World } from '../../../support/report-puller.ts';
import { fullReport } from '../../../support/reports.ts';

/**
 * A report with one block. `seq` increases with each change of the pod's blocks. The default block is the one of the
 * hand clock's start time.
 */
function withBlocks(seq: number, change: Partial<Report> = {}, until = 85_000_000): Report {
  return {
    ...fullReport,
    blocks: { since: until - 1, until, counts: [{ index: until, seq, traffic: [] }] },
    ...change,
  };
}

const startMs = 85_000_000 * blockSeconds * 1000;

describe('ReportPuller with blocks', () => {
  const started = (): World & { heard: string[] } => {
    const all = pullerWorld();
    const heard: string[] = [];
    all.puller.onReport((key, name, report) =>
      heard.push(`${key} ${name} ${report.bootId} ${report.blocks?.counts[0]?.seq}`),
    );
    return { ...all, heard };
  };

  it('passes every report with blocks to listeners, with the name of the pod, also without new blocks', async () => {
    const { puller, clock, heard, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await clock.advance(paceMs.rollout);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(paceMs.rollout);
    assert.deepEqual(heard, [`${model} ranker-1 boot-1 1`, `${model} ranker-1 boot-1 1`]);
  });

  for (const [name, second, pace, want] of [
    ['triggers a pass when a count changed during a rollout', withBlocks(2), 'rollout', 2],
    ['triggers a pass when a block began during a rollout', withBlocks(1, {}, 85_000_001), 'rollout', 2],
    ['triggers no pass without a change', withBlocks(1), 'rollout', 1],
    ['triggers no pass at rest', withBlocks(2), 'rest', 1],
  ] as const) {
    it(name, async () => {
      const { puller, clock, changes, answer } = started();
      answer({ kind: 'report', report: withBlocks(1) });
      puller.watch(model, [pod], pace);
      await settle();
      answer({ kind: 'report', report: second });
      await clock.advance(paceMs[pace]);
      assert.equal(changes.length, want);
    });
  }

  it('says what is new: facts of the status first, then only counts that changed', async () => {
    const { puller, clock, answer } = pullerWorld();
    const told: ReportNews[] = [];
    puller.onChange((_key, _report, news) => told.push(news));
    const firstPullMs = clock.monotonic();
    for (const report of [withBlocks(1), withBlocks(3), withBlocks(2, { bootId: 'boot-2' })]) {
      answer({ kind: 'report', report });
      puller.watch(model, [pod], 'rollout');
      await clock.advance(paceMs.rollout);
    }
    assert.deepEqual(told, [
      { isOfStatus: true, afterSeq: 0, firstPullMs },
      { isOfStatus: false, afterSeq: 1, firstPullMs },
      { isOfStatus: false, afterSeq: 0, firstPullMs },
    ]);
  });

  it('passes the report to listeners before it triggers the pass', async () => {
    const { puller, answer } = pullerWorld();
    const order: string[] = [];
    puller.onChange(() => order.push('pass'));
    puller.onReport(() => order.push('report'));
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.deepEqual(order, ['report', 'pass']);
  });

  it('requests only new blocks, and all blocks after a restart of the pod', async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await clock.advance(paceMs.rollout);
    answer({ kind: 'report', report: withBlocks(1, { bootId: 'boot-2' }, 85_000_003) });
    await clock.advance(3 * paceMs.rollout);
    assert.deepEqual(
      asks.map(({ blocksFrom }) => blocksFrom),
      [undefined, 84_999_998, 84_999_998, undefined, 85_000_001],
    );
  });

  it("hearAnew requests all blocks of a model's pods again, at once", async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    puller.watch('ranking/other', [{ uid: 'uid-2', ip: '10.0.0.2', name: 'other-1' }], 'rollout');
    await clock.advance(1_000);
    puller.hearAnew(model);
    await clock.advance(1_000);
    assert.deepEqual(
      asks.map(({ blocksFrom }) => blocksFrom),
      [undefined, undefined, undefined],
    );
    await clock.advance(paceMs.rollout);
    assert.deepEqual(
      asks.slice(3).map(({ blocksFrom }) => blocksFrom),
      [84_999_998, 84_999_998],
    );
  });

  it('hearAnew during a pull requests all blocks after that pull', async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    let say: (pulled: Pulled) => void = () => {};
    answer(
      () =>
        new Promise((resolve) => {
          say = resolve;
        }),
    );
    await clock.advance(paceMs.rollout);
    puller.hearAnew(model);
    answer({ kind: 'report', report: withBlocks(3) });
    say({ kind: 'report', report: withBlocks(2) });
    await clock.advance(1_000);
    assert.deepEqual(
      asks.map(({ blocksFrom }) => blocksFrom),
      [undefined, 84_999_998, undefined],
    );
  });

  it('sends each pod its instructions, and changed instructions with the next request', async () => {
    const { puller, clock, asks } = started();
    const stable = { ...pod, ask: { sample: 0.05 } };
    const candidate = {
      uid: 'uid-2',
      ip: '10.0.0.2',
      name: 'ranker-2',
      ask: { peers: ['10.0.0.1'], agreement: 'Cosine:0.98' },
    };
    puller.watch(model, [stable, candidate], 'rollout');
    await settle();
    puller.watch(model, [pod, candidate], 'rollout');
    await clock.advance(paceMs.rollout);
    assert.deepEqual(asks, [{ sample: 0.05 }, candidate.ask, {}, candidate.ask]);
  });

  it('ignores the blocks of a pod whose clock is hours off', async () => {
    const { puller, heard, changes, answer } = started();
    answer({ kind: 'report', report: withBlocks(1, {}, 85_000_000 + (2 * 3600) / blockSeconds) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.deepEqual(heard, []);
    assert.equal(puller.latest('uid-1')?.report.bootId, 'boot-1');
    assert.deepEqual(changes, [model]);
  });

  it('knows the time of the last report, or the start of the watch', async () => {
    const { puller, clock, answer } = started();
    assert.equal(puller.heardAtMs('uid-1'), undefined);
    answer(never);
    puller.watch(model, [pod], 'rollout');
    await clock.advance(60_000);
    assert.equal(puller.heardAtMs('uid-1'), startMs);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(30_000);
    const heardAtMs = puller.heardAtMs('uid-1');
    assert.ok(heardAtMs !== undefined && heardAtMs > startMs + 55_000);
    answer(never);
    await clock.advance(60_000);
    assert.equal(puller.heardAtMs('uid-1'), heardAtMs);
  });
});
