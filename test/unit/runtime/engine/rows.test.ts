/** Joining requests into one run and splitting the result. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isInputsFault, joinRows, plainWords, rowsOf, runParts, splitRows } from '../../../../runtime/engine/rows.ts';
import { makeTensor, type NamedTensors } from '../../../../runtime/engine/tensor.ts';

const f32 = (dims: readonly number[], ...values: number[]) => makeTensor('float32', dims, Float32Array.from(values));

describe('joinRows and splitRows', () => {
  it('join along the first dimension, also for strings', () => {
    const joined = joinRows([
      { x: f32([1, 2], 1, 2), t: makeTensor('string', [1], ['a']) },
      { x: f32([2, 2], 3, 4, 5, 6), t: makeTensor('string', [2], ['b', 'c']) },
    ]);
    assert.deepEqual(joined, { x: f32([3, 2], 1, 2, 3, 4, 5, 6), t: makeTensor('string', [3], ['a', 'b', 'c']) });
  });

  it('split into views of one buffer', () => {
    const whole = { y: f32([3, 2], 1, 2, 3, 4, 5, 6) };
    const pieces = splitRows(whole, [1, 2]);
    assert.deepEqual(pieces, [{ y: f32([1, 2], 1, 2) }, { y: f32([2, 2], 3, 4, 5, 6) }]);
    const bufferOf = (tensor: unknown): unknown => (tensor as { readonly data: Float32Array }).data.buffer;
    assert.equal(bufferOf(pieces?.[1]?.['y']), bufferOf(whole.y));
  });

  it('do not split an output that does not have one row for each request', () =>
    assert.equal(splitRows({ y: f32([2], 1, 2) }, [1, 2]), undefined));

  it("are each other's inverse", () => {
    const part = fc
      .integer({ min: 0, max: 4 })
      .chain((rows) =>
        fc
          .array(fc.integer({ min: -99, max: 99 }), { minLength: rows * 3, maxLength: rows * 3 })
          .map((values): NamedTensors => ({ x: makeTensor('int64', [rows, 3], BigInt64Array.from(values, BigInt)) })),
      );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        assert.deepEqual(
          splitRows(
            joinRows(parts),
            parts.map((one) => rowsOf(one) ?? 0),
          ),
          parts,
        );
      }),
    );
  });
});

describe('rowsOf', () => {
  it('is the first dimension that all inputs share', () =>
    assert.equal(rowsOf({ a: f32([2, 1], 1, 2), b: f32([2], 1, 2) }), 2));
  it('is undefined where inputs differ', () => assert.equal(rowsOf({ a: f32([2], 1, 2), b: f32([1], 1) }), undefined));
  it('is undefined for scalars', () => assert.equal(rowsOf({ a: f32([], 1) }), undefined));
});

describe('runParts', () => {
  it('does not join parts that do not match, even if asked to', async () => {
    const shapes: string[] = [];
    const run = (inputs: NamedTensors): Promise<NamedTensors> => {
      shapes.push(String(inputs['x']?.dims));
      return Promise.resolve(inputs);
    };
    await runParts([{ x: f32([1, 2], 1, 2) }, { x: f32([1, 3], 1, 2, 3) }], ['x'], run, () => 0);
    assert.deepEqual(shapes, ['1,2', '1,3']);
  });
});

describe('isInputsFault', () => {
  const rows: readonly [string, boolean][] = [
    ['Got invalid dimensions for input: x for the following indices\n index: 1 Got: 5 Expected: 4', true],
    ['Invalid rank for input: x Got: 1 Expected: 2', true],
    ['indices element out of data bounds, idx=99 must be within the inclusive range [-10,9]', true],
    ['left operand cannot broadcast on dim 1', true],
    ['Invalid input shape: {48,0}', true],
    ['Tensor.dims[3] is invalid: 9.0072e+15', true],
    ['Failed to allocate memory for requested buffer of size 1', false],
    ['poisoned', false],
  ];
  for (const [message, want] of rows)
    it(`answers ${want ? 'yes' : 'no'} for: ${message.slice(0, 40)}`, () => assert.equal(isInputsFault(message), want));
});

describe('plainWords', () => {
  // prettier-ignore
  const rows: readonly [string, string][] = [
    [
      "Non-zero status code returned while running Add node. Name:'scores' Status Message: " +
        "/onnxruntime_src/onnxruntime/core/math.h:563 void onnxruntime::Init(ptrdiff_t, ptrdiff_t) axis == 1 || " +
        "axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 2 by 3\n",
      "at node 'scores' (Add): Attempting to broadcast an axis by a dimension other than 1. 2 by 3",
    ],
    [
      "Non-zero status code returned while running Gather node. Name:'words' Status Message: indices element out " +
        "of data bounds, idx=9",
      "at node 'words' (Gather): indices element out of data bounds, idx=9"],
    ['Got invalid dimensions for input: x for the following indices\n index: 1 Got: 5 Expected: 4',
      'Got invalid dimensions for input: x for the following indices index: 1 Got: 5 Expected: 4'],
    ['poisoned', 'poisoned'],
  ];
  for (const [message, want] of rows)
    it(`turns "${message.slice(0, 50)}" into: ${want.slice(0, 30)}`, () => assert.equal(plainWords(message), want));
});
