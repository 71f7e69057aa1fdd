/** Pooling: the vectors of a row's tokens become one vector. A row is one text; padding follows its tokens. */
import assert from 'node:assert/strict';
import type { Pooling } from '../../../../../api/runtime-config.ts';
import type { Tensor } from '../../../../../runtime/engine/tensor.ts';
import { vectorsOf } from '../../../../../runtime/tasks/embedding/vectors.ts';

/** Two rows of three tokens with two numbers each; the second row has one token and two of padding. */
const tokens: Tensor = {
  type: 'float32',
  dims: [2, 3, 2],
  data: Float32Array.of(1, 2, 3, 4, 5, 9, 7, 8, 90, 90, 90, 90),
};
const lengths = [3, 1];

type Row = {
  name: string;
  output: Tensor;
  pooling: Pooling;
  normalize?: boolean;
  lengths?: readonly number[];
  want: readonly (readonly number[])[];
};

// prettier-ignore
const rows: Row[] = [
  { name: 'averages the tokens without padding', output: tokens, pooling: 'Mean', want: [[3, 5], [7, 8]] },
  { name: 'takes the first token', output: tokens, pooling: 'Cls', want: [[1, 2], [7, 8]] },
  { name: 'takes the last token before padding', output: tokens, pooling: 'Last', want: [[5, 9], [7, 8]] },
  { name: 'returns a pooled output unchanged',
    output: { type: 'float32', dims: [2, 2], data: Float32Array.of(
      3, 4, 0, 2) }, pooling: 'None', want: [[3, 4], [0, 2]] },
  { name: 'scales to length 1', output: { type: 'float32', dims: [2, 2],
      data: Float32Array.of(3, 4, 0, 2) }, pooling: 'None', normalize: true, want: [[0.6, 0.8], [0, 1]] },
  { name: 'does not scale a vector of zeros', output: { type: 'float32', dims: [1, 2],
      data: Float32Array.of(0, 0) }, pooling: 'None', normalize: true, lengths: [1], want: [[0, 0]] },
  { name: 'reads double precision', output: { type: 'float64', dims: [1, 2],
      data: Float64Array.of(3, 4) }, pooling: 'None', lengths: [1], want: [[3, 4]] },
  // 0x3c00 is 1.0 and 0xc000 is -2.0 in half precision.
  { name: 'reads half precision', output: { type: 'float16', dims: [1, 2],
      data: Uint16Array.of(0x3c00, 0xc000) }, pooling: 'None', lengths: [1], want: [[1, -2]] },
];

describe('vectorsOf', () => {
  for (const { name, output, pooling, normalize = false, lengths: given = lengths, want } of rows) {
    it(name, () => {
      const vectors = vectorsOf(output, 'y', { pooling, normalize, lengths: given });
      assert.deepEqual(
        vectors.map((vector) => Array.from(vector)),
        want.map((vector) => vector.map(Math.fround)),
      );
    });
  }

  it('refuses an output of another rank than the pooling needs', () => {
    assert.throws(
      () => vectorsOf(tokens, 'y', { pooling: 'None', normalize: true, lengths }),
      /output 'y' has shape \[2,3,2\], but pooling None of 2 rows needs \[rows, hidden\]/,
    );
  });

  it('refuses an output of fewer rows than were sent', () => {
    assert.throws(() => vectorsOf(tokens, 'y', { pooling: 'Mean', normalize: true, lengths: [3, 3, 3] }), /of 3 rows/);
  });

  it('refuses an output that is not a float', () => {
    assert.throws(
      () =>
        vectorsOf({ type: 'int32', dims: [1, 1], data: Int32Array.of(1) }, 'y', {
          pooling: 'None',
          normalize: true,
          lengths: [1],
        }),
      /int32/,
    );
  });

  for (const odd of [NaN, Infinity]) {
    it(`refuses a vector with ${odd} in it, scaled or not`, () => {
      for (const normalize of [true, false]) {
        assert.throws(
          () =>
            vectorsOf({ type: 'float32', dims: [1, 2], data: Float32Array.of(1, odd) }, 'y', {
              pooling: 'None',
              normalize,
              lengths: [1],
            }),
          /output 'y' contains numbers that are not finite/,
        );
      }
    });
  }
});
