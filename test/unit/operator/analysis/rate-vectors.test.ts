import assert from 'node:assert/strict';
import { RateJudgement } from '../../../../operator/analysis/rate.ts';
import { clustering, dispersionOf, increaseEvidence, rateBounds, rateEvidence } from '../../../../operator/analysis/rate-evidence.ts';
import type { Counts } from '../../../../operator/analysis/series.ts';

/** Counts of `length` blocks of n requests each; the events repeat. */
function counts(events: readonly number[], n: number, length: number): Counts {
  return { events: Array.from({ length }, (_, t) => events[t % events.length] ?? 0), trials: Array.from({ length }, () => n) };
}

function near(actual: number | null, expected: number, what: string): void {
  const digits = String(expected).split('.')[1]?.length ?? 0;
  assert.ok(actual !== null && Math.abs(actual - expected) <= 0.6 * 10 ** -digits, `${what}: ${actual}, expected ${expected}`);
}

describe('evidence about rates, against published vectors', () => {
  it('five of a hundred against one percent', () => {
    near(rateEvidence({ x: 5, n: 100, cluster: 0 }, 0.01), 1.5911, 'independent');
    near(rateEvidence({ x: 5, n: 100, cluster: 20 * 0.09 }, 0.01), 1.5262, 'clustered');
  });

  it('bounds of five of a hundred', () => {
    const plain = rateBounds({ x: 5, n: 100, cluster: 0 }, Math.log(20));
    near(plain.lower, 0.0071, 'lower');
    near(plain.upper, 0.1558, 'upper');
    const clustered = rateBounds({ x: 5, n: 100, cluster: 20 * 0.09 }, Math.log(20));
    near(clustered.lower, 0.007, 'lower, clustered');
    near(clustered.upper, 0.1789, 'upper, clustered');
  });
});

describe('a rate of few requests', () => {
  const decide = (candidate: number, stable: number) => new RateJudgement({ candidate: counts([1], 1, candidate), against: { stable: counts([0], 1, stable), increase: 0.005 }, alpha: 0.05, known: Math.max(candidate, stable), pods: { candidate: 1, stable: 1 } }).decide();
  for (const [candidate, stable, few] of [[19, 500, true], [500, 19, true], [20, 500, false]] as const) {
    it(`${few ? 'is not judged' : 'is judged'}: ${candidate} of the candidate, ${stable} of stable`, () => assert.equal(decide(candidate, stable).reason === 'TooFewRequests', few));
  }
});

describe('the rate gates, against published vectors', () => {
  type Row = { name: string; candidate: Counts; stable?: Counts; limit: number; perMinute: number; clustering: number; evidence?: number; lower: number; upper: number; verdict: string };
  const rows: readonly Row[] = [
    { name: 'four percent against a seventh of that', candidate: counts([2], 50, 15), stable: counts([0, 0, 1], 50, 15), limit: 0.005, perMinute: 141.1111, clustering: 0.076199, evidence: -0.8104, lower: -0.0047, upper: 0.0998, verdict: 'Uncertain' },
    { name: 'equal rates', candidate: counts([1], 50, 12), stable: counts([1], 50, 12), limit: 0.005, perMinute: 138.8889, clustering: 0.08246, evidence: -6.4922, lower: -0.0582, upper: 0.0582, verdict: 'Uncertain' },
    { name: 'ten percent against one', candidate: counts([6], 60, 12), stable: counts([0, 1], 60, 12), limit: 0.005, perMinute: 166.6667, clustering: 0.062234, evidence: 12.9699, lower: 0.0346, upper: 0.2139, verdict: 'Fail' },
    { name: 'six percent, limit two', candidate: counts([3], 50, 12), limit: 0.02, perMinute: 138.8889, clustering: 0.073894, lower: 0.0285, upper: 0.1276, verdict: 'Fail' },
    { name: 'a burst of errors', candidate: counts([0, 0, 0, 40, 40, 0, 0, 0, 0, 0, 0, 1], 50, 12), limit: 0.02, perMinute: 138.8889, clustering: 1.908703, lower: 0.034, upper: 0.908, verdict: 'OneWindow' },
    { name: 'no errors in ten minutes', candidate: counts([0], 50, 30), limit: 0.02, perMinute: 145.5556, clustering: 0.09, lower: 0, upper: 0.0051, verdict: 'Pass' },
  ];
  for (const row of rows) {
    it(row.name, () => {
      const own = dispersionOf(row.candidate);
      near(own.perMinute, row.perMinute, 'requests in a minute');
      near(clustering(own, row.stable === undefined ? undefined : dispersionOf(row.stable)), row.clustering, 'clustering');
      if (row.stable !== undefined && row.evidence !== undefined) {
        const k = row.clustering * own.perMinute;
        const sample = ({ events, trials }: Counts) => ({ x: sum(events), n: sum(trials), cluster: k });
        near(increaseEvidence({ candidate: sample(row.candidate), stable: sample(row.stable) }, row.limit), row.evidence, 'evidence');
      }
      const against = row.stable === undefined ? { max: row.limit } : { stable: row.stable, increase: row.limit };
      const judgement = new RateJudgement({ candidate: row.candidate, against, alpha: 0.05, known: row.candidate.events.length, pods: { candidate: 1, stable: 1 } });
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
