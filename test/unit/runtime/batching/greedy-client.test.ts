/** A client that sends more than the batcher can run, beside a client that sends little: simulated, by a set clock. */
import assert from 'node:assert/strict';
import { Batcher } from '../../../../runtime/batching/batcher.ts';
import { runCost } from '../../../../runtime/engine/run-cost.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const runMs = 20;
const workers = 2;
const light = { everyMs: 100, deadlineMs: 200 };
/** The greedy client alone sends twice what the workers can run. */
const greedyEveryMs = runMs / workers / 2;
const spanMs = 20_000;

type Counts = { sent: number; answered: number; late: number };

/** @param isNamed whether the two clients can be told apart */
async function beside(isNamed: boolean): Promise<Record<'greedy' | 'light', Counts>> {
  const clock = new HandClock();
  const engine = new FakeEngine({
    slots: workers,
    model: ({ x }) => ({ y: { type: 'float32', dims: x?.dims ?? [], data: x?.data as Float32Array } }),
    gate: ({ parts }) => clock.sleep(runMs * parts.length),
  });
  const batcher = new Batcher({
    model: 'm',
    engine,
    clock,
    limits: { maxRows: 8, maxElements: 1e6, maxRequestElements: 1e6, maxDelayMs: 0, maxDepth: 64 },
    news: { batch: () => {}, fellApart: () => {} },
  });
  batcher.useCosts(runCost([1, 2, 4].map((rows) => ({ rows, elements: 1, ms: runMs * rows }))));
  const counts = { greedy: { sent: 0, answered: 0, late: 0 }, light: { sent: 0, answered: 0, late: 0 } };
  const send = (name: 'greedy' | 'light', deadlineMs?: number): void => {
    const [own, atMs] = [counts[name], clock.monotonic()];
    own.sent += 1;
    batcher
      .submit({
        inputs: { x: { type: 'float32', dims: [1, 1], data: new Float32Array(1) } },
        outputs: ['y'],
        signal: new AbortController().signal,
        ...(isNamed ? { client: name } : {}),
        ...(deadlineMs === undefined ? {} : { deadlineMs: atMs + deadlineMs }),
      })
      .then(
        () => {
          own.answered += 1;
          if (clock.monotonic() - atMs > light.deadlineMs) own.late += 1;
        },
        () => {},
      );
  };
  for (let atMs = 0; atMs < spanMs; atMs += greedyEveryMs) {
    send('greedy');
    if (atMs % light.everyMs === 0) send('light', light.deadlineMs);
    await clock.advance(greedyEveryMs);
  }
  await clock.advance(10_000);
  return counts;
}

describe('Batcher with a greedy client', () => {
  it('answers every request of the other client in time, and uses all workers for the greedy one', async () => {
    const { greedy, light: other } = await beside(true);
    assert.deepEqual(other, { sent: spanMs / light.everyMs, answered: spanMs / light.everyMs, late: 0 });
    const capacity = (spanMs * workers) / runMs;
    assert.ok(greedy.answered + other.answered >= 0.95 * capacity, `${greedy.answered} + ${other.answered}`);
  });

  it('refuses requests of the other client when the clients cannot be told apart', async () => {
    const { light: other } = await beside(false);
    assert.ok(other.answered < other.sent / 2, `${other.answered} of ${other.sent}`);
  });
});
