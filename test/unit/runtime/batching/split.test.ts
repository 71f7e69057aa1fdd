/**
 * Splitting one request into several runs (calls of ONNX Runtime) that fit into the memory for runs. A row is
 * everything at one index of the first dimension of the inputs.
 */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { Batcher } from '../../../../runtime/batching/batcher.ts';
import type { InferenceRequest, InferenceResult } from '../../../../runtime/batching/port.ts';
import { runRoom } from '../../../../runtime/batching/room.ts';
import { CostModel } from '../../../../runtime/batching/cost-model.ts';
import { RowSplitter } from '../../../../runtime/batching/split.ts';
import { runCost, unknownRunCost, type RunCost } from '../../../../runtime/engine/run-cost.ts';
import { runMemory } from '../../../../runtime/engine/run-memory.ts';
import { makeTensor, type NamedTensors } from '../../../../runtime/engine/tensor.ts';
import { FakeEngine, type FakeModel } from '../../../support/fake-engine.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const valuesOf = ({ x }: NamedTensors): Float32Array => (x?.type === 'float32' ? x.data : new Float32Array());
const double: FakeModel = (inputs) => ({
  y: makeTensor(
    'float32',
    inputs['x']?.dims ?? [],
    valuesOf(inputs).map((value) => 2 * value),
  ),
});
const input = (rows: number, width = 2): NamedTensors => ({
  x: makeTensor(
    'float32',
    [rows, width],
    Float32Array.from({ length: rows * width }, (_, at) => at),
  ),
});
/** A run was measured to take 64 bytes per row of two elements. The prediction adds a quarter: 80 bytes per row. */
const memory = runMemory([{ elements: 2, oneBytes: 64, rowBytes: 64 }]);

const costing = (msOf: (rows: number) => number): RunCost =>
  runCost([1, 2, 4, 8, 16, 32].map((rows) => ({ rows, elements: 2, ms: msOf(rows) })));

function world({
  maxRows = 4,
  totalBytes = Infinity,
  splits = true,
  keeps = false,
  model = double,
  cost = unknownRunCost,
  slots = 1,
}: {
  maxRows?: number;
  totalBytes?: number;
  splits?: boolean;
  keeps?: boolean;
  model?: FakeModel;
  cost?: RunCost;
  slots?: number;
} = {}) {
  const engine = new FakeEngine({ model, slots });
  const limits = { maxRows, maxElements: 1000, maxDelayMs: 0, maxDepth: 2, maxRequestElements: 1000 };
  const batcher = new Batcher({
    model: 'm',
    engine,
    clock: new HandClock(),
    limits,
    news: { batch: () => {}, fellApart: () => {} },
  });
  batcher.limitMemory(runRoom(memory, totalBytes, keeps ? 2 : 1, keeps));
  batcher.useCosts(cost);
  const splitter = new RowSplitter(batcher, splits);
  const submit = (inputs: NamedTensors, more: Partial<InferenceRequest> = {}): Promise<InferenceResult> =>
    splitter.submit({ inputs, outputs: ['y'], signal: new AbortController().signal, ...more });
  const rowsRun = (): (number | undefined)[] => engine.batches.flatMap(({ parts }) => parts.map(({ x }) => x?.dims[0]));
  return { submit, rowsRun };
}

const tooLarge =
  (says: RegExp) =>
  (error: unknown): boolean =>
    error instanceof AppError && error.code === 'REQUEST_TOO_LARGE' && says.test(error.message);

describe('RowSplitter', () => {
  // prettier-ignore
  const splits: readonly {
    readonly name: string;
    readonly given: Parameters<typeof world>[0];
    readonly rows: number;
    readonly want: readonly number[];
  }[] = [
    { name: 'cuts a request at the rows of one run', given: {}, rows: 10, want: [4, 4, 2] },
    { name: 'cuts a request at the rows that fit into memory', given: { totalBytes: 200 }, rows: 5, want: [2, 2, 1] },
    { name: 'runs single rows when memory is too small for two', given: { totalBytes: 100 }, rows: 3, want: [1, 1, 1] },
    { name: 'leaves a request alone that fits', given: {}, rows: 4, want: [4] },
    { name: 'runs rows one by one that gain nothing from each other', given: { cost: costing((n) => 9 * n) }, rows: 3,
      want: [1, 1, 1] },
    { name: 'spreads rows that gain little over the workers', given: { cost: costing((n) => 1 + 4 * n), slots: 2 },
      rows: 4, want: [2, 2] },
    { name: 'keeps rows together that gain much', given: { cost: costing((n) => 10 + n), slots: 2 }, rows: 4,
      want: [4] },
    { name: 'does not let the runs of a request fill the queue for each other', given: { maxRows: 20 },
      rows: 80, want: [20, 20, 20, 20] },
    { name: 'leaves a request whole whose rows depend on each other', given: { splits: false }, rows: 10, want: [10] },
  ];
  for (const { name, given, rows, want } of splits) {
    it(name, async () => {
      const { submit, rowsRun } = world(given);
      const { outputs } = await submit(input(rows));
      assert.deepEqual(rowsRun(), want);
      assert.deepEqual(outputs['y']?.dims, [rows, 2]);
      assert.deepEqual(
        Array.from(outputs['y']?.data as Float32Array),
        Array.from({ length: rows * 2 }, (_, at) => 2 * at),
      );
    });
  }

  it('refuses a row that can never fit, with the numbers', async () => {
    await assert.rejects(
      world({ totalBytes: 70 }).submit(input(3)),
      tooLarge(
        new RegExp(
          'running 1 row with 2 elements in total needs about 80 of memory, the limit is 70: ' +
            'send fewer rows or shorter inputs',
        ),
      ),
    );
  });

  it('refuses a row above the share of one worker when sessions keep the memory of runs', async () => {
    const fits = await world({ totalBytes: 160, keeps: true }).submit(input(1));
    assert.ok(fits.outputs['y'] !== undefined);
    await assert.rejects(world({ totalBytes: 158, keeps: true }).submit(input(1)), tooLarge(/about 80 .* limit is 79/));
  });

  it('refuses rows that may not run apart and can never fit together', async () => {
    await assert.rejects(
      world({ totalBytes: 700, splits: false }).submit(input(10)),
      tooLarge(/10 rows .* about 800 of memory, the limit is 700/),
    );
  });

  it('ends the request with the first run that fails', async () => {
    const failing: FakeModel = (inputs, outputs) => {
      if (valuesOf(inputs).includes(9)) throw new Error('nine');
      return double(inputs, outputs);
    };
    await assert.rejects(world({ model: failing }).submit(input(16)), /nine/);
  });

  it('does not join outputs whose shape depends on the rows', async () => {
    const ragged: FakeModel = ({ x }) => {
      const [rows = 0] = x?.dims ?? [];
      const width = 1 + (Number(x?.data[0]) % 3);
      return { y: makeTensor('float32', [rows, width], new Float32Array(rows * width)) };
    };
    await assert.rejects(
      world({ model: ragged }).submit(input(8)),
      /shape of output 'y' depends on the rows, .*: send at most 4 rows/,
    );
  });

  it('charges the memory of the complete answer after the first runs, before the other runs', async () => {
    const charged: number[] = [];
    await world().submit(input(160), {
      hold: (bytes) => {
        charged.push(bytes);
      },
    });
    assert.deepEqual(charged, [160 * 2 * 4]);
    const { submit, rowsRun } = world();
    await assert.rejects(
      submit(input(160), {
        hold: () => {
          throw new AppError('BODIES_FULL', { limitBytes: 1 });
        },
      }),
      /bodies/,
    );
    assert.ok(rowsRun().length <= 5, `${rowsRun().length} of 40 runs`);
  });

  it('has only a few runs of a request with very many rows in progress at a time', async () => {
    let open = 0;
    let most = 0;
    const inferring = new RowSplitter(
      {
        maxRows: 1,
        maxRequestElements: Infinity,
        workers: 1,
        costs: new CostModel({ curve: unknownRunCost, mostRows: 1, isDefault: false }),
        room: runRoom(memory, Infinity, 1),
        submit: async ({ inputs }) => {
          open += 1;
          most = Math.max(most, open);
          await Promise.resolve();
          open -= 1;
          return { outputs: double(inputs, ['y']) as NamedTensors, queueMs: 1, inferMs: 1, batchRows: 1 };
        },
      },
      true,
    );
    const { outputs, inferMs } = await inferring.submit({
      inputs: input(5000),
      outputs: ['y'],
      signal: new AbortController().signal,
    });
    assert.deepEqual([most, inferMs, outputs['y']?.data.length, outputs['y']?.data[9999]], [4, 5000, 10_000, 2 * 9999]);
  });

  it('joins strings, and charges them after each run', async () => {
    const texts: FakeModel = ({ x }) => ({
      y: makeTensor(
        'string',
        [x?.dims[0] ?? 0],
        valuesOf({ x: x ?? makeTensor('float32', [0], new Float32Array()) })
          .filter((_, at) => at % 2 === 0)
          .reduce<string[]>((all, value) => [...all, `n${value}`], []),
      ),
    });
    const charged: number[] = [];
    const { outputs } = await world({ model: texts }).submit(input(6), {
      hold: (bytes) => {
        charged.push(bytes);
      },
    });
    assert.deepEqual(
      [outputs['y']?.data, charged],
      [
        ['n0', 'n2', 'n4', 'n6', 'n8', 'n10'],
        [0, 16, 10],
      ],
    );
  });

  it('ends a request whose outputs do not fit into the memory', async () => {
    let held = 0;
    const hold = (bytes: number): void => {
      held += bytes;
      if (held > 50) throw new AppError('BODIES_FULL', { limitBytes: 50 });
    };
    await assert.rejects(
      world().submit(input(16), { hold }),
      (error: unknown) => error instanceof AppError && error.code === 'BODIES_FULL',
    );
  });
});

describe('Batcher, within its memory', () => {
  it('starts a run only when its memory fits in addition to the runs under way', async () => {
    const gates: (() => void)[] = [];
    const engine = new FakeEngine({
      model: double,
      slots: 3,
      gate: () => new Promise((resolve) => gates.push(resolve)),
    });
    const batcher = new Batcher({
      model: 'm',
      engine,
      clock: new HandClock(),
      limits: { maxRows: 1, maxElements: 1000, maxDelayMs: 0, maxDepth: 8, maxRequestElements: 1000 },
      news: { batch: () => {}, fellApart: () => {} },
    });
    batcher.limitMemory(runRoom(memory, 200, 3));
    const asked = [1, 2, 3].map(() =>
      batcher.submit({ inputs: input(1), outputs: ['y'], signal: new AbortController().signal }),
    );
    assert.deepEqual([engine.batches.length, batcher.queue.depth], [2, 1]);
    gates.shift()?.();
    await asked[0];
    for (let turn = 0; turn < 20 && engine.batches.length < 3; turn += 1) await Promise.resolve();
    assert.equal(engine.batches.length, 3);
    for (const open of gates) open();
    await Promise.all(asked);
  });
});
