/** Checking tensors against what a model takes, and what follows from its shapes. */
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
  it('takes what fits', () => checkInputs(signature, { a: tensor(3, 2), any: tensor(1, 2, 3) }));

  // prettier-ignore
  const rows: readonly [string, Parameters<typeof checkInputs>[1], RegExp][] = [
    ['an input too many', { a: tensor(1, 2), any: tensor(1),
      b: tensor(1) }, /unknown input 'b': the model takes 'a', 'any'/],
    ['an input too few', { a: tensor(1, 2) }, /input 'any' is missing/],
    ['a name that objects have anyway', { a: tensor(1, 2), any: tensor(1),
      toString: tensor(1) }, /unknown input 'toString'/],
    ['another type', { a: makeTensor('int32', [1, 2], new Int32Array(2)),
      any: tensor(1) }, /input 'a' is int32, the model takes float32/],
    ['another rank', { a: tensor(2), any: tensor(1) }, /input 'a' has shape \[2\], the model takes \[batch,2\]/],
    ['another size', { a: tensor(1, 3), any: tensor(1) }, /input 'a' has shape \[1,3\]/],
  ];
  for (const [name, inputs, says] of rows)
    it(`refuses ${name}`, () => assert.throws(() => checkInputs(signature, inputs), says));
});

describe('chooseOutputs', () => {
  it('is all when nothing was asked for', () =>
    assert.deepEqual(
      [chooseOutputs(signature, undefined), chooseOutputs(signature, [])],
      [
        ['y', 'z'],
        ['y', 'z'],
      ],
    ));
  it('is what was asked for', () => assert.deepEqual(chooseOutputs(signature, ['z']), ['z']));
  it('says why an output that is not a tensor cannot be asked for', () => {
    assert.throws(
      () => chooseOutputs({ ...signature, otherOutputs: [{ name: 'scores', kind: 'sequence' }] }, ['z', 'scores']),
      /output 'scores' is of kind sequence, and answers carry tensors only: the model gives 'y', 'z'/,
    );
  });
  it('refuses what there is not', () =>
    assert.throws(() => chooseOutputs(signature, ['q']), /unknown output 'q': the model gives 'y', 'z'/));
});

describe('isBatchable', () => {
  const rows: readonly [string, Signature, boolean][] = [
    ['yes, with a free first dimension everywhere', { inputs: [spec('a', 'n', 2)], outputs: [spec('y', '', 2)] }, true],
    ['no, with a fixed first dimension', { inputs: [spec('a', 1, 2)], outputs: [spec('y', 1, 2)] }, false],
    ['no, with a fixed output', { inputs: [spec('a', 'n', 2)], outputs: [spec('y')] }, false],
    ['no, with an unknown rank', { inputs: [{ name: 'a', type: 'float32' }], outputs: [] }, false],
    ['no, without inputs', { inputs: [], outputs: [] }, false],
  ];
  for (const [name, given, want] of rows) it(`says ${name}`, () => assert.equal(isBatchable(given), want));
});

describe('hasFreeShape', () => {
  it('looks beyond the first dimension', () =>
    assert.deepEqual(
      [
        hasFreeShape({ inputs: [spec('a', 'n', 2)], outputs: [] }),
        hasFreeShape({ inputs: [spec('a', 1, 'n')], outputs: [] }),
      ],
      [false, true],
    ));
});
