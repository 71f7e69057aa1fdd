/**
 * How often and in which order the prober sends probes to both revisions, and how much of a pod's time the probes take.
 * A probe sends the same input to this pod and to a pod of stable, the serving revision, to compare their times.
 */
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
      // Add 3 ms on the network, which are not part of the service time.
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
  it('sends nothing while no probes are requested', async () => {
    const { clock, asked } = world({ work: undefined });
    await clock.advance(60_000);
    assert.deepEqual(asked, []);
  });

  it('sends each input in turn to both revisions, and pairs the service times', async () => {
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

  it('chooses at random which revision is first', async () => {
    const { clock, asked } = world();
    await clock.advance(200_000);
    const first = asked.filter((_, i) => i % 2 === 0).filter(({ address }) => address === self).length;
    assert.ok(first > 70 && first < 130, `${first} of 200`);
  });

  for (const { name, now, want } of [
    { name: 'no more often than requested', now: {}, want: 60 },
    {
      name: "its part of the rate of all the candidate's pods",
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

  it('waits up to 2 s for the second runtime to be idle, then skips the probe', async () => {
    const { clock, asked, pairs, skipped, stop } = world({
      answer: (address, serviceMs) => (address === stable ? busy : ({ ...untimed, serviceMs } as Answered)),
    });
    await clock.advance(30_000);
    stop.abort();
    assert.equal(pairs.length, 0);
    assert.ok(skipped.length > 5 && skipped.every((why) => why === 'Busy'));
    const ours = asked.filter(({ address }) => address === self);
    // A probe first sends a request to this pod. The request takes 30 ms, which count even if the probe is skipped.
    // Probes may take 5 % of this pod's time, so the next probe begins at least 30 ms / 5 % = 600 ms later.
    for (let i = 1; i < ours.length; i += 1) assert.ok((ours[i]?.at ?? 0) - (ours[i - 1]?.at ?? 0) >= 30 / 0.05);
  });

  it('does not repeat an input that either revision refuses', async () => {
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

  it('probes once in ten minutes when runtimes send no service time', async () => {
    const { clock, asked, skipped, stop } = world({ answer: () => untimed });
    await clock.advance(10_000);
    const before = asked.length;
    await clock.advance(1_800_000);
    stop.abort();
    assert.deepEqual(new Set(skipped), new Set(['StableNotAlone']));
    assert.ok(asked.length - before <= 2 * 4, `${asked.length - before} asked in half an hour`);
  });

  it('looks for inputs again while they are not available', async () => {
    const { clock, asked, set, stop } = world({ inputs: { kind: 'later' } });
    await clock.advance(5_000);
    assert.deepEqual(asked, []);
    set({ inputs: { kind: 'inputs', questions: [question('/c')] } });
    await clock.advance(1_500);
    stop.abort();
    assert.ok(asked.length > 0);
  });

  it('ends when the signal is aborted', async () => {
    const { clock, stop, asked } = world();
    await clock.advance(1_500);
    stop.abort();
    await clock.advance(60_000);
    assert.ok(asked.length <= 4);
    assert.equal(clock.pending, 0);
  });
});
