/** Warming up a model, and checking whether its rows may share a run. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import type { Signature } from '../../../../runtime/engine/signature.ts';
import { makeTensor, type NamedTensors } from '../../../../runtime/engine/tensor.ts';
import { warmUp, type WarmupDeps } from '../../../../runtime/engine/warmup.ts';
import { FakeEngine, type FakeModel } from '../../../support/fake-engine.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: ['batch', 'n'] }],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch', 'n'] }],
};
const map =
  (run: (values: Float32Array, dims: readonly number[]) => Float32Array): FakeModel =>
  ({ x }: NamedTensors) => ({ y: makeTensor('float32', x?.dims ?? [], run(x?.data as Float32Array, x?.dims ?? [])) });
const doubled = map((values) => values.map((value) => 2 * value));

function given(model: FakeModel, more: Partial<WarmupDeps> = {}, slots = 1) {
  const engine = new FakeEngine({ model, slots });
  const progress: number[] = [];
  const options: WarmupDeps = {
    engine,
    signature,
    batchable: true,
    requests: 5,
    timeoutMs: 1000,
    clock: new HandClock(),
    onProgress: (done) => progress.push(done),
    stop: new AbortController().signal,
    ...more,
  };
  return { engine, progress, options };
}

describe('warmUp', () => {
  it('runs the requested number of requests', async () => {
    const { progress, options } = given(doubled, {}, 2);
    assert.deepEqual(await warmUp(options), { done: 5, batches: true, fill: 8 });
    assert.deepEqual(progress, [2, 4, 5]);
  });

  it('finds that rows are independent', async () => assert.equal((await warmUp(given(doubled).options)).batches, true));

  it('finds that rows depend on each other', async () => {
    const normalised = map((values) => {
      const total = values.reduce((sum, value) => sum + Math.abs(value), 0);
      return values.map((value) => value / total);
    });
    assert.equal((await warmUp(given(normalised).options)).batches, false);
  });

  const hidden: readonly { readonly name: string; readonly run: (values: Float32Array) => Float32Array }[] = [
    {
      name: 'a division where a value of any row is above 1',
      run: (values) => (Math.max(...values) > 1 ? values.map((value) => value / 255) : values),
    },
    {
      name: 'a scale that the largest value of all rows determines',
      run: (values) => {
        const step = Math.max(...values.map(Math.abs)) / 127;
        return values.map((value) => (step === 0 ? 0 : Math.round(value / step) * step));
      },
    },
  ];
  for (const { name, run } of hidden) {
    it(`detects ${name}, which rows of usual size do not show`, async () =>
      assert.equal((await warmUp(given(map(run)).options)).batches, false));
  }

  for (const [dependent, batches] of [
    [true, false],
    [false, true],
  ] as const)
    it(`${dependent ? 'detects' : 'does not suspect'} dependent rows in float16 outputs`, async () => {
      const halves: FakeModel = ({ x }) => {
        const values = Float16Array.from(x?.data as Float32Array);
        const largest = dependent ? Math.max(...values.map(Math.abs)) : 1;
        const scaled = values.map((value) => value / (largest + 1));
        return { y: makeTensor('float16', x?.dims ?? [], new Uint16Array(scaled.buffer)) };
      };
      assert.equal((await warmUp(given(halves).options)).batches, batches);
    });

  it('skips sizes that the model refuses on their own', async () => {
    const picky: FakeModel = (inputs, outputs) => {
      if (Math.max(...(inputs['x']?.data as Float32Array)) > 100) throw new Error('out of range');
      return doubled(inputs, outputs);
    };
    assert.equal((await warmUp(given(picky).options)).batches, true);
  });

  it('does not check rows that are dependent according to the graph', async () => {
    const { engine, options } = given(doubled, { batchable: false });
    assert.equal((await warmUp(options)).batches, false);
    assert.ok(engine.batches.every(({ parts }) => parts.length === 1));
  });

  it('detects a result that cannot be split', async () => {
    const flat: FakeModel = ({ x }) => ({ y: makeTensor('float32', [1, 1], Float32Array.of(x?.data.length ?? 0)) });
    assert.equal((await warmUp(given(flat).options)).batches, false);
  });

  it('accepts the rounding differences of another batch size', async () => {
    const noisy = map((values, dims) => values.map((value) => value * (1 + 1e-4 * (dims[0] ?? 0))));
    assert.equal((await warmUp(given(noisy).options)).batches, true);
  });

  it('does not check rows where the first dimension is fixed', async () => {
    const fixed: Signature = {
      inputs: [{ name: 'x', type: 'float32', dims: [1, 4] }],
      outputs: [{ name: 'y', type: 'float32', dims: [1, 4] }],
    };
    const { engine, options } = given(doubled, { signature: fixed, batchable: false });
    assert.deepEqual(await warmUp(options), { done: 5, batches: false, fill: 8 });
    assert.ok(engine.batches.every(({ parts }) => parts.length === 1));
  });

  it('tries sizes until the model accepts one', async () => {
    const picky: FakeModel = (inputs, outputs) => {
      if ((inputs['x']?.dims[1] ?? 0) < 32) throw new Error('too small for the kernel');
      return doubled(inputs, outputs);
    };
    assert.equal((await warmUp(given(picky).options)).done, 5);
  });

  it("reports the engine's message when the model accepts no generated input", async () => {
    const sulky: FakeModel = () => {
      throw new Error('wants a spectrogram');
    };
    assert.deepEqual(await warmUp(given(sulky).options), { done: 0, batches: true, problem: 'wants a spectrogram' });
  });

  it('fails when its time is over', async () => {
    const clock = new HandClock();
    const engine = new FakeEngine({ model: doubled, gate: () => clock.advance(300) });
    await assert.rejects(
      warmUp(given(doubled, { engine, clock }).options),
      (error: unknown) => error instanceof AppError && error.code === 'WARMUP_TIMEOUT',
    );
  });

  const endless: readonly {
    readonly name: string;
    readonly code: string;
    readonly turn: (clock: HandClock, stop: AbortController) => Promise<void>;
  }[] = [
    { name: 'fails during a run that does not end', code: 'WARMUP_TIMEOUT', turn: (clock) => clock.advance(1000) },
    {
      name: 'does not wait for a run after it was stopped',
      code: 'DRAINING',
      turn: async (_clock, stop) => stop.abort(),
    },
  ];
  for (const { name, code, turn } of endless) {
    it(name, async () => {
      const clock = new HandClock();
      const stop = new AbortController();
      const { options } = given(doubled, {
        clock,
        stop: stop.signal,
        engine: new FakeEngine({ model: doubled, gate: () => new Promise(() => {}) }),
      });
      const refused = assert.rejects(warmUp(options), { code });
      await turn(clock, stop);
      await refused;
    });
  }

  it('ends when it is stopped', async () => {
    await assert.rejects(
      warmUp(given(doubled, { stop: AbortSignal.abort() }).options),
      (error: unknown) => error instanceof AppError && error.code === 'DRAINING',
    );
  });
});
