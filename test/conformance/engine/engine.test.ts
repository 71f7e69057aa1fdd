/**
 * The contract between the batcher, which joins the rows of several requests, and an engine, which runs the model. It
 * holds for the real engine and for the fake of the tests.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { WorkerPool } from '../../../runtime/engine/pool.ts';
import type { Engine } from '../../../runtime/engine/port.ts';
import { ProcessEngine } from '../../../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../../../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors } from '../../../runtime/engine/tensor.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { givenConfig } from '../../support/model-server.ts';
import { matmul, writeModel } from '../../support/onnx-models.ts';

/** The model in every test: x[batch, 4] → y[batch, 2], y = [x0 + x2 + 2 x3, x1 + x2 - x3]. */
function multiply({ x }: NamedTensors): NamedTensors {
  const rows = x?.dims[0] ?? 0;
  if (x?.dims[1] !== 4) throw new Error('Got invalid dimensions for input: x');
  const [from, to] = [x.data as Float32Array, new Float32Array(rows * 2)];
  for (let row = 0; row < rows; row += 1) {
    const [a = 0, b = 0, c = 0, d = 0] = from.subarray(4 * row, 4 * row + 4);
    to.set([a + c + 2 * d, b + c - d], 2 * row);
  }
  return { y: makeTensor('float32', [rows, 2], to) };
}

const given = (...values: number[]): NamedTensors => ({
  x: makeTensor('float32', [values.length / 4, 4], Float32Array.from(values)),
});
const wide: () => NamedTensors = () => ({ x: makeTensor('float32', [1, 5], new Float32Array(5)) });
const outputs = ['y'];

type Candidate = { readonly name: string; readonly start: (slots: number) => Promise<Engine> };

let folder = '';
const candidates: readonly Candidate[] = [
  { name: 'the fake', start: (slots) => Promise.resolve(new FakeEngine({ model: multiply, slots })) },
  {
    name: 'ONNX Runtime on worker threads',
    start: async (slots) => {
      const graphPath = await writeModel(folder, matmul());
      const { execution, memory } = givenConfig();
      const options = sessionOptions({
        execution,
        memory,
        threads: { workers: slots, threadsPerWorker: 1, spin: 'Off' },
        signature: { inputs: [], outputs: [] },
        optimized: false,
      });
      return WorkerPool.start({
        model: 'm',
        workers: slots,
        task: { graphPath, options, nice: 0 },
        clock: systemClock,
        logger: silentLogger,
      });
    },
  },
  { name: 'engine processes of one run each', start: (slots) => startProcesses(slots, 1) },
  { name: 'one engine process of several runs', start: (slots) => startProcesses(1, slots) },
];

async function startProcesses(processes: number, runsPerProcess: number): Promise<Engine> {
  const { execution, memory } = givenConfig();
  const threads = { workers: runsPerProcess, threadsPerWorker: 1, spin: 'Off' } as const;
  const signature = { inputs: [], outputs: [] };
  return ProcessEngine.start({
    model: 'm',
    processes,
    runsPerProcess,
    task: {
      graphPath: await writeModel(folder, matmul()),
      options: sessionOptions({ execution, memory, threads, signature, optimized: false }),
      nice: 0,
    },
    clock: systemClock,
    logger: silentLogger,
  });
}

for (const { name, start } of candidates) {
  describe(`Engine: ${name}`, () => {
    let engine: Engine;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'engine-'));
      engine = await start(2);
    });
    after(async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('runs a batch of one', async () => {
      const { parts, together, inferMs } = await engine.run({ parts: [given(1, 2, 3, 4)], outputs });
      assert.deepEqual(parts, [
        { kind: 'Done', outputs: { y: makeTensor('float32', [1, 2], Float32Array.of(12, 1)) } },
      ]);
      assert.ok(together && inferMs >= 0);
    });

    it('gives each part of a batch its own rows', async () => {
      const { parts } = await engine.run({
        parts: [given(1, 0, 0, 0), given(0, 1, 0, 0, 0, 0, 0, 1), given(0, 0, 1, 0)],
        outputs,
      });
      const values = parts.map((part) =>
        part.kind === 'Done' ? Array.from<unknown>(part.outputs['y']?.data ?? []) : part,
      );
      assert.deepEqual(values, [
        [1, 0],
        [0, 1, 2, -1],
        [1, 1],
      ]);
    });

    it('accepts a batch without rows', async () => {
      const { parts } = await engine.run({ parts: [given()], outputs });
      assert.deepEqual(
        parts.map((part) => (part.kind === 'Done' ? part.outputs['y']?.dims : part)),
        [[0, 2]],
      );
    });

    it("reports an invalid input as the input's fault", async () => {
      const { parts } = await engine.run({ parts: [wide()], outputs });
      assert.equal(parts[0]?.kind, 'Refused');
    });

    it('answers the other parts when one part does not fit', async () => {
      const { parts, together } = await engine.run({ parts: [given(1, 2, 3, 4), wide(), given(0, 0, 1, 0)], outputs });
      assert.deepEqual(
        parts.map(({ kind }) => kind),
        ['Done', 'Refused', 'Done'],
      );
      assert.equal(together, false);
    });

    it('has the given number of slots, and refuses one more batch', async () => {
      assert.equal(engine.freeSlots, 2);
      const running = [
        engine.run({ parts: [given(1, 2, 3, 4)], outputs }),
        engine.run({ parts: [given(1, 2, 3, 4)], outputs }),
      ];
      assert.equal(engine.freeSlots, 0);
      await assert.rejects(
        engine.run({ parts: [given(1, 2, 3, 4)], outputs }),
        (error: unknown) => error instanceof AppError && error.code === 'NOT_READY',
      );
      await Promise.all(running);
      assert.equal(engine.freeSlots, 2);
    });

    it('tells when a slot is free again', async () => {
      const free = new Promise<void>((resolve) => engine.onFree(resolve));
      await engine.run({ parts: [given(1, 2, 3, 4)], outputs });
      await free;
    });

    it('has its workers ready', () => assert.deepEqual(engine.workers, { ready: 2, wanted: 2 }));

    it('keeps serving while a worker is recycled', async () => {
      engine.recycle();
      const { parts } = await engine.run({ parts: [given(1, 2, 3, 4)], outputs });
      assert.equal(parts[0]?.kind, 'Done');
    });

    it('finishes running batches before it closes, and accepts none after', async () => {
      const closing = await start(1);
      const running = closing.run({ parts: [given(1, 2, 3, 4)], outputs });
      const closed = closing.close();
      assert.equal((await running).parts[0]?.kind, 'Done');
      await closed;
      assert.equal(closing.freeSlots, 0);
      await assert.rejects(
        closing.run({ parts: [given(1, 2, 3, 4)], outputs }),
        (error: unknown) => error instanceof AppError && error.code === 'NOT_READY',
      );
    });
  });
}
