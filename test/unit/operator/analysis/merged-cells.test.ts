import assert from 'node:assert/strict';
import fc from 'fast-check';
import { historyBefore, historyBlocks, noiseOf } from '../../../../operator/analysis/history.ts';
import { judge } from '../../../../operator/analysis/judge.ts';
import { cellsOf, emptyLedger, fold, lostBlocks, type Ledger } from '../../../../operator/analysis/ledger.ts';
import { evidenceOf, lookAt } from '../../../../operator/analysis/look.ts';
import { blocksByPod, mergedCells } from '../../../../operator/analysis/merged-cells.ts';
import { limitsOf, planOf } from '../../../../operator/analysis/plan.ts';
import { assertAlmostEqual } from '../../../support/almost-equal.ts';
import { reportsOfPods, type Shape } from '../../../support/block-reports.ts';

const first = 3000;
const plan = planOf({
  latency: [
    { name: 'p95', quantile: '0.95', maxIncrease: '15%' },
    { name: 'p50', quantile: '0.5', maxIncrease: '10%' },
    { name: 'slo', quantile: '0.99', max: '80ms' },
  ],
  errors: { maxIncrease: '0.5%', max: '2%' },
  quality: { min: '0.9' },
});

function ledgerOf(candidate: Shape, stable: Shape): Ledger {
  return [...reportsOfPods('candidate', candidate), ...reportsOfPods('stable', stable)].reduce(fold, emptyLedger);
}

const shapes = fc
  .record({
    factor: fc.constantFrom(0.7, 1, 1.2, 1.6),
    failures: fc.constantFrom(0, 0.01, 0.06),
    pods: fc.integer({ min: 1, max: 4 }),
    perBlock: fc.constantFrom(0, 3, 40),
    seed: fc.nat({ max: 1000 }),
  })
  .map((one) => ({ ...one, first, blocks: 12, disagree: 0.1 }));

describe('merged cells', () => {
  it('give the same verdicts, bounds and forecasts as single cells', () => {
    fc.assert(
      fc.property(
        shapes,
        shapes,
        fc.array(fc.integer({ min: first, max: first + 11 }), { maxLength: 3 }),
        (candidate, stable, lost) => {
          const ledger = ledgerOf(candidate, stable);
          const span = { first: first + 1, last: first + 10, lost };
          const merged = {
            candidate: mergedCells(ledger, 'candidate', span),
            stable: mergedCells(ledger, 'stable', span),
          };
          const common = {
            firstBlock: span.first,
            heardUntil: { candidate: span.last, stable: span.last + 7 },
            lostBlocks: lost,
            loadIsEqual: true,
          };
          const whole = evidenceOf({
            ...common,
            cells: { candidate: cellsOf(ledger, 'candidate'), stable: cellsOf(ledger, 'stable') },
          });
          const summed = evidenceOf({
            ...common,
            cells: { candidate: merged.candidate.blocks, stable: merged.stable.blocks },
            pods: { candidate: merged.candidate.pods, stable: merged.stable.pods },
          });
          assertAlmostEqual(judge(plan, summed), judge(plan, whole));
          assertAlmostEqual(lookAt(plan, summed, 'Pass'), lookAt(plan, whole, 'Pass'));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('give the same results except for rounding with several classes', () => {
    const classes = [
      [16, 20],
      [64, 9],
    ] as const;
    const ledger = ledgerOf(
      { first, blocks: 12, pods: 3, perBlock: 0, factor: 1.2, failures: 0.01, seed: 4, classes },
      {
        first,
        blocks: 12,
        pods: 2,
        perBlock: 0,
        factor: 1,
        failures: 0.01,
        seed: 5,
        classes: [
          [16, 5],
          [64, 30],
        ],
      },
    );
    const span = { first, last: first + 11 };
    const merged = { candidate: mergedCells(ledger, 'candidate', span), stable: mergedCells(ledger, 'stable', span) };
    const common = { firstBlock: first, heardUntil: { candidate: span.last, stable: span.last }, loadIsEqual: true };
    const whole = judge(
      plan,
      evidenceOf({ ...common, cells: { candidate: cellsOf(ledger, 'candidate'), stable: cellsOf(ledger, 'stable') } }),
    );
    const summed = judge(
      plan,
      evidenceOf({
        ...common,
        cells: { candidate: merged.candidate.blocks, stable: merged.stable.blocks },
        pods: { candidate: merged.candidate.pods, stable: merged.stable.pods },
      }),
    );
    summed.forEach((gate, i) => {
      const other = whole[i];
      assert.equal(gate.verdict, other?.verdict);
      assert.equal(gate.candidateRequests, other?.candidateRequests);
      for (const bound of ['estimate', 'lower', 'upper'] as const)
        if (gate[bound] !== null)
          assert.ok(Math.abs((gate[bound] ?? 0) - (other?.[bound] ?? NaN)) < 1e-9, `${gate.gate} ${bound}`);
    });
  });

  it('give the same noise history as single cells', () => {
    const ledger = reportsOfPods('stable', {
      first: first - 60,
      blocks: 70,
      pods: 3,
      perBlock: 90,
      factor: 1,
      failures: 0,
      seed: 8,
    }).reduce(fold, emptyLedger);
    const span = { first: first - historyBlocks, last: first - 1 };
    for (const quantile of [0.5, 0.95]) {
      const learnt = noiseOf(blocksByPod(ledger, 'stable', span))(quantile);
      assert.ok(learnt.minutes > 0);
      assert.deepEqual(learnt, historyBefore(first, cellsOf(ledger, 'stable'))(quantile));
    }
    assert.deepEqual(lostBlocks(ledger, ['stable']), []);
  });
});

describe('a candidate that has all the traffic', () => {
  const ledger = ledgerOf(
    { first, blocks: 13, pods: 2, perBlock: 60, factor: 1, failures: 0, seed: 3 },
    { first, blocks: 13, pods: 1, perBlock: 0, factor: 1, failures: 0, seed: 3 },
  );
  const span = { first, last: first + 12 };
  const merged = { candidate: mergedCells(ledger, 'candidate', span), stable: mergedCells(ledger, 'stable', span) };
  const known = {
    cells: { candidate: merged.candidate.blocks, stable: merged.stable.blocks },
    pods: { candidate: merged.candidate.pods, stable: merged.stable.pods },
    firstBlock: first,
    loadIsEqual: true,
  };

  it('must keep its limits, by its own requests and blocks', () => {
    const alone = evidenceOf({ ...known, heardUntil: { candidate: span.last, stable: first - 1 }, alone: true });
    assert.deepEqual(
      limitsOf(plan).gates.map((gate) => gate.name),
      ['slo', 'errors-max', 'quality'],
    );
    assert.equal(lookAt(limitsOf(plan), alone, 'NoFail').step, 'Done');
  });

  it('is not judged while the stable revision has no reports', () => {
    assert.equal(
      lookAt(plan, evidenceOf({ ...known, heardUntil: { candidate: span.last, stable: first - 1 } }), 'NoFail').step,
      'Waiting',
    );
  });
});
