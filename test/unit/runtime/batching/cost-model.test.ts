/** The cost of runs, corrected by the runs of real requests. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CostModel } from '../../../../runtime/batching/cost-model.ts';
import { runCost, unknownRunCost, type RunCost } from '../../../../runtime/engine/run-cost.ts';

const curveOf = (msOf: (rows: number) => number): RunCost =>
  runCost([1, 2, 4, 8, 16, 32].map((rows) => ({ rows, elements: 100, ms: msOf(rows) })));
const modelOf = (curve: RunCost, mostRows = 32, isDefault = true): CostModel =>
  new CostModel({ curve, mostRows, isDefault });
const about = (value: number, wanted: number, share = 0.05): void =>
  assert.ok(Math.abs(value - wanted) <= wanted * share, `${value}, not about ${wanted}`);

describe('CostModel', () => {
  const limits: readonly { name: string; curve: RunCost; isDefault: boolean; want: number }[] = [
    { name: 'without a curve and without a limit of the spec', curve: unknownRunCost, isDefault: true, want: 8 },
    { name: 'without a curve, with a limit of the spec', curve: unknownRunCost, isDefault: false, want: 32 },
    { name: 'with a curve that gains from more rows', curve: curveOf((n) => 10 + n), isDefault: true, want: 32 },
  ];
  for (const { name, curve, isDefault, want } of limits)
    it(`joins up to ${want} rows ${name}`, () => {
      const model = modelOf(curve, 32, isDefault);
      assert.deepEqual([model.mostRows, model.shapeOf(100).rows], [want, want]);
    });

  it('follows the pace of the machine', () => {
    const model = modelOf(curveOf((n) => 10 * n));
    assert.equal(model.msOf(2, 100), 20);
    for (let run = 0; run < 100; run += 1) model.learn(2, 100, 60);
    about(model.msOf(2, 100), 60);
    about(model.msOf(1, 100), 30, 0.15);
    for (let run = 0; run < 100; run += 1) model.learn(2, 100, 20);
    about(model.msOf(2, 100), 20);
  });

  it('keeps joining rows although batches only ran while the machine was busy and all runs were slow', () => {
    const model = modelOf(curveOf((n) => 10 + n));
    for (let period = 0; period < 20; period += 1) {
      for (let run = 0; run < 50; run += 1) model.learn(1, 100, 11);
      for (let run = 0; run < 50; run += 1) model.learn(16, 100, 2 * 26);
    }
    assert.deepEqual(model.shapeOf(100), { rows: 32, pays: true });
  });

  it('learns that rows gain nothing, though the curve says that they do', () => {
    const model = modelOf(curveOf((n) => 10 + 2 * n));
    assert.ok(model.shapeOf(100).pays);
    for (let run = 0; run < 600; run += 1) {
      const rows = [1, 2, 4, 8][run % 4]!;
      model.learn(rows, 100, 12 * rows);
    }
    assert.ok(model.msOf(8, 100) > 5 * model.msOf(1, 100), `${model.msOf(8, 100)} of ${model.msOf(1, 100)}`);
  });

  it('is hardly changed by one run that the machine delayed', () => {
    const model = modelOf(curveOf((n) => 10 * n));
    model.learn(1, 100, 10_000);
    assert.ok(model.msOf(1, 100) < 16);
  });

  it('learns the cost of a model that could not be measured', () => {
    const model = modelOf(unknownRunCost);
    assert.equal(model.msOf(1, 100), 0);
    for (let run = 0; run < 50; run += 1) model.learn(4, 100, 40);
    about(model.msOf(4, 100), 40);
    assert.deepEqual(model.shapeOf(100), { rows: 8, pays: true });
  });

  it('joins no rows once they are known to depend on each other', () => {
    const model = modelOf(curveOf((n) => 10 + n));
    assert.equal(model.shapeOf(100).rows, 32);
    model.limitRows(1);
    assert.deepEqual([model.mostRows, model.shapeOf(100).rows], [1, 1]);
  });

  it('predicts a finite, positive time after any runs', () => {
    const run = fc.record({
      rows: fc.integer({ min: 1, max: 5000 }),
      elements: fc.double({ min: 0, max: 1e12, noNaN: true }),
      ms: fc.double({ min: 0, max: 1e7, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 50 }), fc.boolean(), (runs, known) => {
        const model = modelOf(known ? curveOf((n) => 10 + n) : unknownRunCost);
        for (const { rows, elements, ms } of runs) model.learn(rows, elements, ms);
        for (const { rows, elements } of runs) {
          const predicted = model.msOf(rows, elements);
          assert.ok(predicted > 0 && Number.isFinite(predicted), String(predicted));
          assert.ok(model.shapeOf(elements).rows >= 1);
        }
      }),
    );
  });
});
