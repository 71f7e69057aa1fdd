/**
 * Evidence about rates (failed requests, answers that disagree), compared with independently computed values (vectors).
 *
 * Terms: a block is 20 s of time. Pass and Fail are the verdicts about the candidate, the new revision.
 */
import assert from 'node:assert/strict';
import { askedOfRate } from '../../../support/asked.ts';
import { RateJudgement } from '../../../../operator/analysis/rate.ts';
import {
  clustering,
  dispersionOf,
  increaseEvidence,
  rateBound,
  rateEvidence,
} from '../../../../operator/analysis/rate-evidence.ts';
import type { Counts } from '../../../../operator/analysis/series.ts';

/** Counts of `length` blocks with n requests each. The numbers of events repeat in the order of `events`. */
function counts(events: readonly number[], n: number, length: number): Counts {
  return {
    events: Array.from({ length }, (_, t) => events[t % events.length] ?? 0),
    trials: Array.from({ length }, () => n),
  };
}

function near(actual: number | null, expected: number, what: string): void {
  const digits = String(expected).split('.')[1]?.length ?? 0;
  assert.ok(
    actual !== null && Math.abs(actual - expected) <= 0.6 * 10 ** -digits,
    `${what}: ${actual}, expected ${expected}`,
  );
}

/**
 * The expected values do not come from our code: a grid search computed them from the formula in the comment of
 * rateEvidence.
 */
describe('evidence about rates, against vectors', () => {
  it('compares five of a hundred with one percent', () => {
    near(rateEvidence({ x: 5, n: 100, cluster: 0 }, 0.01), 1.8391, 'independent');
    near(rateEvidence({ x: 5, n: 100, cluster: 20 * 0.09 }, 0.01), 1.7776, 'clustered');
  });

  it('computes bounds of five of a hundred', () => {
    const plain = { x: 5, n: 100, cluster: 0 };
    near(rateBound(plain, Math.log(20), 'lower'), 0.0076, 'lower');
    near(rateBound(plain, Math.log(20), 'upper'), 0.1527, 'upper');
    const clustered = { ...plain, cluster: 20 * 0.09 };
    near(rateBound(clustered, Math.log(20), 'lower'), 0.0075, 'lower, clustered');
    near(rateBound(clustered, Math.log(20), 'upper'), 0.1731, 'upper, clustered');
  });
});

describe('a rate of few requests', () => {
  const decide = (candidate: number, stable: number) =>
    new RateJudgement({
      ...askedOfRate(0.005),
      candidate: counts([1], 1, candidate),
      against: { stable: counts([0], 1, stable), increase: 0.005 },
      alpha: 0.05,
      known: Math.max(candidate, stable),
      pods: { candidate: 1, stable: 1 },
    }).decide();
  for (const [candidate, stable, few] of [
    [19, 500, true],
    [500, 19, true],
    [20, 500, false],
  ] as const) {
    it(`${few ? 'is not judged' : 'is judged'}: ${candidate} of the candidate, ${stable} of stable`, () =>
      assert.equal(decide(candidate, stable).reason === 'TooFewRequests', few));
  }
});

describe('a rate above its limit', () => {
  // The candidate's rate is 5 %; the limit is 2 %. The evidence that the rate differs from 2 % is 3.7. For a rate below
  // the limit, a Pass would need ln 20 = 3.0. A Fail needs ln 200 = 5.3.
  const asked = { ...askedOfRate(0.02), passAlpha: 0.05, alpha: 0.005 };
  it('does not pass, though its evidence would be enough for a Pass', () => {
    const judgement = new RateJudgement({
      ...asked,
      candidate: counts([2], 40, 12),
      against: { max: 0.02 },
      known: 12,
      pods: { candidate: 1, stable: 1 },
    });
    const evidence = rateEvidence({ x: 24, n: 480, cluster: 0 }, 0.02);
    assert.ok(evidence > Math.log(20) && evidence < Math.log(200), String(evidence));
    assert.equal(judgement.decide().verdict, 'Undecided');
  });
});

describe('the rate gates, against vectors', () => {
  type Row = {
    name: string;
    candidate: Counts;
    stable?: Counts;
    limit: number;
    perMinute: number;
    clustering: number;
    evidence?: number;
    lower: number;
    upper: number;
    verdict: string;
  };
  // prettier-ignore
  const rows: readonly Row[] = [
    { name: 'four percent against a seventh of that', candidate: counts([2], 50, 15),
      stable: counts([0, 0, 1], 50, 15), limit: 0.005, perMinute: 141.1111, clustering: 0.076199,
      evidence: 1.7695, lower: 0.0019, upper: 0.0852, verdict: 'Uncertain' },
    { name: 'equal rates', candidate: counts([1], 50, 12), stable: counts([1], 50, 12), limit: 0.005,
      perMinute: 138.8889, clustering: 0.08246, evidence: -3.604, lower: -0.0435, upper: 0.0435, verdict: 'Uncertain' },
    { name: 'ten percent against one', candidate: counts([6], 60, 12), stable: counts([0, 1], 60, 12), limit: 0.005,
      perMinute: 166.6667, clustering: 0.062234, evidence: 13.2314, lower: 0.0353, upper: 0.2096, verdict: 'Fail' },
    { name: 'six percent, limit two', candidate: counts([3], 50, 12), limit: 0.02,
      perMinute: 138.8889, clustering: 0.073894, lower: 0.0279, upper: 0.1302, verdict: 'Fail' },
    { name: 'a burst of errors', candidate: counts([0, 0, 0, 40, 40, 0, 0, 0, 0, 0, 0, 1], 50, 12), limit: 0.02,
      perMinute: 138.8889, clustering: 1.908703, lower: 0.0289, upper: 0.9062, verdict: 'OneWindow' },
    { name: 'no errors in ten minutes', candidate: counts([0], 50, 30), limit: 0.02,
      perMinute: 145.5556, clustering: 0.09, lower: 0, upper: 0.0033, verdict: 'Pass' },
  ];
  for (const row of rows) {
    it(row.name, () => {
      const own = dispersionOf(row.candidate);
      near(own.perMinute, row.perMinute, 'requests in a minute');
      near(
        clustering(own, row.stable === undefined ? undefined : dispersionOf(row.stable)),
        row.clustering,
        'clustering',
      );
      if (row.stable !== undefined && row.evidence !== undefined) {
        const k = row.clustering * own.perMinute;
        const sample = ({ events, trials }: Counts) => ({ x: sum(events), n: sum(trials), cluster: k });
        near(
          increaseEvidence({ candidate: sample(row.candidate), stable: sample(row.stable) }, row.limit),
          row.evidence,
          'evidence',
        );
      }
      const against = row.stable === undefined ? { max: row.limit } : { stable: row.stable, increase: row.limit };
      const judgement = new RateJudgement({
        ...askedOfRate(row.limit),
        candidate: row.candidate,
        against,
        alpha: 0.05,
        known: row.candidate.events.length,
        pods: { candidate: 1, stable: 1 },
      });
      const numbers = judgement.numbers();
      near(numbers.lower, row.lower, 'lower');
      near(numbers.upper, row.upper, 'upper');
      const { verdict, reason } = judgement.decide();
      assert.equal(reason ?? verdict, row.verdict);
    });
  }
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
