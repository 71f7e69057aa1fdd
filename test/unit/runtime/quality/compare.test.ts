/** The metrics that compare an answer with the expected answer. */
import assert from 'node:assert/strict';
import { goldenMetricNames, goldenMetrics, isError, type GoldenMetric } from '../../../../api/golden-metrics.ts';
import type { NamedTensors, Tensor } from '../../../../runtime/engine/tensor.ts';
import { compareOutputs, meets, Score, worse } from '../../../../runtime/quality/compare.ts';

const floats = (dims: readonly number[], ...data: readonly number[]): Tensor => ({
  type: 'float32',
  dims,
  data: Float32Array.from(data),
});
const wide = (dims: readonly number[], ...data: readonly number[]): Tensor => ({
  type: 'int64',
  dims,
  data: BigInt64Array.from(data, BigInt),
});
const texts = (...data: readonly string[]): Tensor => ({ type: 'string', dims: [data.length], data });
const halves = (dims: readonly number[], ...bits: readonly number[]): Tensor => ({
  type: 'float16',
  dims,
  data: Uint16Array.from(bits),
});

type Row = {
  readonly it: string;
  readonly metric: GoldenMetric;
  readonly want: Tensor;
  readonly got: Tensor;
  readonly value: number;
  readonly note?: RegExp;
  readonly weight?: number;
};

// prettier-ignore
const rows: readonly Row[] = [
  { it: 'takes the largest error of any element', metric: 'MaxAbsError',
    want: floats([3], 1, 2, 3), got: floats([3], 1, 2.5, 2.75), value: 0.5 },
  { it: 'decodes half precision from its bits', metric: 'MaxAbsError',
    want: halves([2], 0x3c00, 0), got: halves([2], 0x3800, 0), value: 0.5 },
  { it: 'compares half precision with single', metric: 'MaxAbsError',
    want: floats([2], 1, 0), got: halves([2], 0x3c00, 0x3800), value: 0.5 },
  { it: 'compares integers as numbers', metric: 'MaxAbsError',
    want: wide([2], 7, 9), got: wide([2], 7, 12), value: 3 },
  { it: 'gives the largest error for NaN', metric: 'MaxAbsError', want: floats([2], 1, 2),
    got: floats([2], 1, NaN), value: Number.MAX_VALUE, note: /'y' is NaN instead of 2 at element 1/ },
  { it: 'accepts an infinity that the expected answer has too', metric: 'MaxAbsError',
    want: floats([2], 1, -Infinity), got: floats([2], 1, -Infinity), value: 0 },
  { it: 'takes the lowest cosine of any row', metric: 'Cosine',
    want: floats([2, 2], 1, 0, 1, 0), got: floats([2, 2], 5, 0, 3, 4), value: 0.6 },
  { it: 'treats a row of several dimensions as one vector', metric: 'Cosine',
    want: floats([1, 2, 2], 1, 0, 0, 1), got: floats([1, 2, 2], 1, 0, 0, 0), value: Math.SQRT1_2 },
  { it: 'treats a column of single numbers as one vector', metric: 'Cosine',
    want: floats([2, 1], 3, 4), got: floats([2, 1], 4, 3), value: 0.96 },
  { it: 'is 0 when one of two rows is all zeros', metric: 'Cosine',
    want: floats([1, 2], 1, 0), got: floats([1, 2], 0, 0), value: 0 },
  { it: 'is 1 for two rows of zeros', metric: 'Cosine',
    want: floats([1, 2], 0, 0), got: floats([1, 2], 0, 0), value: 1 },
  { it: 'has the worst cosine for a number that is not finite', metric: 'Cosine', want: floats([1, 2], 1, 0),
    got: floats([1, 2], Infinity, 0), value: -1, note: /is Infinity instead of 1/ },
  { it: 'has the worst cosine for another shape', metric: 'Cosine', want: floats([1, 2], 1, 0),
    got: floats([2, 1], 1, 0), value: -1, note: /has shape \[2,1\] instead of \[1,2\]/ },
  { it: 'counts vectors whose largest element is at the same index', metric: 'Top1Agreement',
    want: floats([2, 3], 0, 9, 1, 5, 0, 0), got: floats([2, 3], 1, 2, 0, 0, 5, 0), value: 0.5, weight: 2 },
  { it: 'counts each step of a sequence', metric: 'Top1Agreement', want: floats([1, 2, 2], 0, 1, 0, 1),
    got: floats([1, 2, 2], 0, 1, 1, 0), value: 0.5, weight: 2 },
  { it: 'treats integers as the labels', metric: 'Top1Agreement',
    want: wide([2, 2], 4, 5, 6, 7), got: wide([2, 2], 4, 5, 6, 0), value: 0.75, weight: 4 },
  { it: 'has no label for a vector that contains NaN', metric: 'Top1Agreement',
    want: floats([1, 2], 1, 0), got: floats([1, 2], NaN, 0), value: 0 },
  { it: 'matches answers that are equal', metric: 'ExactMatch',
    want: floats([2], 1, 2), got: floats([2], 1, 2), value: 1 },
  { it: 'does not match values that differ in one bit', metric: 'ExactMatch', want: floats([1], 1),
    got: floats([1], 1.0000001), value: 0, note: /differs at element 0: 1.000000/ },
  { it: 'does not match the same numbers of another type', metric: 'ExactMatch', want: floats([1], 1),
    got: { type: 'float64', dims: [1], data: Float64Array.of(1) }, value: 0, note: /is float64 instead of float32/ },
  { it: 'matches NaN in both', metric: 'ExactMatch',
    want: floats([1], NaN), got: floats([1], NaN), value: 1 },
  { it: 'counts words replaced, deleted and inserted', metric: 'WordErrorRate',
    want: texts('the cat sat on the mat'), got: texts('the cat sit on mat today'), value: 0.5, weight: 6 },
  { it: 'ignores white space', metric: 'WordErrorRate', want: texts('a b'), got: texts('  a\n b '), value: 0 },
  { it: 'counts every word where the expected text is empty', metric: 'WordErrorRate',
    want: texts(''), got: texts('a b c'), value: 3, weight: 1 },
  { it: 'compares the index of the largest score with the label', metric: 'Accuracy', want: wide([3], 1, 0, 2),
    got: floats([3, 3], 0, 1, 0, 1, 0, 0, 1, 0, 0), value: 2 / 3, weight: 3 },
  { it: 'compares labels with labels', metric: 'Accuracy',
    want: texts('cat', 'dog'), got: texts('cat', 'cow'), value: 0.5, weight: 2 },
  { it: 'is 0 where answers are missing', metric: 'Accuracy', want: wide([3], 1, 0, 2),
    got: floats([2, 2], 1, 0, 1, 0), value: 0, weight: 3, note: /has 2 answers for 3 labels/ },
];

describe('comparing an answer with the expected one', () => {
  for (const row of rows) {
    it(`${row.metric} ${row.it}`, () => {
      const comparison = compareOutputs(row.metric, { y: row.want }, { y: row.got });
      assert.equal(comparison.kind, 'compared');
      if (comparison.kind !== 'compared') return;
      assert.ok(Math.abs(comparison.value - row.value) < 1e-6 || comparison.value === row.value, `${comparison.value}`);
      if (row.weight !== undefined) assert.equal(comparison.weight, row.weight);
      if (row.note === undefined) assert.equal(comparison.note, undefined);
      else assert.match(comparison.note ?? '', row.note);
    });
  }

  it('has the worst value of every metric for a missing output, and ignores an output that only the answer has', () => {
    for (const metric of goldenMetricNames) {
      const comparison = compareOutputs(metric, { y: floats([1], 1) }, { z: floats([1], 1) });
      assert.ok(
        comparison.kind === 'compared' &&
          comparison.value === goldenMetrics[metric].worst &&
          comparison.note === "output 'y' is missing",
      );
    }
    const more = compareOutputs('Cosine', { y: floats([1, 2], 1, 0) }, { y: floats([1, 2], 1, 0), z: floats([1], 1) });
    assert.ok(more.kind === 'compared' && more.value === 1);
  });

  it('ExactMatch requires all outputs to match; Cosine takes the worst of them', () => {
    const want: NamedTensors = { a: floats([1, 2], 1, 0), b: floats([1, 2], 0, 1) };
    const got: NamedTensors = { a: floats([1, 2], 1, 0), b: floats([1, 2], 1, 1) };
    const exact = compareOutputs('ExactMatch', want, got);
    const cosine = compareOutputs('Cosine', want, got);
    assert.ok(exact.kind === 'compared' && exact.value === 0 && exact.weight === 1);
    assert.ok(cosine.kind === 'compared' && Math.abs(cosine.value - Math.SQRT1_2) < 1e-9);
  });

  const unfit: readonly { readonly metric: GoldenMetric; readonly want: Tensor; readonly says: RegExp }[] = [
    { metric: 'Cosine', want: texts('a'), says: /output 'y' is text; Cosine compares numbers only/ },
    { metric: 'MaxAbsError', want: texts('a'), says: /is text/ },
    { metric: 'WordErrorRate', want: floats([1], 1), says: /is not text/ },
    { metric: 'Accuracy', want: floats([1], 1), says: /needs the expected labels/ },
  ];
  for (const { metric, want, says } of unfit) {
    it(`reports that ${metric} does not fit ${want.type}`, () => {
      const comparison = compareOutputs(metric, { y: want }, { y: want });
      assert.ok(comparison.kind === 'unfit' && says.test(comparison.problem), JSON.stringify(comparison));
    });
  }
  it('does not compare without outputs', () => {
    assert.equal(compareOutputs('Cosine', {}, {}).kind, 'unfit');
  });
});

describe('the score over many answers', () => {
  const cases: readonly {
    readonly metric: GoldenMetric;
    readonly values: readonly (readonly [number, number])[];
    readonly value: number;
    readonly worst: number;
  }[] = [
    {
      metric: 'Cosine',
      values: [
        [1, 1],
        [0.7, 1],
        [0.9, 1],
      ],
      value: 0.7,
      worst: 0.7,
    },
    {
      metric: 'MaxAbsError',
      values: [
        [0.1, 1],
        [0.3, 1],
      ],
      value: 0.3,
      worst: 0.3,
    },
    {
      metric: 'Top1Agreement',
      values: [
        [1, 9],
        [0, 1],
      ],
      value: 0.9,
      worst: 0,
    },
    {
      metric: 'ExactMatch',
      values: [
        [1, 1],
        [0, 1],
      ],
      value: 0.5,
      worst: 0,
    },
    {
      metric: 'WordErrorRate',
      values: [
        [0, 8],
        [0.5, 2],
      ],
      value: 0.1,
      worst: 0.5,
    },
    {
      metric: 'Accuracy',
      values: [
        [1, 3],
        [0.5, 2],
      ],
      value: 0.8,
      worst: 0.5,
    },
  ];
  for (const { metric, values, value, worst } of cases) {
    it(`of ${metric} is ${value}, with ${worst} as the worst`, () => {
      const score = new Score(metric);
      assert.equal(score.value, undefined);
      for (const [one, weight] of values) score.add({ value: one, weight });
      assert.ok(Math.abs((score.value ?? NaN) - value) < 1e-12);
      assert.equal(score.worst, worst);
      assert.equal(worse(metric, value, worst), isError(metric) ? Math.max(value, worst) : Math.min(value, worst));
    });
  }

  it('meets a limit apart from rounding', () => {
    assert.ok(meets(0.99, { min: 0.99 }) && meets(0.98999999995, { min: 0.99 }) && !meets(0.9899, { min: 0.99 }));
    assert.ok(meets(0.02, { max: 0.02 }) && !meets(0.021, { max: 0.02 }) && meets(5, {}));
  });
});
