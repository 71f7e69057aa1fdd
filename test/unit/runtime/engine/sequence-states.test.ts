/**
 * Which buffers a worker keeps for its sequences, and when it releases them. A sequence is one use of a model over many
 * runs; its state stays in the worker between the runs.
 */
import assert from 'node:assert/strict';
import type { WorkerStep } from '../../../../runtime/engine/messages.ts';
import { SequenceStates } from '../../../../runtime/engine/sequence-states.ts';
import { makeTensor, type NamedTensors, type Tensor } from '../../../../runtime/engine/tensor.ts';

/** A session with two outputs that both return x and share one buffer. `seen` has the inputs of every run. */
function given(...ids: number[]) {
  const states = new SequenceStates();
  for (const id of ids) states.hear({ kind: 'open', id, maxBytes: 100 });
  const seen: NamedTensors[] = [];
  const step = (...steps: WorkerStep[]) =>
    states.step(
      steps,
      (inputs, outputs) => {
        seen.push(inputs);
        const { x } = inputs;
        return Promise.resolve(x === undefined ? {} : Object.fromEntries(outputs.map((name) => [name, x])));
      },
      () => 0,
    );
  return { states, seen, step };
}

const look = (id: number): WorkerStep => ({ id, inputs: {}, keep: {}, outputs: [] });
const put = (id: number, value: number, outputs: readonly string[] = []): WorkerStep => ({
  id,
  inputs: { x: makeTensor('float32', [1, 1], Float32Array.of(value)) },
  keep: { present: 'past' },
  outputs,
});
const bufferOf = ({ past }: NamedTensors = {}): ArrayBufferLike | undefined =>
  past !== undefined && past.type !== 'string' ? past.data.buffer : undefined;

describe('SequenceStates', () => {
  it('keeps an output without a copy', async () => {
    const { seen, step } = given(1);
    const first = put(1, 5);
    await step(first);
    await step(look(1));
    assert.equal(seen[1]?.['past'], first.inputs['x']);
  });

  it('copies state that shares its buffer with a returned output', async () => {
    const { seen, step } = given(1);
    const first = put(1, 5, ['sum']);
    await step(first);
    await step(look(1));
    assert.deepEqual(seen[1]?.['past'], first.inputs['x']);
    assert.notEqual(bufferOf(seen[1]), bufferOf({ past: first.inputs['x'] as Tensor }));
  });

  it('gives each sequence of a joined run a buffer of its own size', async () => {
    const { seen, step } = given(1, 2);
    const { together } = await step(put(1, 5), put(2, 6));
    await step(look(1));
    await step(look(2));
    assert.equal(together, true);
    assert.deepEqual(
      seen.slice(1).map((inputs) => bufferOf(inputs)?.byteLength),
      [4, 4],
    );
  });

  it('has nothing left of a sequence that was closed and opened again', async () => {
    const { states, seen, step } = given(1);
    await step(put(1, 5));
    states.hear({ kind: 'close', id: 1 });
    await assert.rejects(step(look(1)), /sequence 1 is not open in this worker/);
    states.hear({ kind: 'open', id: 1, maxBytes: 100 });
    await step(look(1));
    assert.deepEqual(seen[1], {});
  });

  it('fails only the step of a sequence that is closed during the run', async () => {
    const { states, seen, step } = given(1, 2);
    const running = step(put(1, 5), put(2, 6));
    states.hear({ kind: 'close', id: 1 });
    const { parts, stateBytes } = await running;
    assert.deepEqual(parts, [
      { kind: 'Failed', why: 'sequence 1 was closed during the step' },
      { kind: 'Done', outputs: {} },
    ]);
    assert.deepEqual(stateBytes, [0, 4]);
    await step(look(2));
    assert.deepEqual(seen[1]?.['past'], makeTensor('float32', [1, 1], Float32Array.of(6)));
  });

  it('fails a step whose output was not produced', async () => {
    const { step } = given(1);
    const { parts } = await step({ ...look(1), keep: { present: 'past' } });
    assert.deepEqual(parts, [{ kind: 'Failed', why: "output 'present' was not produced" }]);
  });
});
