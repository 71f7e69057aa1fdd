/** The batcher at 150 % of its capacity: simulated requests with deadlines, without wall-clock time. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { Batcher } from '../../../../runtime/batching/batcher.ts';
import { runCost } from '../../../../runtime/engine/run-cost.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const workers = 2;
const deadlineMs = 400;
const requests = 1200;
const rowCounts = [1, 2, 4, 8, 16, 32];

type Given = {
  readonly name: string;
  readonly msOf: (rows: number) => number;
  /** The real time of a run divided by its measured time. */
  readonly slowness: number;
  /** Whether requests have deadlines. */
  readonly hasDeadlines: boolean;
};

type Fate = {
  readonly expectedMs: number;
  readonly waitedMs?: number;
  readonly endedInMs?: number;
  readonly code?: string;
};

/** Runs of the same rows differ in time by up to a quarter in each direction. */
const jitter = (run: number): number => 0.75 + ((run * 7919) % 500) / 1000;

async function overload({ msOf, slowness, hasDeadlines }: Given): Promise<{ fates: Fate[]; spanMs: number }> {
  const clock = new HandClock();
  let runs = 0;
  const engine = new FakeEngine({
    slots: workers,
    model: ({ x }) => ({ y: { type: 'float32', dims: x?.dims ?? [], data: x?.data as Float32Array } }),
    gate: ({ parts }) => clock.sleep(msOf(parts.length) * slowness * jitter((runs += 1))),
  });
  const batcher = new Batcher({
    model: 'm',
    engine,
    clock,
    limits: { maxRows: 32, maxElements: 1e6, maxRequestElements: 1e6, maxDelayMs: 0, maxDepth: 128 },
    news: { batch: () => {}, fellApart: () => {} },
  });
  batcher.useCosts(runCost(rowCounts.map((rows) => ({ rows, elements: 1, ms: msOf(rows) }))));
  const fates: Fate[] = [];
  const everyMs = (bestMsPerRow(msOf) * slowness) / workers / 1.5;
  const beganMs = clock.monotonic();
  for (let sent = 0; sent < requests; sent += 1) {
    const atMs = clock.monotonic();
    const expectedMs = batcher.expectedWaitMs('interactive');
    const x = { type: 'float32' as const, dims: [1, 1], data: new Float32Array(1) };
    const deadline = hasDeadlines ? { deadlineMs: atMs + deadlineMs } : {};
    batcher.submit({ inputs: { x }, outputs: ['y'], signal: new AbortController().signal, ...deadline }).then(
      ({ queueMs }) => fates.push({ expectedMs, waitedMs: queueMs, endedInMs: clock.monotonic() - atMs }),
      (error: unknown) => fates.push({ expectedMs, code: error instanceof AppError ? error.code : String(error) }),
    );
    await clock.advance(everyMs);
  }
  const spanMs = clock.monotonic() - beganMs;
  await clock.advance(60_000);
  return { fates, spanMs };
}

const bestMsPerRow = (msOf: (rows: number) => number): number =>
  Math.min(...rowCounts.map((rows) => msOf(rows) / rows));

// prettier-ignore
const worlds: readonly Given[] = [
  { name: 'a model that does not batch', msOf: (rows) => 25 * rows, slowness: 1, hasDeadlines: true },
  { name: 'a model that batches', msOf: (rows) => 20 + rows, slowness: 1, hasDeadlines: true },
  { name: 'a model that takes three times as long as measured', msOf: (rows) => 6 * rows, slowness: 3,
    hasDeadlines: true },
  { name: 'clients without deadlines', msOf: (rows) => 8 * rows, slowness: 1, hasDeadlines: false },
];

describe('Batcher at 150 % of its capacity', () => {
  for (const given of worlds) {
    it(`answers admitted requests in time, and predicts the waits: ${given.name}`, async () => {
      const { fates, spanMs } = await overload(given);
      assert.equal(fates.length, requests);
      const ended = fates.filter(({ endedInMs }) => endedInMs !== undefined);
      const inTime = ended.filter(({ endedInMs = 0 }) => !given.hasDeadlines || endedInMs <= deadlineMs);
      const admitted = fates.filter(({ code }) => code !== 'WAIT_TOO_LONG' && code !== 'QUEUE_FULL');
      assert.ok(inTime.length >= 0.99 * admitted.length, `${inTime.length} of ${admitted.length} in time`);
      const capacity = (spanMs * workers) / (bestMsPerRow(given.msOf) * given.slowness);
      assert.ok(inTime.length >= 0.95 * capacity, `${inTime.length} of ${capacity}`);
      // Leave out the first quarter of the requests: in this time the queue fills.
      const settledDown = ended.slice(ended.length / 4).filter(({ waitedMs = 0 }) => waitedMs > 0);
      const near = settledDown.filter(
        ({ expectedMs, waitedMs = 0 }) => expectedMs <= 2 * waitedMs && waitedMs <= 2 * expectedMs,
      );
      assert.ok(near.length >= 0.95 * settledDown.length, `${near.length} of ${settledDown.length} waits foreseen`);
    });
  }
});
