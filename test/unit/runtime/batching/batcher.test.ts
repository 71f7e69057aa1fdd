/**
 * The queue before the engine, which runs the rows of several requests together (a batch). A row is everything at one
 * index of the first dimension of the inputs. Every submitted request settles exactly once.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../../../api/errors.ts';
import { Batcher, type BatcherLimits } from '../../../../runtime/batching/batcher.ts';
import type { InferenceRequest, InferenceResult } from '../../../../runtime/batching/port.ts';
import type { EngineBatch } from '../../../../runtime/engine/port.ts';
import type { NamedTensors } from '../../../../runtime/engine/tensor.ts';
import { FakeEngine, type FakeModel } from '../../../support/fake-engine.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

/** An engine with y = 2x. A row that begins with -1 ("poison") makes its run fail for all rows. */
const double: FakeModel = ({ x }) => {
  const data = x?.data as Float32Array;
  if (data.some((value) => value === -1)) throw new Error('poisoned');
  return { y: { type: 'float32', dims: x?.dims ?? [], data: data.map((value) => 2 * value) } };
};

const input = (value: number, rows = 1, width = 2): NamedTensors => ({
  x: { type: 'float32', dims: [rows, width], data: new Float32Array(rows * width).fill(value) },
});
const valuesOf = (outputs: NamedTensors): unknown[] => Array.from<unknown>(outputs['y']?.data ?? []);
const never = new AbortController().signal;

class World {
  readonly clock = new HandClock();
  readonly engine: FakeEngine;
  readonly batcher: Batcher;
  readonly #gates: (() => void)[] = [];

  constructor(
    given: { readonly limits?: Partial<BatcherLimits>; readonly slots?: number; readonly gated?: boolean } = {},
  ) {
    const gate = (): Promise<void> => new Promise((resolve) => this.#gates.push(resolve));
    this.engine = new FakeEngine({
      model: double,
      slots: given.slots ?? 1,
      ...(given.gated === false ? {} : { gate }),
    });
    const limits = {
      maxRows: 4,
      maxElements: 1000,
      maxDelayMs: 0,
      maxDepth: 8,
      maxRequestElements: 100,
      ...given.limits,
    };
    this.batcher = new Batcher({
      model: 'm',
      engine: this.engine,
      clock: this.clock,
      limits,
      news: { batch: () => {}, fellApart: () => {} },
    });
  }

  submit(inputs: NamedTensors, more: Partial<InferenceRequest> = {}): Promise<InferenceResult> {
    const promise = this.batcher.submit({ inputs, outputs: ['y'], signal: never, ...more });
    promise.catch(() => {});
    return promise;
  }

  /** Lets the oldest running batch finish. */
  async finish(): Promise<void> {
    this.#gates.shift()?.();
    await settle();
  }

  get ran(): number[] {
    return this.engine.batches.map(({ parts }: EngineBatch) => parts.length);
  }
}

const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );

describe('Batcher', () => {
  it('does not run a request whose caller has left', async () => {
    const world = new World({ gated: false });
    const gone = AbortSignal.abort(new Error('left'));
    assert.match(await codeOf(world.submit(input(1), { signal: gone })), /left/);
    await settle();
    assert.deepEqual([world.ran, world.batcher.queue.depth], [[], 0]);
  });

  it('runs a request at once when the engine is idle', async () => {
    const world = new World({ gated: false });
    const { outputs, batchRows } = await world.submit(input(3));
    assert.deepEqual(valuesOf(outputs), [6, 6]);
    assert.equal(batchRows, 1);
  });

  it('joins queued requests into one run and returns each its own rows', async () => {
    const world = new World();
    const first = world.submit(input(1));
    const rest = [world.submit(input(2, 1)), world.submit(input(3, 2))];
    await world.finish();
    await first;
    await world.finish();
    const results = await Promise.all(rest);
    assert.deepEqual(world.ran, [1, 2]);
    assert.deepEqual(
      results.map(({ outputs }) => valuesOf(outputs)),
      [
        [4, 4],
        [6, 6, 6, 6],
      ],
    );
    assert.deepEqual(
      results.map(({ batchRows }) => batchRows),
      [3, 3],
    );
  });

  it('keeps the limit of rows, and does not mix shapes', async () => {
    const world = new World();
    const all = [
      world.submit(input(1)),
      world.submit(input(2, 2)),
      world.submit(input(3, 1, 5)),
      world.submit(input(4, 2)),
      world.submit(input(5)),
    ];
    for (let run = 0; run < 4; run += 1) await world.finish();
    await Promise.all(all);
    assert.deepEqual(
      world.engine.batches.map(({ parts }) => parts.map((part) => part['x']?.data[0])),
      [[1], [2, 4], [3], [5]],
    );
  });

  it('runs a request alone whose inputs have different numbers of rows', async () => {
    const world = new World();
    const odd: NamedTensors = { ...input(1, 2), z: { type: 'float32', dims: [1], data: new Float32Array(1) } };
    const all = [world.submit(input(9)), world.submit(odd), world.submit(odd)];
    for (let run = 0; run < 3; run += 1) await world.finish();
    await Promise.all(all);
    assert.deepEqual(world.ran, [1, 1, 1]);
  });

  it('answers the other requests of a run that fails because of one request', async () => {
    const world = new World();
    const all = [world.submit(input(1)), world.submit(input(2)), world.submit(input(-1)), world.submit(input(4))];
    await world.finish();
    await world.finish();
    assert.deepEqual(await Promise.all(all.map(codeOf)), ['ok', 'ok', 'ENGINE_FAILED', 'ok']);
  });

  it('refuses a request at once when the queue is full', async () => {
    const world = new World({ limits: { maxDepth: 2 } });
    const all = [1, 2, 3, 4].map((value) => world.submit(input(value)));
    assert.equal(await codeOf(all[3]!), 'QUEUE_FULL');
    await world.finish();
    await world.finish();
    assert.deepEqual(await Promise.all(all.slice(0, 3).map(codeOf)), ['ok', 'ok', 'ok']);
  });

  it('keeps every waiting request when a new one does not fit even in their place', async () => {
    const world = new World({ limits: { maxDepth: 2 } });
    const [runs, ...waiting] = [1, 2, 3].map((value) => world.submit(input(value), { client: 'steady' }));
    // The queue has room for 64 rows, and the request of the other client has 65.
    assert.equal(await codeOf(world.submit(input(4, 65, 1), { client: 'large' })), 'QUEUE_FULL');
    await world.finish();
    await world.finish();
    assert.deepEqual(await Promise.all([runs!, ...waiting].map(codeOf)), ['ok', 'ok', 'ok']);
  });

  it('keeps room in the queue for interactive work however much bulk work waits', async () => {
    const world = new World({ limits: { maxDepth: 1 } });
    const running = world.submit(input(1), { tier: 'bulk' });
    const waiting = world.submit(input(2), { tier: 'bulk' });
    await assert.rejects(world.submit(input(3), { tier: 'bulk' }), { code: 'QUEUE_FULL' });
    const user = world.submit(input(4));
    for (let run = 0; run < 3; run += 1) await world.finish();
    await Promise.all([running, waiting, user]);
    const order = world.engine.batches.map(({ parts }) => parts[0]?.['x']?.data[0]);
    assert.deepEqual(order, [1, 4, 2], 'the user goes before what came earlier');
  });

  it('runs bulk work in time although interactive work never ends', async () => {
    const world = new World();
    const bulk = [world.submit(input(1), { tier: 'bulk' }), world.submit(input(2, 4), { tier: 'bulk' })];
    void world.submit(input(9));
    for (let second = 0; second < 12; second += 1) {
      await world.clock.advance(1000);
      void world.submit(input(9));
      await world.finish();
    }
    assert.deepEqual(await Promise.all(bulk.map(codeOf)), ['ok', 'ok']);
    const order = world.engine.batches.map(({ parts }) => parts[0]?.['x']?.data[0]);
    assert.deepEqual(order.slice(0, 12), [1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 2, 9]);
  });

  it('does not expect interactive work to wait for bulk work', async () => {
    const world = new World({ limits: { maxRows: 1 } });
    void world.submit(input(1));
    await world.finish();
    void world.submit(input(1));
    void world.submit(input(1));
    void world.submit(input(2), { tier: 'bulk' });
    void world.submit(input(2), { tier: 'bulk' });
    const { batcher } = world;
    assert.equal(batcher.expectedWaitMs('bulk'), 3 * batcher.expectedWaitMs('interactive'));
    assert.ok(batcher.expectedWaitMs('interactive') > 0);
  });

  it('charges memory for outputs only to callers that still wait', async () => {
    const world = new World();
    const held: string[] = [];
    const left = new AbortController();
    const hold = (who: string) => (): void => void held.push(who);
    const first = world.submit(input(0));
    const leaving = world.submit(input(1), { signal: left.signal, hold: hold('left') });
    const staying = world.submit(input(2), { hold: hold('stayed') });
    await world.finish();
    left.abort(new Error('gone'));
    await world.finish();
    await Promise.all([first, staying]);
    await assert.rejects(leaving, /gone/);
    const late = world.submit(input(3), { hold: hold('given up') });
    await world.clock.advance(100);
    world.batcher.giveUp({ ranMs: 50, queued: false }, new AppError('ENGINE_LOST', { model: 'm' }));
    await world.finish();
    await assert.rejects(late, { code: 'ENGINE_LOST' });
    assert.deepEqual(held, ['stayed']);
  });

  it('refuses a request that is too large for any run', async () => {
    assert.equal(await codeOf(new World().submit(input(1, 51))), 'REQUEST_TOO_LARGE');
  });

  it('answers an expired request at its deadline, though the engine is busy', async () => {
    const world = new World();
    void world.submit(input(1));
    const late = world.submit(input(2), { deadlineMs: world.clock.monotonic() + 100 });
    await world.clock.advance(100);
    assert.equal(await codeOf(late), 'REQUEST_EXPIRED');
    await world.finish();
    assert.deepEqual(world.ran, [1]);
  });

  it('drops a request whose client has left before it runs', async () => {
    const world = new World();
    void world.submit(input(1));
    const client = new AbortController();
    const left = world.submit(input(2), { signal: client.signal });
    client.abort(new Error('gone'));
    await assert.rejects(left, /gone/);
    assert.equal(world.batcher.queue.depth, 0);
    await world.finish();
    assert.deepEqual(world.ran, [1]);
  });

  it('waits for other requests when there is a delay', async () => {
    const world = new World({ limits: { maxDelayMs: 10 }, gated: false });
    const all = [world.submit(input(1)), world.submit(input(2))];
    await settle();
    assert.deepEqual(world.ran, []);
    await world.clock.advance(10);
    await Promise.all(all);
    assert.deepEqual(world.ran, [2]);
  });

  it('gives requests of a lost worker ENGINE_LOST and continues', async () => {
    const world = new World();
    const lost = world.submit(input(1));
    const next = world.submit(input(2));
    world.engine.lose();
    assert.equal(await codeOf(lost), 'ENGINE_LOST');
    await world.finish();
    await world.finish();
    assert.equal(await codeOf(next), 'ok');
  });

  it('uses every slot of the engine', async () => {
    const world = new World({ slots: 2 });
    const all = [world.submit(input(1)), world.submit(input(2)), world.submit(input(3))];
    assert.deepEqual(world.ran, [1, 1]);
    for (let run = 0; run < 3; run += 1) await world.finish();
    await Promise.all(all);
  });

  it('runs one by one once rows are known to depend on each other', async () => {
    const world = new World();
    world.batcher.limitRows(1);
    const all = [1, 2, 3].map((value) => world.submit(input(value)));
    for (let run = 0; run < 3; run += 1) await world.finish();
    await Promise.all(all);
    assert.deepEqual(world.ran, [1, 1, 1]);
  });

  it('is idle when the queue is empty and no run is in progress', async () => {
    const world = new World();
    void world.submit(input(1));
    let idle = false;
    void world.batcher.idle().then(() => {
      idle = true;
    });
    await settle();
    assert.equal(idle, false);
    await world.finish();
    assert.equal(idle, true);
  });

  it('settles every submitted request exactly once for any order of events', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('submit' as const),
        rows: fc.integer({ min: 1, max: 5 }),
        value: fc.constantFrom(-1, 1, 2),
        deadlineMs: fc.option(fc.integer({ min: 1, max: 50 })),
        leaves: fc.boolean(),
      }),
      fc.record({ do: fc.constant('finish' as const) }),
      fc.record({ do: fc.constant('lose' as const) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.integer({ min: 1, max: 2 }),
        fc.constantFrom(0, 15),
        async (steps, slots, maxDelayMs) => {
          const world = new World({ slots, limits: { maxDelayMs, maxDepth: 5 } });
          const settled: number[] = [];
          for (const [index, one] of steps.entries()) {
            if (one.do === 'finish') await world.finish();
            else if (one.do === 'lose') world.engine.lose();
            else if (one.do === 'wait') await world.clock.advance(one.ms);
            else {
              const client = new AbortController();
              settled[index] = 0;
              const deadline = one.deadlineMs === null ? {} : { deadlineMs: world.clock.monotonic() + one.deadlineMs };
              const count = (): void => {
                settled[index] = (settled[index] ?? 0) + 1;
              };
              world.submit(input(one.value, one.rows), { signal: client.signal, ...deadline }).then(count, count);
              if (one.leaves) client.abort(new Error('gone'));
            }
          }
          for (let drained = 0; drained < 40; drained += 1) {
            await world.clock.advance(60);
            await world.finish();
          }
          await world.batcher.idle();
          assert.ok(
            settled.every((times) => times === undefined || times === 1),
            JSON.stringify(settled),
          );
        },
      ),
      { numRuns: 40 },
    );
  });
});
