import assert from 'node:assert/strict';
import { judge } from '../../../../operator/analysis/judge.ts';
import { cellsOf, emptyLedger, fold } from '../../../../operator/analysis/ledger.ts';
import { evidenceOf } from '../../../../operator/analysis/look.ts';
import { ownLatencies } from '../../../../operator/analysis/own-latency.ts';
import { planOf } from '../../../../operator/analysis/plan.ts';
import { reportsOfPods } from '../../../support/block-reports.ts';

const first = 500;
const plan = planOf({
  latency: [
    { name: 'p95', quantile: '0.95', maxIncrease: '15%' },
    { name: 'slo', quantile: '0.5', max: '25ms' },
  ],
});

function lookOver(classes: readonly (readonly [readonly [number, number][], readonly [number, number][]])[]) {
  const [[own, other]] = classes as [(typeof classes)[0]];
  const shape = { first, blocks: 30, pods: 2, perBlock: 0, failures: 0 };
  const ledger = [
    ...reportsOfPods('candidate', { ...shape, factor: 1.5, seed: 1, classes: own }),
    ...reportsOfPods('stable', { ...shape, factor: 1, seed: 2, classes: other }),
  ].reduce(fold, emptyLedger);
  const evidence = evidenceOf({
    cells: { candidate: cellsOf(ledger, 'candidate'), stable: cellsOf(ledger, 'stable') },
    firstBlock: first,
    heardUntil: { candidate: first + 29, stable: first + 29 },
    loadIsEqual: true,
  });
  const results = judge(plan, evidence);
  return plan.gates.map((gate, i) => ({ result: results[i]!, own: ownLatencies(gate, evidence, results[i]!) }));
}

describe('latencies of each revision', () => {
  const one: [number, number][] = [[64, 80]];
  for (const [name, classes] of [
    ['one class of requests', [one, one]],
    [
      'several classes in different mixes',
      [
        [
          [64, 60],
          [16, 20],
        ],
        [
          [64, 20],
          [16, 60],
        ],
      ],
    ],
  ] as const) {
    it(`differ by the estimate of the gate, with ${name}`, () => {
      const [p95] = lookOver([classes as never]);
      const { candidate, stable } = p95!.own;
      assert.ok(candidate !== undefined && stable !== undefined);
      assert.ok(Math.abs(candidate.estimate / stable.estimate - 1 - (p95!.result.estimate ?? NaN)) < 1e-9);
      for (const { estimate, lower = NaN, upper = NaN } of [candidate, stable])
        assert.ok(lower < estimate && estimate < upper);
    });
  }

  it('are the numbers of the gate for a limit in milliseconds', () => {
    const slo = lookOver([[one, one]])[1]!;
    const { candidate } = slo.own;
    for (const bound of ['estimate', 'lower', 'upper'] as const)
      assert.ok(Math.abs((candidate?.[bound] ?? NaN) - (slo.result[bound] ?? NaN)) < 1e-6, bound);
  });

  it('are absent for rates, and absent when no request was answered', () => {
    const [p95, , errors] = lookOver([[[[64, 0]], one]]);
    assert.deepEqual(errors?.own, {});
    assert.equal(p95?.own.candidate, undefined);
    assert.ok((p95?.own.stable?.estimate ?? 0) > 0);
  });

  it('have no bounds while there are few requests', () => {
    const [p95] = lookOver([[[[64, 0.5]], [[64, 0.5]]]]);
    assert.ok((p95?.own.candidate?.estimate ?? 0) > 0);
    assert.equal(p95?.own.candidate?.upper, undefined);
  });
});
