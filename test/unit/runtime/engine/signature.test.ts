/** Checking tensors against a model's signature, and properties of its shapes. */
import assert from 'node:assert/strict';
import {
  checkInputs,
  chooseOutputs,
  hasFreeShape,
  isBatchable,
  type Signature,
  type TensorSpec,
} from '../../../../runtime/engine/signature.ts';
import { makeTensor } from '../../../../runtime/engine/tensor.ts';

const spec = (name: string, ...dims: readonly (number | string)[]): TensorSpec => ({ name, type: 'float32', dims });
const tensor = (...dims: readonly number[]) =>
  makeTensor('float32', dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
const signature: Signature = {
  inputs: [spec('a', 'batch', 2), { name: 'any', type: 'float32' }],
  outputs: [spec('y', 'batch', 1), spec('z', 'batch')],
};

describe('checkInputs', () => {
  it('accepts matching inputs', () => checkInputs(signature, { a: tensor(3, 2), any: tensor(1, 2, 3) }));

  // prettier-ignore
  const rows: readonly [string, Parameters<typeof checkInputs>[1], RegExp][] = [
    ['an extra input', { a: tensor(1, 2), any: tensor(1),
      b: tensor(1) }, /unknown input 'b': the model's inputs are 'a', 'any'/],
    ['a missing input', { a: tensor(1, 2) }, /input 'any' is missing/],
    ['a name that every JavaScript object has', { a: tensor(1, 2), any: tensor(1),
      toString: tensor(1) }, /unknown input 'toString'/],
    ['another type', { a: makeTensor('int32', [1, 2], new Int32Array(2)),
      any: tensor(1) }, /input 'a' is int32, expected float32/],
    ['another rank', { a: tensor(2), any: tensor(1) }, /input 'a' has shape \[2\], expected \[batch,2\]/],
    ['another size', { a: tensor(1, 3), any: tensor(1) }, /input 'a' has shape \[1,3\]/],
  ];
  for (const [name, inputs, says] of rows)
    it(`refuses ${name}`, () => assert.throws(() => checkInputs(signature, inputs), says));
});

describe('chooseOutputs', () => {
  it('is all outputs when the request names none', () =>
    assert.deepEqual(
      [chooseOutputs(signature, undefined), chooseOutputs(signature, [])],
      [
        ['y', 'z'],
        ['y', 'z'],
      ],
    ));
  it('is the outputs that the request names', () => assert.deepEqual(chooseOutputs(signature, ['z']), ['z']));
  it('explains why an output that is not a tensor cannot be requested', () => {
    assert.throws(
      () => chooseOutputs({ ...signature, otherOutputs: [{ name: 'scores', kind: 'sequence' }] }, ['z', 'scores']),
      /output 'scores' is of kind sequence, but answers carry tensors only: the model's outputs are 'y', 'z'/,
    );
  });
  it('refuses unknown outputs', () =>
    assert.throws(() => chooseOutputs(signature, ['q']), /unknown output 'q': the model's outputs are 'y', 'z'/));
});

describe('isBatchable', () => {
  const rows: readonly [string, Signature, boolean][] = [
    ['yes, with a free first dimension everywhere', { inputs: [spec('a', 'n', 2)], outputs: [spec('y', '', 2)] }, true],
    ['no, with a fixed first dimension', { inputs: [spec('a', 1, 2)], outputs: [spec('y', 1, 2)] }, false],
    ['no, with a fixed output', { inputs: [spec('a', 'n', 2)], outputs: [spec('y')] }, false],
    ['no, with an unknown rank', { inputs: [{ name: 'a', type: 'float32' }], outputs: [] }, false],
    ['no, without inputs', { inputs: [], outputs: [] }, false],
  ];
  for (const [name, given, want] of rows) it(`is ${name}`, () => assert.equal(isBatchable(given), want));
});

describe('hasFreeShape', () => {
  it('ignores the first dimension', () =>
    assert.deepEqual(
      [
        hasFreeShape({ inputs: [spec('a', 'n', 2)], outputs: [] }),
        hasFreeShape({ inputs: [spec('a', 1, 'n')], outputs: [] }),
      ],
      [false, true],
    ));
});
