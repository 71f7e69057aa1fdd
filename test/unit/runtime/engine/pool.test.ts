/** The workers' lifecycle, with workers that fail on purpose. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { WorkerPool } from '../../../../runtime/engine/pool.ts';
import { sessionOptions } from '../../../../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors } from '../../../../runtime/engine/tensor.ts';
import { givenConfig } from '../../../support/model-server.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const program = new URL('../../../support/crashing-worker.ts', import.meta.url);
const { execution, memory } = givenConfig();
const options = sessionOptions({
  execution,
  memory,
  threads: { workers: 1, threadsPerWorker: 1, spin: 'Off' },
  signature: { inputs: [], outputs: [] },
  optimized: false,
});
const pools: WorkerPool[] = [];

async function start(clock: HandClock, graphPath = 'model', workers = 2): Promise<WorkerPool> {
  const pool = await WorkerPool.start({
    model: 'm',
    workers,
    task: { graphPath, options, nice: 0 },
    clock,
    logger: silentLogger,
    program,
  });
  pools.push(pool);
  return pool;
}

const x = (value: number): NamedTensors => ({ x: makeTensor('float32', [1, 1], Float32Array.of(value)) });
const batch = (value: number) => ({ parts: [x(value)], outputs: ['y'] });
const codeOf = (error: unknown): string => (error instanceof AppError ? error.code : String(error));

/** Advances the clock until the pool has `count` ready workers. Threads start in real time. */
async function untilReady(pool: WorkerPool, clock: HandClock, count: number): Promise<void> {
  while (pool.workers.ready < count) {
    await clock.advance(10_000);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('WorkerPool', function () {
  afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

  it('answers the requests of a failed worker with ENGINE_LOST, and replaces the worker', async () => {
    const clock = new HandClock();
    const pool = await start(clock);
    await assert.rejects(pool.run(batch(-1)), (error: unknown) => codeOf(error) === 'ENGINE_LOST');
    assert.deepEqual(pool.workers, { ready: 1, wanted: 2 });
    assert.equal((await pool.run(batch(1))).parts[0]?.kind, 'Done');
    await untilReady(pool, clock, 2);
    assert.equal(pool.freeSlots, 2);
  });

  it('waits before it replaces a worker, longer after each failure', async () => {
    const clock = new HandClock();
    const pool = await start(clock, 'model', 1);
    const waits: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      await assert.rejects(pool.run(batch(-1)));
      const began = clock.monotonic();
      while (clock.pending > 0) await clock.advance(10);
      waits.push(clock.monotonic() - began);
      await untilReady(pool, clock, 1);
    }
    assert.ok(waits[3]! > waits[0]!, waits.join());
  });

  it("reports with ONNX Runtime's message why a model cannot be loaded", async () => {
    await assert.rejects(
      start(new HandClock(), 'broken'),
      (error: unknown) => codeOf(error) === 'ENGINE_LOAD_FAILED' && /no such model/.test(String(error)),
    );
  });

  it('replaces a recycled worker at once and without losing a request', async () => {
    const clock = new HandClock();
    const pool = await start(clock, 'model', 1);
    const running = pool.run(batch(1));
    pool.recycle();
    assert.equal((await running).parts[0]?.kind, 'Done');
    await untilReady(pool, clock, 1);
    assert.equal((await pool.run(batch(1))).parts[0]?.kind, 'Done');
  });

  it('refuses a buffer that was already transferred, and its slot stays free', async () => {
    const pool = await start(new HandClock(), 'model', 1);
    const used = batch(1);
    await pool.run(used);
    await assert.rejects(pool.run(used), /detached|DataClone/i);
    assert.equal(pool.freeSlots, 1);
  });
});
