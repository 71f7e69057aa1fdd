import assert from 'node:assert/strict';
import type { TensorSpec } from '../../../../../runtime/engine/signature.ts';
import { encoderInputs, pieceInputs } from '../../../../../runtime/tasks/embedding/inputs.ts';

const spec = (
  name: string,
  type: TensorSpec['type'] = 'int64',
  dims: TensorSpec['dims'] = ['batch', 'sequence'],
): TensorSpec => ({ name, type, ...(dims === undefined ? {} : { dims }) });
const bert = [spec('input_ids'), spec('attention_mask'), spec('token_type_ids')];
const tokens = { ids: Int32Array.of(7, 8, 9, 5), ends: Uint32Array.of(3, 4) };

describe('encoderInputs', () => {
  it('recognises that a model without a mask must not be padded', () => {
    assert.equal(encoderInputs({ inputs: bert, outputs: [] }).takesMask, true);
    assert.equal(encoderInputs({ inputs: [spec('input_ids')], outputs: [] }).takesMask, false);
  });

  // prettier-ignore
  const refused: readonly { name: string; inputs: readonly TensorSpec[]; why: RegExp }[] = [
    { name: 'refuses a model without token ids', inputs: [spec('x', 'float32')],
      why: /does not have the input 'input_ids'; its inputs are 'x'/ },
    { name: 'refuses an input that a text cannot provide', inputs: [...bert, spec('pixel_values')],
      why: /'pixel_values'/ },
    { name: 'refuses the inputs of a decoder with a cache', inputs: [...bert, spec('past_key_values.0.key', 'float32')],
      why:
        new RegExp(String.raw`'past_key_values\.0\.key' cannot be made from a text \(input_ids, ` +
          String.raw`attention_mask, token_type_ids, position_ids can\)`) },
    { name: 'refuses inputs of different lengths',
      inputs: [spec('input_ids', 'int64', ['batch', 8]),
        spec('attention_mask', 'int64', ['batch', 9])], why: /different lengths: 8, 9/ },
    { name: 'refuses a fixed length without a mask', inputs: [spec('input_ids', 'int64', ['batch', 8])],
      why: /always have 8 tokens, but it has no input attention_mask/ },
    { name: 'refuses an input of another type', inputs: [spec('input_ids', 'float32')], why: /'input_ids' is float32/ },
    { name: 'refuses an input of another rank', inputs: [spec('input_ids', 'int64', ['sequence'])], why: /rank 1/ },
  ];
  for (const { name, inputs, why } of refused) {
    it(name, () =>
      assert.throws(() => encoderInputs({ inputs, outputs: [] }), { code: 'MODEL_INVALID', message: why }),
    );
  }
});

describe('pieceInputs', () => {
  it('pads rows at their end and masks the padding', () => {
    const made = pieceInputs(
      encoderInputs({ inputs: bert, outputs: [] }),
      tokens,
      { rows: [1, 0], length: 3 },
      { padId: 99, firstPosition: 0 },
    );
    assert.deepEqual(made, {
      input_ids: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(5n, 99n, 99n, 7n, 8n, 9n) },
      attention_mask: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(1n, 0n, 0n, 1n, 1n, 1n) },
      token_type_ids: { type: 'int64', dims: [2, 3], data: new BigInt64Array(6) },
    });
  });

  it('sends 32-bit ids to a model that needs them', () => {
    const made = pieceInputs(
      encoderInputs({ inputs: [spec('input_ids', 'int32')], outputs: [] }),
      tokens,
      { rows: [0], length: 3 },
      { padId: 0, firstPosition: 0 },
    );
    assert.deepEqual(made, { input_ids: { type: 'int32', dims: [1, 3], data: Int32Array.of(7, 8, 9) } });
  });

  const positioned = encoderInputs({ inputs: [spec('input_ids'), spec('position_ids')], outputs: [] });
  const positions = (firstPosition: number): unknown =>
    pieceInputs(positioned, tokens, { rows: [1, 0], length: 3 }, { padId: 1, firstPosition })['position_ids']?.data;
  it('numbers the positions of each row from 0', () =>
    assert.deepEqual(positions(0), BigInt64Array.of(0n, 1n, 2n, 0n, 1n, 2n)));
  it("begins behind the padding token's position for models like RoBERTa", () =>
    assert.deepEqual(positions(2), BigInt64Array.of(2n, 1n, 1n, 2n, 3n, 4n)));

  it('pads to the fixed length of a model', () => {
    const fixed = encoderInputs({
      inputs: [spec('input_ids', 'int64', ['batch', 5]), spec('attention_mask', 'int64', ['batch', 5])],
      outputs: [],
    });
    const made = pieceInputs(fixed, tokens, { rows: [0], length: 3 }, { padId: 0, firstPosition: 0 });
    assert.deepEqual(
      [made['input_ids'], made['attention_mask']?.data],
      [
        { type: 'int64', dims: [1, 5], data: BigInt64Array.of(7n, 8n, 9n, 0n, 0n) },
        BigInt64Array.of(1n, 1n, 1n, 0n, 0n),
      ],
    );
  });
});
