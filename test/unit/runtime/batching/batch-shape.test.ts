/** The best number of rows of a run (one call of ONNX Runtime), by the measured times of runs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batchShape, type BatchShape } from '../../../../runtime/batching/batch-shape.ts';

type Row = {
  readonly name: string;
  /** The time of a run of 1, 2, 4, 8, 16 and 32 rows, in milliseconds. */
  readonly ms: readonly number[];
  readonly mostRows?: number;
  readonly want: BatchShape;
};

// The times of real models, measured on one CPU.
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'an image model does not batch: more rows are slower', ms: [25, 50, 100, 208, 488, 976],
    want: { rows: 1, pays: false } },
  { name: 'an encoder with 128 tokens does not batch', ms: [39, 76, 154, 309, 650, 1300],
    want: { rows: 1, pays: false } },
  { name: 'an encoder with 32 tokens batches a little', ms: [10, 17.7, 36.4, 67.2, 134, 267],
    want: { rows: 8, pays: false } },
  { name: 'an encoder with 8 tokens batches', ms: [3.9, 5.2, 9.7, 17.3, 32.8, 65.7], want: { rows: 16, pays: true } },
  { name: 'a 33 MB MLP takes 32 rows', ms: [1.3, 1.39, 1.58, 2.42, 3.47, 6.4], want: { rows: 32, pays: true } },
  { name: 'a limit of the spec counts', ms: [1.3, 1.39, 1.58, 2.42, 3.47, 6.4], mostRows: 8,
    want: { rows: 8, pays: true } },
  { name: 'without a known cost, all rows run together', ms: [0, 0, 0, 0, 0, 0], want: { rows: 32, pays: true } },
];

describe('batchShape', () => {
  for (const { name, ms, mostRows = 32, want } of rows)
    it(name, () =>
      assert.deepEqual(
        batchShape((count) => ms[Math.log2(count)] ?? 0, mostRows),
        want,
      ),
    );

  it('has at least 95 % of the best rate of all row counts that it may choose', () => {
    const anyCost = fc.array(fc.double({ min: 0.1, max: 5, noNaN: true }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(anyCost, (steps) => {
        const ms = (count: number): number => steps.slice(0, 1 + Math.log2(count)).reduce((sum, step) => sum + step, 0);
        const { rows: chosen } = batchShape(ms, 32);
        for (const other of [1, 2, 4, 8, 16, 32]) assert.ok(chosen / ms(chosen) >= (0.95 * other) / ms(other) - 1e-9);
      }),
    );
  });
});
