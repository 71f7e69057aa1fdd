/** Predicting the time of runs from measured runs. */
import assert from 'node:assert/strict';
import { runCost, type CostPoint } from '../../../../runtime/engine/run-cost.ts';

const points = (elements: number, ms: readonly number[]): readonly CostPoint[] =>
  ms.map((value, step) => ({ elements, rows: 2 ** step, ms: value }));
const two = runCost([...points(100, [10, 12, 16, 24]), ...points(400, [40, 80, 160])]);

describe('runCost', () => {
  const times: readonly { name: string; rows: number; elements: number; want: number }[] = [
    { name: 'a measured size', rows: 4, elements: 100, want: 16 },
    { name: 'rows between measured rows', rows: 3, elements: 100, want: 14 },
    { name: 'more rows than measured', rows: 16, elements: 100, want: 40 },
    { name: 'a row between measured rows in size', rows: 1, elements: 250, want: 25 },
    { name: 'a smaller row than measured', rows: 1, elements: 1, want: 10 },
    { name: 'a larger row than measured', rows: 2, elements: 1200, want: 240 },
  ];
  for (const { name, rows, elements, want } of times)
    it(`predicts ${name}`, () => assert.equal(two.msOf(rows, elements), want));

  const trusts: readonly { name: string; ms: readonly number[]; want: number }[] = [
    { name: 'the limit, when the last doubling gained', ms: [10, 12, 14], want: 32 },
    { name: 'the measured rows, when the last doubling gained nothing', ms: [10, 19, 38], want: 4 },
  ];
  for (const { name, ms, want } of trusts)
    it(`trusts the curve up to ${name}`, () => assert.equal(runCost(points(100, ms)).trustedRows(100, 32), want));

  it('does not believe that more rows take less time', () =>
    assert.equal(runCost(points(100, [10, 9, 30])).msOf(2, 100), 10));
  it('leaves out a size of which only one row ran', () =>
    assert.deepEqual(runCost([...points(100, [10, 12]), ...points(400, [40])]).points, points(100, [10, 12])));
  it('predicts nothing without runs', () => {
    const none = runCost([]);
    assert.deepEqual([none.msOf(4, 4), none.trustedRows(4, 32)], [0, 32]);
  });
});
