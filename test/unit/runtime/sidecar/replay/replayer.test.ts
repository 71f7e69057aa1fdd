/**
 * From which pods the replayer takes samples (requests that pods of the serving revision have answered and kept), how
 * it compares this pod's answers with the samples' answers, and how much of the pod's time it leaves to users.
 */
import assert from 'node:assert/strict';
import { maxSamples } from '../../../../../runtime/sampling/sampler.ts';
import { patienceMs, pauseTimes, Replayer, type ReplayWork } from '../../../../../runtime/sidecar/replay/replayer.ts';
import type { Sample, Taken } from '../../../../../runtime/sampling/sample.ts';
import type { Answered } from '../../../../../runtime/protocol/ask-runtime.ts';
import { HandClock } from '../../../../support/hand-clock.ts';

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}

/** An answer of the Open Inference Protocol with one vector. */
function answer(...data: number[]): Uint8Array<ArrayBuffer> {
  return bytes(
    JSON.stringify({ model_name: 'm', outputs: [{ name: 'y', datatype: 'FP32', shape: [1, data.length], data }] }),
  );
}

function sample(change: Partial<Sample> = {}): Sample {
  return {
    path: '/v2/models/m/infer',
    tier: 'default',
    sizeClass: 4,
    request: { body: bytes('{}'), jsonBytes: undefined },
    answer: { body: answer(1, 0), jsonBytes: undefined },
    ...change,
  };
}

const says = (body: Uint8Array<ArrayBuffer>): Answered => ({ kind: 'answer', body, jsonBytes: undefined });
const busy: Answered = { kind: 'unavailable', why: '429: users are served' };
const work: ReplayWork = { peers: ['10.0.0.1'], rule: { metric: 'Cosine', limit: 0.98 } };

type World = {
  clock: HandClock;
  replayer: Replayer;
  stock: Sample[];
  asked: string[];
  answered: number[];
  counted: object[];
  pairs: object[];
  stop: AbortController;
  set: (now: Partial<Now>) => void;
};
type Now = { work: ReplayWork | undefined; answer: Answered; tookMs: number; taken: Taken | undefined | 'stock' };

function world(first: Partial<Now> = {}, ...stock: Sample[]): World {
  const clock = new HandClock();
  const now: Now = { work, answer: says(answer(1, 0)), tookMs: 10, taken: 'stock', ...first };
  const [asked, answered, counted, pairs]: [string[], number[], object[], object[]] = [[], [], [], []];
  const replayer = new Replayer({
    clock,
    work: () => now.work,
    take: (peer, max) => {
      asked.push(peer);
      return Promise.resolve(now.taken === 'stock' ? { samples: stock.splice(0, max), tooLarge: 0 } : now.taken);
    },
    answer: async () => {
      answered.push(clock.monotonic());
      await clock.sleep(now.tookMs);
      return now.answer;
    },
    compared: (comparison) => counted.push(comparison),
    pairs: { paired: (pair) => pairs.push(pair), skipped: (why) => pairs.push({ why }) },
  });
  const stop = new AbortController();
  void replayer.run(stop.signal);
  return { clock, replayer, stock, asked, answered, counted, pairs, stop, set: (next) => Object.assign(now, next) };
}

describe('Replayer', () => {
  it('takes no samples and has no result while none is requested', async () => {
    const { clock, replayer, asked } = world({ work: undefined });
    await clock.advance(60_000);
    assert.deepEqual([asked, replayer.agreement], [[], undefined]);
  });

  it('counts an answer that agrees under the tier and size class of its request', async () => {
    const { clock, replayer, counted } = world({}, sample({ tier: 'bulk', sizeClass: 64 }));
    await clock.advance(2_000);
    assert.deepEqual(counted, [{ tier: 'bulk', sizeClass: 64, agrees: true }]);
    assert.deepEqual(
      [replayer.agreement?.compared, replayer.agreement?.disagreed, replayer.agreement?.worst],
      [1, 0, 1],
    );
  });

  it('counts an answer that disagrees, and keeps the worst value', async () => {
    const { clock, replayer, counted } = world({ answer: says(answer(0.6, 0.8)) }, sample());
    await clock.advance(2_000);
    assert.deepEqual(counted, [{ tier: 'default', sizeClass: 4, agrees: false }]);
    assert.ok(Math.abs((replayer.agreement?.worst ?? 0) - 0.6) < 1e-6);
  });

  it('compares embeddings as vectors in either encoding', async () => {
    const body = (embedding: unknown): Uint8Array<ArrayBuffer> =>
      bytes(JSON.stringify({ object: 'list', data: [{ object: 'embedding', index: 0, embedding }] }));
    const base64 = Buffer.from(new Float32Array([0, 2]).buffer).toString('base64');
    const { clock, counted } = world(
      { answer: says(body([0, 1])) },
      sample({ path: '/v1/embeddings', answer: { body: body(base64), jsonBytes: undefined } }),
    );
    await clock.advance(2_000);
    assert.deepEqual(counted, [{ tier: 'default', sizeClass: 4, agrees: true }]);
  });

  it('treats the limit of an error metric as a maximum', async () => {
    const { clock, counted } = world(
      { work: { ...work, rule: { metric: 'MaxAbsError', limit: 0.1 } }, answer: says(answer(1.05, 0)) },
      sample(),
      sample({ answer: { body: answer(2, 0), jsonBytes: undefined } }),
    );
    await clock.advance(10_000);
    assert.deepEqual(
      counted.map((one) => (one as { agrees: boolean }).agrees),
      [true, false],
    );
  });

  const text = bytes(JSON.stringify({ outputs: [{ name: 'y', datatype: 'BYTES', shape: [1], data: ['a'] }] }));
  for (const [name, answered, asked, why] of [
    ['that this pod refuses', { kind: 'refused', status: 400, why: '400: no' }, sample(), 'Refused'],
    ['whose answer cannot be read', says(bytes('<html>')), sample(), 'Unreadable'],
    ['that the metric cannot compare', says(text), sample({ answer: { body: text, jsonBytes: undefined } }), 'Unfit'],
  ] as const) {
    it(`skips and counts a sample ${name}`, async () => {
      const { clock, replayer, counted } = world({ answer: answered }, asked);
      await clock.advance(500);
      assert.deepEqual([replayer.agreement?.skipped[why], replayer.agreement?.compared, counted], [1, 0, []]);
    });
  }

  it('waits for an idle runtime, and skips the sample after 10 s', async () => {
    const { clock, replayer, stock, answered, set } = world({ answer: busy }, sample());
    await clock.advance(5_000);
    assert.deepEqual(replayer.agreement?.skipped, {});
    assert.ok(answered.length > 3);
    set({ answer: says(answer(1, 0)) });
    await clock.advance(500);
    assert.equal(replayer.agreement?.compared, 1);
    set({ answer: busy });
    stock.push(sample());
    await clock.advance(patienceMs + 5_000);
    assert.equal(replayer.agreement?.skipped['Busy'], 1);
  });

  it('pauses ninety-nine times as long as a replay took', async () => {
    const { clock, answered } = world({ tookMs: 20 }, ...Array.from({ length: maxSamples }, () => sample()));
    await clock.advance(60_000);
    const pauses = answered.slice(1).map((at, i) => at - answered[i]! - 20);
    assert.ok(
      pauses.every((pause) => pause >= 20 * pauseTimes),
      String(pauses),
    );
    assert.ok(answered.length > 20, `only ${answered.length} replays in a minute`);
  });

  const timed = (serviceMs: number): Answered => ({
    ...(says(answer(1, 0)) as Extract<Answered, { kind: 'answer' }>),
    serviceMs,
  });
  for (const [name, now, stock, want] of [
    [
      'pairs what it took with what stable took',
      { work: { ...work, pairs: 'Replay' }, answer: timed(30) },
      sample({ serviceMs: 20 }),
      [{ tier: 'default', sizeClass: 4, source: 'Replay', ratio: 1.5 }],
    ],
    [
      'pairs without comparing answers',
      { work: { peers: work.peers, pairs: 'Shadow' }, answer: timed(10) },
      sample({ serviceMs: 20 }),
      [{ tier: 'default', sizeClass: 4, source: 'Shadow', ratio: 0.5 }],
    ],
    [
      'pairs nothing that stable did not answer by itself',
      { work: { ...work, pairs: 'Replay' }, answer: timed(10) },
      sample(),
      [{ why: 'StableNotAlone' }],
    ],
    [
      'pairs nothing that its own runtime did not answer by itself',
      { work: { ...work, pairs: 'Replay' } },
      sample({ serviceMs: 20 }),
      [{ why: 'NotAlone' }],
    ],
    ['pairs nothing unless requested', { work, answer: timed(10) }, sample({ serviceMs: 20 }), []],
  ] as const) {
    it(name, async () => {
      const { clock, pairs, counted, replayer } = world(now, stock);
      await clock.advance(2_000);
      assert.deepEqual(pairs, want);
      assert.equal(counted.length, 'rule' in now.work ? 1 : 0);
      assert.equal(replayer.agreement?.compared, 'rule' in now.work ? 1 : undefined);
    });
  }

  it("takes samples from stable's pods in turn, once a second while they have none", async () => {
    const { clock, replayer, asked } = world({ work: { ...work, peers: ['10.0.0.1', '10.0.0.2'] } });
    await clock.advance(3_500);
    assert.deepEqual(asked, ['10.0.0.1', '10.0.0.2', '10.0.0.1', '10.0.0.2']);
    assert.deepEqual(replayer.agreement, { compared: 0, disagreed: 0, skipped: { NoSample: 4 }, worst: null });
  });

  it('counts when a pod cannot be reached, or had only samples that are too large', async () => {
    const { clock, replayer, set } = world({ taken: undefined });
    await clock.advance(500);
    set({ taken: { samples: [], tooLarge: 3 } });
    await clock.advance(1_000);
    assert.deepEqual(replayer.agreement?.skipped, { Unreachable: 1, TooLarge: 3 });
  });

  it('ends when the signal is aborted', async () => {
    const { clock, stop, asked } = world();
    await clock.advance(1_500);
    stop.abort();
    await clock.advance(60_000);
    assert.equal(asked.length, 2);
    assert.equal(clock.pending, 0);
  });
});
