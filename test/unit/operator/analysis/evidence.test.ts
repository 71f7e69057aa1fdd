/**
 * Evidence: how strongly the counts of a revision contradict an assumed quantile or rate, and the bounds that follow.
 * At the true value, the mean of the evidence must be at most 1, however often it is looked at (a martingale).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quantileEvidenceOf, quantileTest } from '../../../../operator/analysis/quantile-evidence.ts';
import { clustering, dispersionOf, rateBound, rateEvidence } from '../../../../operator/analysis/rate-evidence.ts';
import { logGamma } from '../../../../operator/analysis/special-functions.ts';
import { worstBlocks } from '../../../../operator/analysis/stalls.ts';
import { forecastRequests } from '../../../../operator/analysis/forecast.ts';

/** The logarithm of the binomial probability of x events in n trials. */
function logBinomial(n: number, x: number, q: number): number {
  return logGamma(n + 1) - logGamma(x + 1) - logGamma(n - x + 1) + x * Math.log(q) + (n - x) * Math.log1p(-q);
}

function meanEvidence(n: number, q: number, evidence: (x: number) => number): number {
  let mean = 0;
  for (let x = 0; x <= n; x++) mean += Math.exp(logBinomial(n, x, q) + evidence(x));
  return mean;
}

describe('evidence at the truth', () => {
  const sizes = [1, 20, 333, 2000] as const;
  for (const p of [0.5, 0.95, 0.99]) {
    for (const n of sizes) {
      it(`has mean 1 at the ${p} quantile after ${n} requests, like a martingale`, () => {
        const evidence = quantileEvidenceOf(quantileTest(p), n);
        assert.ok(Math.abs(meanEvidence(n, 1 - p, (x) => evidence(x / n)) - 1) < 1e-9);
      });
    }
  }
  for (const q of [0.001, 0.02, 0.5]) {
    for (const n of sizes) {
      it(`has mean 1 at a rate of ${q} after ${n} requests`, () =>
        assert.ok(Math.abs(meanEvidence(n, q, (x) => rateEvidence({ x, n, cluster: 0 }, q)) - 1) < 1e-9));
      it(`has a mean of at most 1 at a rate of ${q} after ${n} clustered requests`, () =>
        assert.ok(meanEvidence(n, q, (x) => rateEvidence({ x, n, cluster: 7 }, q)) <= 1 + 1e-9));
    }
  }

  it('decreases by tempering for all counts, so that a measured clustering can only remove rejections', () => {
    const counts = fc
      .integer({ min: 1, max: 5000 })
      .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    fc.assert(
      fc.property(
        counts,
        fc.double({ min: 1e-4, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 500, noNaN: true }),
        ([x, n], q, cluster) => {
          const tempered = rateEvidence({ x, n, cluster }, q);
          if (tempered > 0) assert.ok(rateEvidence({ x, n, cluster: 0 }, q) >= tempered - 1e-9);
        },
      ),
    );
  });
});

describe('bounds of a rate', () => {
  it('include the observed rate and narrow with requests', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 20, noNaN: true }), (x, cluster) => {
        const boundsOf = (sample: { x: number; n: number }) => ({
          lower: rateBound({ ...sample, cluster }, Math.log(20), 'lower'),
          upper: rateBound({ ...sample, cluster }, Math.log(20), 'upper'),
        });
        const few = boundsOf({ x, n: 100 });
        const many = boundsOf({ x: x * 50, n: 5000 });
        assert.ok(few.lower <= x / 100 && x / 100 <= few.upper);
        assert.ok(few.lower <= many.lower && many.upper <= few.upper);
      }),
    );
  });
});

describe('clustering of events', () => {
  const blocks = (events: readonly number[]) => ({ events, trials: events.map(() => 50) });
  it('is much higher for a burst than for the same events spread out', () => {
    const burst = clustering(dispersionOf(blocks([0, 0, 0, 0, 0, 0, 12, 12, 0, 0, 0, 0, 0, 0, 0])));
    const spread = clustering(dispersionOf(blocks([2, 1, 2, 1, 2, 1, 2, 2, 1, 2, 1, 2, 1, 2, 2])));
    assert.ok(burst > 8 * spread, `${burst} against ${spread}`);
  });
  it('is the assumed value without counts', () =>
    assert.ok(Math.abs(clustering(dispersionOf({ events: [], trials: [] })) - 0.09) < 1e-12));
});

describe('the blocks to leave out', () => {
  const rows: readonly { name: string; events: readonly number[]; removed: readonly number[] }[] = [
    { name: 'only the worst two of many similar ones', events: [5, 5, 5, 6, 6, 5, 5, 5, 5, 5], removed: [3, 4] },
    { name: 'the earliest of equal ones', events: [5, 5, 5, 5, 5, 5], removed: [0, 1] },
    { name: 'a second stall too', events: [2, 2, 45, 45, 2, 2, 2, 60, 60, 2, 2, 2], removed: [2, 3, 7, 8] },
    { name: 'the whole of a short window', events: [3], removed: [0] },
    { name: 'empty without blocks', events: [], removed: [] },
  ];
  for (const { name, events, removed } of rows) {
    it(name, () =>
      assert.deepEqual(
        [...worstBlocks({ events, trials: events.map(() => 100), known: events.length }).removed].toSorted(
          (a, b) => a - b,
        ),
        removed,
      ),
    );
  }
});

describe('the forecast', () => {
  it('finds how many more requests are needed', () => {
    const needed = forecastRequests(100, (growth) => growth >= 7.3) ?? NaN;
    assert.ok(needed >= 630 && needed <= 631, String(needed));
  });
  it('is null when no number of requests is enough', () =>
    assert.equal(
      forecastRequests(100, () => false),
      null,
    ));
  it('is zero when no more requests are needed', () =>
    assert.equal(
      forecastRequests(100, () => true),
      0,
    ));
});
