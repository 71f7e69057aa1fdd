/**
 * The mailbox: memory through which the pool and a worker exchange small batches and their results. In this test, both
 * sides run in one thread.
 */
import assert from 'node:assert/strict';
import { MailboxReceiver, MailboxSender } from '../../../../runtime/engine/mailbox.ts';
import type { EngineBatch } from '../../../../runtime/engine/port.ts';
import { makeTensor, type NamedTensors, type Tensor } from '../../../../runtime/engine/tensor.ts';

const f32 = (dims: readonly number[], ...values: number[]): Tensor =>
  makeTensor('float32', dims, Float32Array.from(values));
const i64 = (dims: readonly number[], ...values: bigint[]): Tensor =>
  makeTensor('int64', dims, BigInt64Array.from(values));
const u8 = (dims: readonly number[], ...values: number[]): Tensor => makeTensor('uint8', dims, Uint8Array.from(values));

/** The tensors with plain lists of texts instead of typed arrays. */
function listed(tensors: NamedTensors): unknown {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { type, dims, data }]) => [name, [type, dims, [...data].map(String)]]),
  );
}

const tooLarge = makeTensor('float32', [1, 65_537], new Float32Array(65_537));

type Sides = { readonly sender: MailboxSender; readonly receiver: MailboxReceiver };

function sides(): Sides {
  const sender = new MailboxSender();
  return { sender, receiver: new MailboxReceiver(sender.memory) };
}

/** Sends the batch, and returns what the worker takes. */
function taken({ sender, receiver }: Sides, batch: EngineBatch): unknown {
  assert.equal(sender.send(batch), true);
  assert.equal(receiver.wait(0), 'batch');
  const { inputs, outputs, rows } = receiver.take();
  return { inputs: listed(inputs), outputs, rows };
}

describe('Mailbox', () => {
  it('joins the rows of the requests, each input at an offset that is aligned for its type', () => {
    const parts = [
      { a: u8([1, 3], 1, 2, 3), b: i64([1], 7n) },
      { a: u8([2, 3], 4, 5, 6, 7, 8, 9), b: i64([2], 8n, 9n) },
    ];
    assert.deepEqual(taken(sides(), { parts, outputs: ['y'] }), {
      inputs: {
        a: ['uint8', [3, 3], ['1', '2', '3', '4', '5', '6', '7', '8', '9']],
        b: ['int64', [3], ['7', '8', '9']],
      },
      outputs: ['y'],
      rows: [1, 2],
    });
  });

  it('keeps the shapes of a single request whose inputs have different numbers of rows', () => {
    const parts = [{ a: f32([1, 2], 1, 2), state: f32([2, 1], 3, 4), rate: i64([], 16n) }];
    assert.deepEqual(taken(sides(), { parts, outputs: ['y', 'next'] }), {
      inputs: {
        a: ['float32', [1, 2], ['1', '2']],
        state: ['float32', [2, 1], ['3', '4']],
        rate: ['int64', [], ['16']],
      },
      outputs: ['y', 'next'],
      rows: [0],
    });
  });

  it('sends a layout once, and again after more layouts than the worker remembers', () => {
    const both = sides();
    for (const round of [1, 2]) {
      for (let width = 1; width <= 70; width += 1) {
        const values = Array.from({ length: width }, (_, index) => index + round);
        const want = { inputs: { x: ['float32', [1, width], values.map(String)] }, outputs: ['y'], rows: [1] };
        const batch = { parts: [{ x: f32([1, width], ...values) }], outputs: ['y'] };
        assert.deepEqual(taken(both, batch), want);
        assert.deepEqual(taken(both, batch), want);
      }
    }
  });

  it('splits the outputs by the rows of the requests', () => {
    const { sender, receiver } = sides();
    taken({ sender, receiver }, { parts: [{ x: f32([1, 1], 1) }, { x: f32([2, 1], 2, 3) }], outputs: ['y', 'z'] });
    const half = new Float16Array([0.5, 1, 2]);
    assert.equal(receiver.put([f32([3, 2], 1, 2, 3, 4, 5, 6), { type: 'float16', dims: [3], data: half }], 4), true);
    const { parts, inferMs, together } = sender.take(['y', 'z']);
    assert.deepEqual([inferMs, together], [4, true]);
    assert.deepEqual(
      parts.map((part) => (part.kind === 'Done' ? listed(part.outputs) : part)),
      [
        { y: ['float32', [1, 2], ['1', '2']], z: ['float16', [1], ['14336']] },
        { y: ['float32', [2, 2], ['3', '4', '5', '6']], z: ['float16', [2], ['15360', '16384']] },
      ],
    );
  });

  it('keeps a result when the next batch overwrites the memory', () => {
    const { sender, receiver } = sides();
    const batch = { parts: [{ x: f32([1, 1], 1) }], outputs: ['y'] };
    taken({ sender, receiver }, batch);
    receiver.put([f32([1, 1], 1)], 0);
    const [first] = sender.take(['y']).parts;
    taken({ sender, receiver }, batch);
    receiver.put([f32([1, 1], 2)], 0);
    assert.deepEqual(first?.kind === 'Done' && [...(first.outputs['y']?.data ?? [])], [1]);
  });

  // prettier-ignore
  const refused: readonly [string, EngineBatch][] = [
    ['strings', { parts: [{ x: makeTensor('string', [1], ['a']) }], outputs: ['y'] }],
    ['more bytes than it has', { parts: [{ x: tooLarge }], outputs: [] }],
    ['requests of different shapes', { parts: [{ x: f32([1, 1], 1) }, { x: f32([1, 2], 1, 2) }], outputs: ['y'] }],
    ['requests with different inputs',
      { parts: [{ x: f32([1], 1) }, { x: f32([1], 1), z: f32([1], 1) }], outputs: [] }],
    ['several requests without a number of rows',
      { parts: [{ x: f32([], 1) }, { x: f32([], 2) }], outputs: ['y'] }],
  ];
  for (const [name, batch] of refused)
    it(`does not accept ${name}`, () => {
      const { sender, receiver } = sides();
      assert.equal(sender.send(batch), false);
      assert.equal(receiver.wait(0), 'else');
      assert.deepEqual(taken({ sender, receiver }, { parts: [{ x: f32([1], 5) }], outputs: ['y'] }), {
        inputs: { x: ['float32', [1], ['5']] },
        outputs: ['y'],
        rows: [1],
      });
    });

  it('does not accept outputs that exceed its memory, or outputs of strings', () => {
    const { receiver } = sides();
    assert.equal(receiver.put([tooLarge], 0), false);
    assert.equal(receiver.put([makeTensor('string', [1], ['a'])], 0), false);
  });

  it('sends a layout again when the batch with it could not be copied', () => {
    const both = sides();
    const lost = f32([1, 3], 1, 2, 3);
    structuredClone(lost.data, { transfer: [(lost.data as Float32Array<ArrayBuffer>).buffer] });
    assert.throws(() => both.sender.send({ parts: [{ x: lost }], outputs: ['y'] }));
    assert.equal(both.receiver.wait(0), 'else');
    assert.deepEqual(taken(both, { parts: [{ x: f32([1, 3], 4, 5, 6) }], outputs: ['y'] }), {
      inputs: { x: ['float32', [1, 3], ['4', '5', '6']] },
      outputs: ['y'],
      rows: [1],
    });
  });

  it('announces a message before a batch that also waits', () => {
    const { sender, receiver } = sides();
    assert.equal(sender.send({ parts: [{ x: f32([1, 1], 1) }], outputs: ['y'] }), true);
    sender.ring();
    assert.equal(receiver.wait(60_000), 'else');
    assert.equal(receiver.wait(60_000), 'batch');
    receiver.take();
    sender.ring();
    assert.equal(receiver.wait(60_000), 'else');
    assert.equal(receiver.wait(0), 'else');
  });

  it('does not accept an output whose bytes do not match its shape, or an output of an unknown type', () => {
    const { receiver } = sides();
    const data = new Float32Array(2);
    assert.equal(receiver.put([{ type: 'float32', dims: [1, 2], data }], 1), true);
    assert.equal(receiver.put([{ type: 'float32', dims: [1, 3], data }], 1), false);
    assert.equal(receiver.put([{ type: 'uint4', dims: [1, 8], data }], 1), false);
    assert.equal(receiver.put([{ type: 'float32', dims: [2 ** 32, 0], data: new Float32Array(0) }], 1), false);
  });

  it('announces each message of the pool once', () => {
    const { sender, receiver } = sides();
    sender.ring();
    assert.equal(receiver.wait(60_000), 'else');
    assert.equal(receiver.wait(0), 'else');
    sender.ring();
    assert.equal(receiver.wait(60_000), 'else');
  });
});
