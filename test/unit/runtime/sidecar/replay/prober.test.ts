/** How often both revisions are asked, in which order, and how much of a pod's time that takes. */
import assert from 'node:assert/strict';
import { PairProber, type ProbeInputs, type ProbeWork } from '../../../../../runtime/sidecar/replay/prober.ts';
import type { Answered, Question } from '../../../../../runtime/protocol/ask-runtime.ts';
import { HandClock } from '../../../../support/hand-clock.ts';
import { chance } from '../../../../support/random-graphs.ts';

const self = '10.0.1.1';
const stable = '10.0.0.1';
const question = (path: string): Question => ({ method: 'POST', path, body: new Uint8Array([1]) });
const busy: Answered = { kind: 'unavailable', why: '429: users are served' };
const refused: Answered = { kind: 'refused', status: 400, why: '400: no' };
const untimed: Answered = { kind: 'answer', body: new Uint8Array(), jsonBytes: undefined };

type Asked = { readonly at: number; readonly address: string; readonly path: string };
type Now = {
  work: ProbeWork | undefined;
  inputs: ProbeInputs;
  serviceMs: Record<string, number>;
  answer: (address: string, serviceMs: number) => Answered;
};

function world(first: Partial<Now> = {}) {
  const clock = new HandClock();
  const now: Now = {
    work: { peers: [stable], perMinute: 60, pods: 1 },
    inputs: { kind: 'inputs', questions: [question('/a'), question('/b')] },
    serviceMs: { [self]: 30, [stable]: 20 },
    answer: (_address, serviceMs) => ({ ...untimed, serviceMs }) as Answered,
    ...first,
  };
  const pick = chance(7);
  const asked: Asked[] = [];
  const [pairs, skipped, loads]: [{ readonly ratio: number; readonly source: string }[], string[], number[]] = [
    [],
    [],
    [],
  ];
  const beganMs = clock.monotonic();
  const prober = new PairProber({
    clock,
    self,
    random: () => pick(1_000_000) / 1_000_000,
    work: () => now.work,
    inputs: () => Promise.resolve(now.inputs),
    ask: async (address, { path }) => {
      asked.push({ at: clock.monotonic() - beganMs, address, path });
      const serviceMs = now.serviceMs[address] ?? 20;
      const answer = now.answer(address, serviceMs);
      // The way there and back is nobody's service.
      if (answer.kind === 'answer') await clock.sleep(serviceMs + 3);
      return answer;
    },
    pairs: {
      paired: (pair) => pairs.push(pair),
      skipped: (why) => skipped.push(why),
      loaded: (share) => loads.push(share),
    },
  });
  const stop = new AbortController();
  void prober.run(stop.signal);
  return { clock, asked, pairs, skipped, loads, stop, set: (next: Partial<Now>) => Object.assign(now, next) };
}

describe('PairProber', () => {
  it('asks nobody while nobody wants it', async () => {
    const { clock, asked } = world({ work: undefined });
    await clock.advance(60_000);
    assert.deepEqual(asked, []);
  });

  it('asks both the same, by what their runtimes took, in turn through the inputs', async () => {
    const { clock, asked, pairs, stop } = world();
    await clock.advance(3_500);
    stop.abort();
    assert.deepEqual(
      asked.map(({ path }) => path),
      ['/a', '/a', '/b', '/b', '/a', '/a', '/b', '/b'],
    );
    for (let i = 0; i < asked.length; i += 2)
      assert.deepEqual(new Set([asked[i]?.address, asked[i + 1]?.address]), new Set([stable, self]));
    assert.deepEqual(
      pairs.map(({ source, ratio }) => [source, ratio]),
      Array.from({ length: 4 }, () => ['Probe', 1.5]),
    );
  });

  it('lets chance say who is first', async () => {
    const { clock, asked } = world();
    await clock.advance(200_000);
    const first = asked.filter((_, i) => i % 2 === 0).filter(({ address }) => address === self).length;
    assert.ok(first > 70 && first < 130, `${first} of 200`);
  });

  for (const { name, now, want } of [
    { name: 'no more often than it was asked to', now: {}, want: 60 },
    {
      name: "its part of what all the candidate's pods may ask",
      now: { work: { peers: [stable], perMinute: 60, pods: 2 } },
      want: 30,
    },
    {
      name: "no more than a twentieth of the candidate's time",
      now: { serviceMs: { [self]: 100, [stable]: 20 } },
      want: 30,
    },
    { name: "no more than a twentieth of stable's", now: { serviceMs: { [self]: 20, [stable]: 250 } }, want: 12 },
    {
      name: 'less where several pods of the candidate ask one of stable',
      now: { work: { peers: [stable], perMinute: 60, pods: 4 }, serviceMs: { [self]: 20, [stable]: 100 } },
      want: 8,
    },
  ] satisfies readonly { name: string; now: Partial<Now>; want: number }[]) {
    it(`probes ${name}`, async () => {
      const { clock, pairs, loads, stop } = world(now);
      await clock.advance(60_000);
      stop.abort();
      assert.ok(Math.abs(pairs.length - want) <= 1, `${pairs.length} pairs`);
      assert.ok(
        loads.every((load) => load <= 0.05 + 1e-9),
        `loads ${loads.join()}`,
      );
    });
  }

  it('waits a moment for room at the second of the two, and gives up the probe after that', async () => {
    const { clock, asked, pairs, skipped, stop } = world({
      answer: (address, serviceMs) => (address === stable ? busy : ({ ...untimed, serviceMs } as Answered)),
    });
    await clock.advance(30_000);
    stop.abort();
    assert.equal(pairs.length, 0);
    assert.ok(skipped.length > 5 && skipped.every((why) => why === 'Busy'));
    const ours = asked.filter(({ address }) => address === self);
    // What this pod answered in vain is of its time too.
    for (let i = 1; i < ours.length; i += 1) assert.ok((ours[i]?.at ?? 0) - (ours[i - 1]?.at ?? 0) >= 30 / 0.05);
  });

  it('asks nothing again that one of them refuses', async () => {
    const { clock, asked, skipped, stop } = world({ answer: () => refused });
    await clock.advance(20_000);
    stop.abort();
    assert.deepEqual(
      asked.map(({ path }) => path),
      ['/a', '/b'],
    );
    assert.deepEqual(skipped.slice(0, 2), ['Refused', 'Refused']);
    assert.ok(skipped.slice(2).every((why) => why === 'NoInputs'));
  });

  it('asks once in ten minutes where runtimes do not say what they took', async () => {
    const { clock, asked, skipped, stop } = world({ answer: () => untimed });
    await clock.advance(10_000);
    const before = asked.length;
    await clock.advance(1_800_000);
    stop.abort();
    assert.deepEqual(new Set(skipped), new Set(['StableNotAlone']));
    assert.ok(asked.length - before <= 2 * 4, `${asked.length - before} asked in half an hour`);
  });

  it('looks for inputs again while they are not to be had', async () => {
    const { clock, asked, set, stop } = world({ inputs: { kind: 'later' } });
    await clock.advance(5_000);
    assert.deepEqual(asked, []);
    set({ inputs: { kind: 'inputs', questions: [question('/c')] } });
    await clock.advance(1_500);
    stop.abort();
    assert.ok(asked.length > 0);
  });

  it('ends when it is told to', async () => {
    const { clock, stop, asked } = world();
    await clock.advance(1_500);
    stop.abort();
    await clock.advance(60_000);
    assert.ok(asked.length <= 4);
    assert.equal(clock.pending, 0);
  });
});
