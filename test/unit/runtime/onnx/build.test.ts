/** ONNX Runtime must be able to load and run the models that the builder writes. */
import assert from 'node:assert/strict';
import { encodeModel, modelBytes, weight } from '../../../../runtime/onnx/build.ts';
import { inspectBytes } from '../../../../runtime/onnx/inspect.ts';
import { signatureHash, type ModelInfo } from '../../../../runtime/onnx/model-info.ts';
import { add, heavy, matmul } from '../../../support/onnx-models.ts';

describe('encodeModel', () => {
  it('gives the same bytes at every call', () => {
    assert.deepEqual(modelBytes(add()), modelBytes(add()));
  });

  it('does not copy weights', () => {
    const values = new Float32Array(2000);
    const parts = encodeModel({
      ...matmul(),
      graph: { ...matmul().graph, weights: [weight('W', 'float32', [2000], values)] },
    });
    assert.ok(parts.some((part) => part.buffer === values.buffer));
  });

  it('round-trips structure through the reader', () => {
    const info = inspectBytes(modelBytes({ ...heavy(1), domains: { 'com.microsoft': 1 } }));
    assert.deepEqual(info.opsets, { 'ai.onnx': 17, 'com.microsoft': 1 });
  });
});

describe('signatureOf', () => {
  const base: Pick<ModelInfo, 'inputs' | 'outputs'> = {
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 4] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch'] }],
  };
  // prettier-ignore
  const rows: { name: string; other: Pick<ModelInfo, 'inputs' | 'outputs'>; same: boolean }[] = [
    { name: 'equal for equal values', other: structuredClone(base), same: true },
    { name: 'different for another name', other: { ...base,
        inputs: [{ name: 'z', type: 'float32', dims: ['batch', 4] }] }, same: false },
    { name: 'different for another type', other: { ...base,
        inputs: [{ name: 'x', type: 'int64', dims: ['batch', 4] }] }, same: false },
    { name: 'different for another size', other: { ...base,
        inputs: [{ name: 'x', type: 'float32', dims: ['batch', 5] }] }, same: false },
    { name: 'different for an unknown rank and for a scalar',
      other: { ...base, inputs: [{ name: 'x', type: 'float32' }] }, same: false },
    { name: 'different when inputs become outputs', other: { inputs: base.outputs, outputs: base.inputs },
      same: false },
  ];
  for (const { name, other, same } of rows)
    it(`is ${name}`, () => assert.equal(signatureHash(other) === signatureHash(base), same));

  it('does not depend on weights', () => {
    assert.equal(
      signatureHash(inspectBytes(modelBytes(matmul(1)))),
      signatureHash(inspectBytes(modelBytes(matmul(2)))),
    );
  });

  it('has 64 hex digits', () => assert.match(signatureHash(base), /^[0-9a-f]{64}$/));
});
