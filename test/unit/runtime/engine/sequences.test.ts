/**
 * What the sequences (uses of a model over many runs, with state) send to the slots of an engine. Each slot has one
 * worker. test/conformance/engine tests the rules that every engine follows.
 */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import type { SequenceNews } from '../../../../runtime/engine/messages.ts';
import type { Sequence, SequenceStep, StepResult } from '../../../../runtime/engine/port.ts';
import { SlotSequences } from '../../../../runtime/engine/sequences.ts';

function given(step: () => Promise<StepResult> = () => Promise.reject(new Error('not expected'))) {
  const told: [number, SequenceNews][] = [];
  const sequences = new SlotSequences({
    model: 'm',
    limitBytes: 100,
    openSlots: () => [0, 1],
    isFree: () => true,
    tell: (slot, news) => void told.push([slot, news]),
    step,
  });
  return { sequences, told };
}

const stepOf = (sequence: Sequence): SequenceStep => ({ sequence, inputs: {}, keep: {}, outputs: [] });

describe('SlotSequences', () => {
  it('opens a sequence where the fewest bytes are reserved', () => {
    const { sequences } = given();
    const slots = [30, 10, 10, 20].map((maxBytes) => sequences.open({ maxBytes }).slot);
    assert.deepEqual(slots, [0, 1, 1, 1]);
  });

  it("tells the slot's worker that a sequence is opened and closed", () => {
    const { sequences, told } = given();
    const sequence = sequences.open({ maxBytes: 30 });
    sequences.close(sequence);
    sequences.close(sequence);
    assert.deepEqual(told, [
      [0, { kind: 'open', id: 1, maxBytes: 30 }],
      [0, { kind: 'close', id: 1 }],
    ]);
  });

  it('tells the worker of a close only when the step has ended', async () => {
    const { promise, resolve } = Promise.withResolvers<StepResult>();
    const { sequences, told } = given(() => promise);
    const sequence = sequences.open({ maxBytes: 30 });
    const running = sequences.step([stepOf(sequence)]);
    sequences.close(sequence);
    assert.equal(told.length, 1);
    await assert.rejects(sequences.step([stepOf(sequence)]), { code: 'SEQUENCE_UNKNOWN' });
    resolve({ parts: [], inferMs: 0, together: true, stateBytes: [4] });
    await running;
    assert.deepEqual(told[1], [0, { kind: 'close', id: 1 }]);
  });

  it('loses the sequences of a step that the worker could not answer', async () => {
    const { sequences, told } = given(() => Promise.reject(new AppError('ENGINE_FAILED', { model: 'm', why: 'x' })));
    const [sequence] = [sequences.open({ maxBytes: 30 }), sequences.open({ maxBytes: 30 })];
    const lost: Sequence[] = [];
    sequences.onLost((news) => lost.push(...news));
    await assert.rejects(sequences.step([stepOf(sequence)]), { code: 'ENGINE_FAILED' });
    assert.deepEqual([lost, sequences.usage.reservedBytes], [[sequence], 30]);
    assert.deepEqual(told.at(-1), [0, { kind: 'close', id: 1 }]);
    await assert.rejects(sequences.step([stepOf(sequence)]), { code: 'SEQUENCE_LOST' });
  });

  it('keeps the sequences of a step with a buffer that was already transferred', async () => {
    const { sequences } = given(() => Promise.reject(new DOMException('detached', 'DataCloneError')));
    const sequence = sequences.open({ maxBytes: 30 });
    await assert.rejects(sequences.step([stepOf(sequence)]), /detached/);
    assert.equal(sequences.holds(sequence.slot), true);
  });
});
