import assert from 'node:assert/strict';
import { readWeights, toFloat32, zeroPointOf, type Manifest } from '../../../../examples/models/tfjs-weights.ts';

const manifest = (weights: Manifest['weightsManifest'][0]['weights']): Manifest => ({
  weightsManifest: [{ paths: ['shard'], weights }],
});
const quantization = { dtype: 'uint8', min: -1, scale: 0.5 };

describe('readWeights', () => {
  it('finds tensors one after another, quantised ones with a byte per element', () => {
    const shards = Uint8Array.of(
      0,
      2,
      4,
      ...new Uint8Array(Int32Array.of(7).buffer),
      ...new Uint8Array(Float32Array.of(1.5, -2).buffer),
    );
    const tensors = readWeights(
      manifest([
        { name: 'q', shape: [3], dtype: 'float32', quantization },
        { name: 'axis', shape: [], dtype: 'int32' },
        { name: 'plain', shape: [2], dtype: 'float32' },
      ]),
      shards,
    );
    assert.deepEqual([...tensors.keys()], ['q', 'axis', 'plain']);
    assert.deepEqual(Array.from(toFloat32(tensors.get('q')!)), [-1, 0, 1]);
    assert.deepEqual(Array.from(toFloat32(tensors.get('plain')!)), [1.5, -2]);
  });

  it('refuses shards that the manifest does not cover', () => {
    assert.throws(
      () => readWeights(manifest([{ name: 'q', shape: [3], dtype: 'float32', quantization }]), new Uint8Array(4)),
      /describes 3 bytes of weights, the shards hold 4/,
    );
  });

  it('refuses an unknown type', () => {
    assert.throws(
      () => readWeights(manifest([{ name: 's', shape: [1], dtype: 'string' }]), new Uint8Array(1)),
      /type string/,
    );
  });
});

describe('zeroPointOf', () => {
  const rows: readonly { name: string; min: number; scale: number; want: number | undefined }[] = [
    { name: 'is the byte for zero', min: -1, scale: 0.5, want: 2 },
    { name: 'tolerates rounding', min: -1.0001, scale: 0.5, want: 2 },
    { name: 'does not exist when zero falls between two bytes', min: -1.2, scale: 0.5, want: undefined },
    { name: 'does not exist when zero is not in the range', min: 1, scale: 0.5, want: undefined },
  ];
  for (const { name, min, scale, want } of rows) it(name, () => assert.equal(zeroPointOf({ min, scale }), want));
});
