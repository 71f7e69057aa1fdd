/**
 * The contract of sequences between a caller and an engine, for the real engine and the fake of the tests. A sequence
 * is one use of a model over many steps; a step is one run of the model. The state of a sequence stays in the engine's
 * slot, which has one worker.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { WorkerPool } from '../../../runtime/engine/pool.ts';
import type { Engine, Sequence, SequenceStep, StepResult } from '../../../runtime/engine/port.ts';
import { ProcessEngine } from '../../../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../../../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors, type Tensor } from '../../../runtime/engine/tensor.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { givenConfig } from '../../support/model-server.ts';
import { accumulator, writeModel } from '../../support/onnx-models.ts';

const stateBytes = 1000;

/** A tensor of rows with `width` numbers each; a width of 0 gives one empty row. */
const rows = (width: number, ...values: number[]): Tensor =>
  makeTensor('float32', [width === 0 ? 1 : values.length / width, width], Float32Array.from(values));

/** Computes what the model accumulator() computes. */
function accumulate({ x, past }: NamedTensors): NamedTensors {
  const [count = 0, length = 0] = past?.dims ?? [];
  const width = x?.dims[1] ?? 0;
  if (x?.dims[0] !== count) throw new Error('Concat: dimension mismatch');
  const [pasts, news] = [past?.data as Float32Array, x.data as Float32Array];
  const present = Array.from({ length: count }, (_, row) => [
    ...pasts.subarray(row * length, (row + 1) * length),
    ...news.subarray(row * width, (row + 1) * width),
  ]);
  return {
    present: rows(length + width, ...present.flat()),
    sum: rows(1, ...present.map((values) => values.reduce((sum, value) => sum + value, 0))),
  };
}

type Candidate = { readonly name: string; readonly start: (slots: number) => Promise<Engine> };

let folder = '';
const candidates: readonly Candidate[] = [
  {
    name: 'the fake',
    start: (slots) =>
      Promise.resolve(new FakeEngine({ model: accumulate, slots, stateBytes, isFatal: ({ x }) => x?.data[0] === -1 })),
  },
  {
    name: 'ONNX Runtime on worker threads',
    start: async (slots) => {
      const graphPath = await writeModel(folder, accumulator());
      const options = sessionOptions({
        ...givenConfig(),
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
        stateBytes,
        program: new URL('../../support/mortal-worker.ts', import.meta.url),
      });
    },
  },
  {
    name: 'ONNX Runtime in engine processes',
    start: async (slots) =>
      ProcessEngine.start({
        model: 'm',
        processes: slots,
        runsPerProcess: 1,
        task: {
          graphPath: await writeModel(folder, accumulator()),
          options: sessionOptions({
            ...givenConfig(),
            threads: { workers: slots, threadsPerWorker: 1, spin: 'Off' },
            signature: { inputs: [], outputs: [] },
            optimized: false,
          }),
          nice: 0,
        },
        clock: systemClock,
        logger: silentLogger,
        stateBytes,
        program: new URL('../../support/mortal-engine-process.ts', import.meta.url),
      }),
  },
];

const keep = { present: 'past' };
const withCode = (code: string) => (error: unknown) => error instanceof AppError && error.code === code;

/** The first step of a sequence, with an empty past. */
const first = (sequence: Sequence, ...x: number[]): SequenceStep => ({
  sequence,
  inputs: { x: rows(x.length, ...x), past: rows(0) },
  keep,
  outputs: ['sum'],
});
/** A later step, whose past is in the state of the sequence. */
const next = (sequence: Sequence, ...x: number[]): SequenceStep => ({
  sequence,
  inputs: { x: rows(x.length, ...x) },
  keep,
  outputs: ['sum'],
});

/** For each step, the values of one output; for a step that failed, its result. */
function valuesOf({ parts }: StepResult, output = 'sum'): readonly unknown[] {
  return parts.map((part) => (part.kind === 'Done' ? Array.from<unknown>(part.outputs[output]?.data ?? []) : part));
}

for (const { name, start } of candidates) {
  describe(`Sequences: ${name}`, function () {
    let engine: Engine;
    const opened: Sequence[] = [];
    const open = (maxBytes = 100): Sequence => {
      const sequence = engine.sequences.open({ maxBytes });
      opened.push(sequence);
      return sequence;
    };
    const step = (...steps: SequenceStep[]): Promise<StepResult> => engine.sequences.step(steps);
    /**
     * Opens two sequences in the same slot. A third sequence occupies the other slot until both are open, and is then
     * closed.
     */
    const openTwoInOneSlot = (): readonly [Sequence, Sequence] => {
      const [one, other] = [open(), open(200)];
      const two = open();
      engine.sequences.close(other);
      assert.equal(one.slot, two.slot);
      return [one, two];
    };
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sequences-'));
      engine = await start(2);
    });
    afterEach(() => {
      for (const sequence of opened.splice(0)) engine.sequences.close(sequence);
      assert.deepEqual(engine.sequences.usage, {
        sequences: 0,
        reservedBytes: 0,
        heldBytes: 0,
        limitBytes: stateBytes,
      });
    });
    after(async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('carries state from step to step', async () => {
      const sequence = open();
      assert.deepEqual(valuesOf(await step(first(sequence, 1, 2))), [[3]]);
      assert.deepEqual(valuesOf(await step(next(sequence, 10))), [[13]]);
      assert.deepEqual(valuesOf(await step(next(sequence, 100))), [[113]]);
    });

    it('does not return outputs that stay', async () => {
      const { parts } = await step(first(open(), 1));
      assert.deepEqual(parts, [{ kind: 'Done', outputs: { sum: rows(1, 1) } }]);
    });

    it('can keep an output and return it too', async () => {
      const sequence = open();
      const both = { ...first(sequence, 1, 2), outputs: ['present'] };
      assert.deepEqual(valuesOf(await step(both), 'present'), [[1, 2]]);
      assert.deepEqual(valuesOf(await step(next(sequence, 3))), [[6]]);
    });

    it('keeps state that a step does not replace', async () => {
      const sequence = open();
      await step(first(sequence, 1, 2));
      const look = { ...next(sequence, 10), keep: {} };
      assert.deepEqual(valuesOf(await step(look)), [[13]]);
      assert.deepEqual(valuesOf(await step(next(sequence, 10))), [[13]]);
    });

    it("uses a step's input instead of the state of that name", async () => {
      const sequence = open();
      await step(first(sequence, 1, 2));
      assert.deepEqual(valuesOf(await step(first(sequence, 5))), [[5]]);
    });

    it('runs steps of equal shapes together, in order, without mixing their state', async () => {
      const [one, two] = openTwoInOneSlot();
      const began = await step(first(one, 1, 2), first(two, 10, 20));
      assert.deepEqual([valuesOf(began), began.together], [[[3], [30]], true]);
      const went = await step(next(two, 100), next(one, 5));
      assert.deepEqual([valuesOf(went), went.together], [[[130], [8]], true]);
      assert.deepEqual(valuesOf(await step(next(one, 1))), [[9]]);
      assert.deepEqual(valuesOf(await step(next(two, 1))), [[131]]);
    });

    it('gives each of several rows of a sequence its own state', async () => {
      const sequence = open();
      const inputs = { x: rows(1, 1, 2), past: makeTensor('float32', [2, 0], new Float32Array()) };
      await step({ ...first(sequence), inputs });
      const { parts } = await step({ ...next(sequence), inputs: { x: rows(1, 10, 20) } });
      assert.deepEqual(parts, [{ kind: 'Done', outputs: { sum: rows(1, 11, 22) } }]);
    });

    it('runs steps of different past lengths one by one, in order', async () => {
      const [one, two] = openTwoInOneSlot();
      await step(first(one, 1, 2, 3));
      const result = await step(first(two, 10), next(one, 4));
      assert.deepEqual([valuesOf(result), result.together, result.stateBytes], [[[10], [10]], false, [4, 16]]);
    });

    it('runs steps that name different outputs one by one', async () => {
      const [one, two] = openTwoInOneSlot();
      const { parts, together } = await step(first(one, 1), {
        ...first(two, 2),
        keep: {},
        outputs: ['present', 'sum'],
      });
      assert.equal(together, false);
      assert.deepEqual(
        parts.map((part) => (part.kind === 'Done' ? Object.keys(part.outputs) : part)),
        [['sum'], ['present', 'sum']],
      );
    });

    it('leaves the state as it was when a step fails, and answers the other steps', async () => {
      const [one, two] = openTwoInOneSlot();
      await step(first(one, 1), first(two, 2));
      const wrong = { ...next(one), inputs: { x: rows(1, 5, 5) } };
      const { parts } = await step(wrong, next(two, 3));
      assert.deepEqual([parts[0]?.kind, parts[1]?.kind], ['Refused', 'Done']);
      assert.deepEqual(valuesOf(await step(next(one, 1), next(two, 1))), [[2], [6]]);
    });

    it('counts the bytes of state', async () => {
      const [one, two] = [open(100), open(300)];
      assert.notEqual(one.slot, two.slot);
      await Promise.all([step(first(one, 1, 2)), step(first(two, 1))]);
      const { usage } = engine.sequences;
      assert.deepEqual(usage, { sequences: 2, reservedBytes: 400, heldBytes: 12, limitBytes: stateBytes });
    });

    it('refuses state over the bytes of its sequence, and keeps the state from before', async () => {
      const sequence = open(8);
      await step(first(sequence, 1, 2));
      const { parts, stateBytes: held } = await step(next(sequence, 3));
      assert.equal(parts[0]?.kind, 'Refused');
      assert.match(JSON.stringify(parts[0]), /has 12 bytes; its limit is 8/);
      assert.deepEqual(held, [8]);
      const look = { ...next(sequence, 10), keep: {} };
      assert.deepEqual(valuesOf(await step(look)), [[13]]);
    });

    it('refuses a sequence that does not fit in addition to the open ones until one is closed', () => {
      const sequence = open(600);
      assert.throws(() => open(401), withCode('STATE_FULL'));
      engine.sequences.close(sequence);
      open(401);
    });

    it('refuses an amount of memory that is not a number of bytes, and still counts the others', () => {
      for (const wrong of [NaN, -1]) assert.throws(() => open(wrong), TypeError);
      open(600);
      assert.throws(() => open(401), withCode('STATE_FULL'));
    });

    it('refuses a sequence that can never fit', () =>
      assert.throws(() => open(stateBytes + 1), withCode('REQUEST_TOO_LARGE')));

    it('refuses a step of a closed sequence; closing again does nothing', async () => {
      const sequence = open();
      await step(first(sequence, 1));
      engine.sequences.close(sequence);
      engine.sequences.close(sequence);
      await assert.rejects(step(next(sequence, 1)), withCode('SEQUENCE_UNKNOWN'));
    });

    it('refuses a sequence that it did not open', async () => {
      const { id, slot } = open();
      await assert.rejects(step(first({ id, slot }, 1)), withCode('SEQUENCE_UNKNOWN'));
    });

    it('frees the state of a sequence that is closed during its step when the step ends', async () => {
      const sequence = open();
      const running = step(first(sequence, 1));
      engine.sequences.close(sequence);
      assert.equal(engine.sequences.usage.reservedBytes, 100);
      assert.deepEqual(valuesOf(await running), [[1]]);
      assert.equal(engine.sequences.usage.reservedBytes, 0);
    });

    it('refuses steps of several slots, a sequence twice, and no steps', async () => {
      const [one, two] = [open(), open()];
      await assert.rejects(step(first(one, 1), first(two, 1)), TypeError);
      await assert.rejects(step(first(one, 1), first(one, 1)), TypeError);
      await assert.rejects(step(), TypeError);
      assert.equal(engine.freeSlots, 2);
    });

    it('steps only in a free slot, tells when it is free again, and leaves the other slots to runs', async () => {
      const [one, two] = openTwoInOneSlot();
      const free = new Promise<boolean>((resolve) => engine.onFree(() => resolve(engine.sequences.isFree(one.slot))));
      const running = step(first(one, 1));
      assert.deepEqual([engine.sequences.isFree(one.slot), engine.freeSlots], [false, 1]);
      await assert.rejects(step(first(two, 1)), withCode('NOT_READY'));
      assert.equal(await free, true);
      await running;
      const inputs = { x: rows(1, 1), past: rows(1, 2) };
      const { parts } = await engine.run({ parts: [inputs], outputs: ['sum'] });
      assert.deepEqual(parts[0]?.kind === 'Done' && parts[0].outputs['sum'], rows(1, 3));
    });

    it('does not recycle the worker of an open sequence', async () => {
      const sequences = [open(), open()];
      for (const sequence of sequences) await step(first(sequence, 1));
      engine.recycle();
      for (const sequence of sequences) assert.deepEqual(valuesOf(await step(next(sequence, 1))), [[2]]);
    });

    it('loses the sequences of a worker that ends, reports it, and keeps the sequences of other workers', async () => {
      const told: (readonly Sequence[])[] = [];
      engine.sequences.onLost((lost) => told.push(lost));
      const [stepped, other] = [open(), open(200)];
      const waiting = open();
      assert.equal(waiting.slot, stepped.slot);
      await step(first(waiting, 1));
      await step(first(other, 1));
      await assert.rejects(step(first(stepped, -1)), withCode('ENGINE_LOST'));
      assert.deepEqual(told, [[stepped, waiting]]);
      assert.equal(engine.sequences.usage.reservedBytes, 200);
      for (const lost of told.flat()) await assert.rejects(step(next(lost, 1)), withCode('SEQUENCE_LOST'));
      assert.deepEqual(valuesOf(await step(next(other, 1))), [[2]]);
    });

    it('opens sequences again once a worker that ended is replaced', async () => {
      const lost = open();
      await assert.rejects(step(first(lost, -1)), withCode('ENGINE_LOST'));
      while (!engine.sequences.isFree(lost.slot)) await new Promise((resolve) => setTimeout(resolve, 10));
      const again = [open(), open()].find(({ slot }) => slot === lost.slot);
      assert.deepEqual(valuesOf(await step(first(again as Sequence, 7))), [[7]]);
    });

    it('ends steps in progress before it closes, and takes none after', async () => {
      const closing = await start(1);
      const sequence = closing.sequences.open({ maxBytes: 100 });
      const running = closing.sequences.step([first(sequence, 1)]);
      const closed = closing.close();
      assert.deepEqual(valuesOf(await running), [[1]]);
      await closed;
      await assert.rejects(closing.sequences.step([next(sequence, 1)]), withCode('NOT_READY'));
      assert.throws(() => closing.sequences.open({ maxBytes: 1 }), withCode('NOT_READY'));
    });
  });
}
