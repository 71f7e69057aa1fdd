/** When pods are asked for their reports, and which change of a report wakes the model's pass. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../lib/log.ts';
import { blockSeconds, type Report } from '../../../api/report.ts';
import type { FetchReport, Pulled, ReportAsk } from '../../../operator/report-client.ts';
import { deadlineMs, maxInFlight, memoryPeakStep, paceMs, ReportPuller } from '../../../operator/reports.ts';
import { HandClock, settle } from '../../support/hand-clock.ts';
import { fullReport } from '../../support/reports.ts';

const model = 'ranking/ranker';
const pod = { uid: 'uid-1', ip: '10.0.0.1', name: 'ranker-1' };

type World = { clock: HandClock; puller: ReportPuller; asked: string[]; asks: ReportAsk[]; answer: (next: Pulled | FetchReport) => void; changes: string[] };

function world(): World {
  const clock = new HandClock();
  const asked: string[] = [];
  const changes: string[] = [];
  let answer: Pulled | FetchReport = { kind: 'report', report: fullReport };
  const asks: ReportAsk[] = [];
  const fetch: FetchReport = (ip, signal, ask) => {
    asked.push(ip);
    asks.push(ask ?? {});
    return typeof answer === 'function' ? answer(ip, signal) : Promise.resolve(answer);
  };
  const puller = new ReportPuller({ fetch, clock, logger: silentLogger });
  puller.onChange((key) => changes.push(key));
  return { clock, puller, asked, asks, answer: (next) => { answer = next; }, changes };
}

const never: FetchReport = (_ip, signal) =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'nothing', reason: (signal.reason as Error).message })));

describe('ReportPuller', () => {
  it('asks a new pod at once', async () => {
    const { puller, changes } = world();
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.equal(puller.latest('uid-1')?.report.bootId, 'boot-1');
    assert.deepEqual(changes, [model]);
  });

  for (const [pace, minutes, want] of [['rollout', 1, 13], ['rest', 1, 3]] as const) {
    it(`asks every ${paceMs[pace] / 1000} seconds at the pace of ${pace}`, async () => {
      const { puller, clock, asked } = world();
      puller.watch(model, [pod], pace);
      await clock.advance(minutes * 60_000);
      assert.equal(asked.length, want);
    });
  }

  it('follows a pod closely until it is ready, whatever its model is at', async () => {
    const { puller, clock, asked, answer } = world();
    answer({ kind: 'report', report: { ...fullReport, ready: false } });
    puller.watch(model, [pod], 'rest');
    await clock.advance(10_000);
    assert.equal(asked.length, 3);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(40_000);
    assert.equal(asked.length, 5);
  });

  it('does not wait out a long pause when a rollout begins', async () => {
    const { puller, clock, asked } = world();
    puller.watch(model, [pod], 'rest');
    await clock.advance(1_000);
    puller.watch(model, [pod], 'rollout');
    await clock.advance(5_000);
    assert.equal(asked.length, 2);
  });

  it('forgets a pod that is gone', async () => {
    const { puller, clock, asked } = world();
    puller.watch(model, [pod], 'rollout');
    await settle();
    puller.watch(model, [], 'rollout');
    await clock.advance(60_000);
    assert.equal(puller.latest('uid-1'), undefined);
    assert.equal(asked.length, 1);
    assert.equal(clock.pending, 0);
  });

  it('leaves the pods of other models alone', async () => {
    const { puller } = world();
    puller.watch(model, [pod], 'rest');
    puller.watch('ranking/other', [{ uid: 'uid-2', ip: '10.0.0.2', name: 'other-1' }], 'rest');
    await settle();
    puller.watch('ranking/other', [], 'rest');
    assert.notEqual(puller.latest('uid-1'), undefined);
    assert.equal(puller.latest('uid-2'), undefined);
  });

  it('does not take the answer of a pod that went meanwhile', async () => {
    const { puller, changes, answer } = world();
    let say: (pulled: Pulled) => void = () => {};
    answer(() => new Promise((resolve) => { say = resolve; }));
    puller.watch(model, [pod], 'rollout');
    await settle();
    puller.watch(model, [], 'rollout');
    say({ kind: 'report', report: fullReport });
    await settle();
    assert.equal(puller.latest('uid-1'), undefined);
    assert.deepEqual(changes, []);
  });

  it('asks no more than its bound at once', async () => {
    const { puller, clock, asked, answer } = world();
    answer(never);
    puller.watch(model, Array.from({ length: 20 }, (_v, i) => ({ uid: `uid-${i}`, ip: `10.0.0.${i}`, name: `ranker-${i}` })), 'rollout');
    await settle();
    assert.equal(asked.length, maxInFlight);
    await clock.advance(deadlineMs);
    assert.equal(asked.length, 2 * maxInFlight);
    await clock.advance(deadlineMs);
    assert.equal(new Set(asked).size, 20);
  });

  it('keeps the last report of a silent pod, says why it is silent, wakes nobody', async () => {
    const { puller, clock, changes, answer } = world();
    puller.watch(model, [pod], 'rollout');
    await settle();
    const receivedAtMs = puller.latest('uid-1')?.receivedAtMs;
    answer(never);
    await clock.advance(paceMs.rollout + deadlineMs);
    assert.deepEqual(puller.latest('uid-1'), { report: fullReport, receivedAtMs, silence: 'no answer within 2000 ms' });
    assert.equal(puller.silence('uid-1'), 'no answer within 2000 ms');
    assert.deepEqual(changes, [model]);
  });

  it('has no information of a pod that never answered', async () => {
    const { puller, changes, answer } = world();
    answer({ kind: 'nothing', reason: 'bootId is not a string' });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.equal(puller.latest('uid-1'), undefined);
    assert.equal(puller.silence('uid-1'), 'bootId is not a string');
    assert.deepEqual(changes, []);
  });

  it('ends what is in flight when it is closed', async () => {
    const { puller, clock, answer } = world();
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

const changeRows: readonly ChangeRow[] = [
  { name: 'traffic', change: { seq: 42, traffic: [] }, wakes: false },
  { name: 'queue and event loop', change: { queue: { depth: 9, oldestMs: 80 }, eventLoopLagMs: { p50: 1, p99: 9, max: 40 } }, wakes: false },
  { name: 'living memory', change: { memory: { ...memory, anonymousBytes: memory.anonymousBytes + (40 << 20) } }, wakes: false },
  { name: 'a peak within the same sixteenth of the limit', change: { memory: { ...memory, peakBytes: memory.peakBytes + 1 } }, wakes: false },
  { name: 'a peak in the next sixteenth of the limit', change: { memory: { ...memory, peakBytes: memory.peakBytes + stepBytes } }, wakes: true },
  { name: 'readiness', change: { ready: false }, wakes: true },
  { name: 'the provider really used', change: { providers: { requested: ['CUDA', 'CPU'], actual: [{ provider: 'CPU', nodes: 1, time: 1 }] } }, wakes: true },
  { name: 'the share of a provider', change: { providers: { requested: ['CPU'], actual: [{ provider: 'CPU', nodes: 0.9, time: 0.8 }] } }, wakes: false },
  { name: 'the precision', change: { model: { digest: fullReport.model!.digest, precision: 'INT8' } }, wakes: true },
  { name: 'the digest', change: { model: { digest: 'sha256:cd', precision: 'Source' } }, wakes: true },
  { name: 'a new boot', change: { bootId: 'boot-2' }, wakes: false },
];

describe('ReportPuller.onChange', () => {
  for (const { name, change, wakes } of changeRows) {
    it(`${wakes ? 'tells of' : 'keeps quiet about'} ${name}`, async () => {
      const { puller, clock, changes, answer } = world();
      puller.watch(model, [pod], 'rollout');
      await settle();
      answer({ kind: 'report', report: { ...fullReport, ...change } });
      await clock.advance(paceMs.rollout);
      assert.equal(changes.length, wakes ? 2 : 1);
      assert.deepEqual(puller.latest('uid-1')?.report, { ...fullReport, ...change });
    });
  }
});

describe('memoryPeakStep', () => {
  it('rounds up to a sixteenth of the limit', () => assert.equal(memoryPeakStep(fullReport), 6 * stepBytes));

  it('is unknown without a limit', () => assert.equal(memoryPeakStep({ ...fullReport, memory: { ...memory, limitBytes: null } }), undefined));
});

/** A report at the hand clock's beginning, with one block whose count changed `seq` times. */
function withBlocks(seq: number, change: Partial<Report> = {}, until = 85_000_000): Report {
  return { ...fullReport, blocks: { since: until - 1, until, counts: [{ index: until, seq, traffic: [] }] }, ...change };
}

const startMs = 85_000_000 * blockSeconds * 1000;

describe('ReportPuller with blocks', () => {
  const started = (): World & { heard: string[] } => {
    const all = world();
    const heard: string[] = [];
    all.puller.onReport((key, name, report) => heard.push(`${key} ${name} ${report.bootId} ${report.blocks?.counts[0]?.seq}`));
    return { ...all, heard };
  };

  it('hands on every report with blocks, of which pod it is, also when nothing is new', async () => {
    const { puller, clock, heard, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await clock.advance(paceMs.rollout);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(paceMs.rollout);
    assert.deepEqual(heard, [`${model} ranker-1 boot-1 1`, `${model} ranker-1 boot-1 1`]);
  });

  for (const [name, second, pace, want] of [
    ['asks for a pass when a count changed during a rollout', withBlocks(2), 'rollout', 2],
    ['asks for a pass when a block began during a rollout', withBlocks(1, {}, 85_000_001), 'rollout', 2],
    ['asks for no pass when nothing changed', withBlocks(1), 'rollout', 1],
    ['asks for no pass at rest', withBlocks(2), 'rest', 1],
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

  it('has handed the report on before it asks for the pass', async () => {
    const { puller, answer } = world();
    const order: string[] = [];
    puller.onChange(() => order.push('pass'));
    puller.onReport(() => order.push('report'));
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.deepEqual(order, ['report', 'pass']);
  });

  it('asks for what it has not heard, and from the start after another boot', async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await clock.advance(paceMs.rollout);
    answer({ kind: 'report', report: withBlocks(1, { bootId: 'boot-2' }, 85_000_003) });
    await clock.advance(3 * paceMs.rollout);
    assert.deepEqual(asks.map(({ blocksFrom }) => blocksFrom), [undefined, 84_999_998, 84_999_998, undefined, 85_000_001]);
  });

  it('asks a model\'s pods for everything again, at once, for who never heard it', async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    puller.watch('ranking/other', [{ uid: 'uid-2', ip: '10.0.0.2', name: 'other-1' }], 'rollout');
    await clock.advance(1_000);
    puller.hearAnew(model);
    await clock.advance(1_000);
    assert.deepEqual(asks.map(({ blocksFrom }) => blocksFrom), [undefined, undefined, undefined]);
    await clock.advance(paceMs.rollout);
    assert.deepEqual(asks.slice(3).map(({ blocksFrom }) => blocksFrom).toSorted(), [84_999_998, 84_999_998]);
  });

  it('asks for everything also when it was about to hear the rest', async () => {
    const { puller, clock, asks, answer } = started();
    answer({ kind: 'report', report: withBlocks(1) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    let say: (pulled: Pulled) => void = () => {};
    answer(() => new Promise((resolve) => { say = resolve; }));
    await clock.advance(paceMs.rollout);
    puller.hearAnew(model);
    answer({ kind: 'report', report: withBlocks(3) });
    say({ kind: 'report', report: withBlocks(2) });
    await clock.advance(1_000);
    assert.deepEqual(asks.map(({ blocksFrom }) => blocksFrom), [undefined, 84_999_998, undefined]);
  });

  it('says to each pod what it is to do, and changes it with the next request', async () => {
    const { puller, clock, asks } = started();
    const stable = { ...pod, ask: { sample: 0.05 } };
    const candidate = { uid: 'uid-2', ip: '10.0.0.2', name: 'ranker-2', ask: { peers: ['10.0.0.1'], agreement: 'Cosine:0.98' } };
    puller.watch(model, [stable, candidate], 'rollout');
    await settle();
    puller.watch(model, [pod, candidate], 'rollout');
    await clock.advance(paceMs.rollout);
    assert.deepEqual(asks, [{ sample: 0.05 }, candidate.ask, {}, candidate.ask]);
  });

  it('takes no blocks from a clock that is hours off', async () => {
    const { puller, heard, changes, answer } = started();
    answer({ kind: 'report', report: withBlocks(1, {}, 85_000_000 + (2 * 3600) / blockSeconds) });
    puller.watch(model, [pod], 'rollout');
    await settle();
    assert.deepEqual(heard, []);
    assert.equal(puller.latest('uid-1')?.report.bootId, 'boot-1');
    assert.deepEqual(changes, [model]);
  });

  it('knows when a pod was heard last, or since when it is waited for', async () => {
    const { puller, clock, answer } = started();
    assert.equal(puller.heardAtMs('uid-1'), undefined);
    answer(never);
    puller.watch(model, [pod], 'rollout');
    await clock.advance(60_000);
    assert.equal(puller.heardAtMs('uid-1'), startMs);
    answer({ kind: 'report', report: fullReport });
    await clock.advance(10_000);
    const heardAtMs = puller.heardAtMs('uid-1');
    assert.ok(heardAtMs !== undefined && heardAtMs > startMs + 55_000);
    answer(never);
    await clock.advance(60_000);
    assert.equal(puller.heardAtMs('uid-1'), heardAtMs);
  });
});
