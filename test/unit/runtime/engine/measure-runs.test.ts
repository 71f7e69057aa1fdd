/** Measuring the memory of runs (calls of ONNX Runtime) at growing numbers of rows and lengths of rows. */
import assert from 'node:assert/strict';
import { measureRuns, type MeasureDeps } from '../../../../runtime/engine/measure-runs.ts';
import type { TensorSpec } from '../../../../runtime/engine/signature.ts';
import { makeTensor } from '../../../../runtime/engine/tensor.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

const mib = 2 ** 20;
const baseBytes = 100 * mib;
const text: readonly TensorSpec[] = [{ name: 'x', type: 'float32', dims: ['batch', 'n'] }];

/**
 * Options for measuring an engine. Each run holds `taken(rows, length)` bytes until it ends, and takes `slower`
 * milliseconds per 100 elements.
 */
function world(taken: (rows: number, length: number) => number, more: Partial<MeasureDeps> = {}, slower = 1) {
  const clock = new HandClock();
  const sizes: string[] = [];
  let held = 0;
  const engine = new FakeEngine({
    model: ({ x }) => ({ y: makeTensor('float32', [x?.dims[0] ?? 0, 1], new Float32Array(x?.dims[0] ?? 0)) }),
    gate: async ({ parts }) => {
      const [rows = 0, length = 0] = parts[0]?.['x']?.dims ?? [];
      sizes.push(`${rows}x${length}`);
      held = taken(rows, length);
      await settle();
      // Hold the memory long enough to be measured, then free it.
      await clock.advance(slower * Math.max(3, (rows * length) / 100));
      held = 0;
    },
  });
  const options: MeasureDeps = {
    engine,
    inputs: text,
    outputs: ['y'],
    fill: 8,
    maxRows: 4,
    independent: true,
    keeps: false,
    budgetBytes: 200 * mib,
    budgetMs: 3000,
    patienceMs: 3000,
    cpuMs: () => clock.monotonic(),
    clock,
    readBytes: () => Promise.resolve(baseBytes + held),
    ...more,
  };
  return { options, sizes };
}

describe('measureRuns', () => {
  it('measures a row at each length, up to the longest length that requests may have', async () => {
    const { options, sizes } = world((rows, length) => rows * length * 16 * 1024, { maxFill: 48 });
    const { bytesOf, points } = await measureRuns(options);
    assert.deepEqual(sizes, ['1x4', '1x8', '1x16', '1x32', '1x48', '4x4', '4x8', '4x16', '4x32', '4x48']);
    assert.deepEqual(
      points.map(({ elements }) => elements),
      [4, 8, 16, 32, 48],
    );
    assert.equal(bytesOf(10, 32), 10 * 32 * 16 * 1024 * 1.25);
  });

  it('stops before a run that is predicted to exceed the budget', async () => {
    let most = 0;
    const { options } = world((rows, length) => {
      const bytes = rows * length ** 2 * 16 * 1024;
      most = Math.max(most, bytes);
      return bytes;
    });
    const { bytesOf } = await measureRuns(options);
    assert.ok(most <= options.budgetBytes && most > options.budgetBytes / 16, `${most / mib} MiB`);
    assert.ok(bytesOf(48, 512) > 48 * 512 ** 2 * 16 * 1024);
  });

  it('continues where most of the memory is the same at every size, and does not predict its square', async () => {
    // Each run holds 45 MiB of unpacked weights, which do not grow with its size. If the code assumed that they grow,
    // it would predict four times as much for a run of twice the length, which exceeds the budget.
    const { options, sizes } = world((rows, length) => 45 * mib + rows * length * 64 * 1024, {
      maxFill: 256,
      maxRows: 1,
      budgetBytes: 127 * mib,
    });
    const { bytesOf } = await measureRuns(options);
    assert.equal(sizes.at(-1), '1x256');
    assert.ok(bytesOf(1, 22) < 60 * mib, String(bytesOf(1, 22) / mib));
  });

  it('continues from the known size where the model refuses half of it', async () => {
    const { options } = world((rows, length) => rows * length * 16 * 1024, { maxFill: 32, maxRows: 1 });
    const whole = options.engine;
    const engine: MeasureDeps['engine'] = {
      run: async (batch) =>
        batch.parts[0]?.['x']?.dims[1] === 4
          ? { parts: [{ kind: 'Failed', why: 'too small' }], together: true }
          : whole.run(batch),
    } as MeasureDeps['engine'];
    assert.deepEqual(
      (await measureRuns({ ...options, engine })).points.map(({ elements }) => elements),
      [8, 16, 32],
    );
  });

  it('detects memory that grows faster than the number of dependent rows', async () => {
    const { options } = world((rows) => rows ** 2 * 64, { independent: false, maxRows: 1 });
    assert.ok((await measureRuns(options)).bytesOf(30_000, 8) >= 30_000 ** 2 * 64);
  });

  it('finds no growth for dependent rows whose memory is proportional to their number', async () => {
    const { options } = world((rows, length) => rows * length * 4096, { independent: false, maxRows: 1 });
    const bytes = (await measureRuns(options)).bytesOf(1000, 8);
    assert.ok(bytes >= 1000 * 8 * 4096 && bytes < 2 * 1000 * 8 * 4096, String(bytes));
  });

  it('measures the same sizes on a node so busy that each run takes ten times as long', async () => {
    const quiet = world((rows, length) => rows * length * 4096, { maxFill: 4096 });
    await measureRuns(quiet.options);
    const { options, sizes } = world((rows, length) => rows * length * 4096, { maxFill: 4096, patienceMs: 30_000 }, 10);
    await measureRuns({ ...options, cpuMs: () => options.clock.monotonic() / 10 });
    assert.deepEqual(sizes, quiet.sizes);
  });

  it('ends after its time limit when runs take hardly any CPU time', async () => {
    const { options } = world(() => mib, { maxFill: 2 ** 17, cpuMs: () => 0 }, 10);
    const beganMs = options.clock.monotonic();
    await measureRuns(options);
    assert.ok(options.clock.monotonic() - beganMs <= options.patienceMs);
  });

  it('has no estimate when memory cannot be read', async () => {
    const { options, sizes } = world(() => 0, { readBytes: () => Promise.resolve(undefined) });
    assert.equal((await measureRuns(options)).bytesOf(1000, 1000), 0);
    assert.deepEqual(sizes, []);
  });
});
