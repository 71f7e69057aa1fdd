/**
 * The latency judgement, compared with recorded numbers (vectors) to all published digits.
 *
 * Terms: a block is 20 s of time. Pass, Fail and Undecided are the verdicts about a candidate's latency.
 */
import assert from 'node:assert/strict';
import { askedOfLatency } from '../../../support/asked.ts';
import { LatencyJudgement } from '../../../../operator/analysis/latency.ts';
import {
  minuteNoise,
  minuteMargin,
  effectiveMinutes,
  noHistory,
  samplingVariance,
} from '../../../../operator/analysis/noise.ts';
import {
  addCount,
  emptyHistogram,
  lnQuantile,
  sumOf,
  tailOf,
  latencyBucketOf,
  type LatencyCounts,
  type Scale,
} from '../../../../operator/analysis/log-histogram.ts';
import {
  contrastOf,
  quantileEvidenceOf,
  quantileTest,
  shareAbove,
  shareBelow,
} from '../../../../operator/analysis/quantile-evidence.ts';
import { logBeta } from '../../../../operator/analysis/special-functions.ts';
import type { LatencySeries } from '../../../../operator/analysis/series.ts';
import { normalQuantile } from '../../../../bench/canary/normal.ts';

/** The scale that the published vectors were computed on: 0.2 ms and up, 620 buckets. */
const scale: Scale = { lnLow: Math.log(0.2), lnStep: Math.log(1.02), buckets: 620 };

/** A block with n requests whose latencies are the quantiles of a lognormal distribution. */
function block(mu: number, n: number): LatencyCounts {
  const histogram = emptyHistogram(scale);
  for (let i = 0; i < n; i++) addCount(histogram, latencyBucketOf(scale, mu + 0.5 * normalQuantile((i + 0.5) / n)), 1);
  return histogram;
}

function series(blocks: readonly LatencyCounts[]): LatencySeries {
  const total = sumOf(scale, blocks);
  return { blocks, total, pods: [total] };
}

function sampleOf({ total }: LatencySeries) {
  return { tail: tailOf(total), n: total.total };
}

/** Checks equality to the number of digits of the published value. */
function near(actual: number, expected: number, what: string): void {
  if (!Number.isFinite(expected)) return assert.equal(actual, expected, what);
  const digits = String(expected).split('.')[1]?.length ?? 0;
  assert.ok(Math.abs(actual - expected) <= 0.6 * 10 ** -digits, `${what}: ${actual}, expected ${expected}`);
}

const mu = Math.log(20);

describe('building blocks of the latency gate, against published vectors', () => {
  // prettier-ignore
  const cases: readonly { name: string; actual: () => number; expected: number }[] = [
    { name: 'ln B(2.5, 47.5)', actual: () => logBeta(2.5, 47.5), expected: -9.4061 },
    { name: 'ln B(0.5, 0.5)', actual: () => logBeta(0.5, 0.5), expected: 1.1447 },
    { name: 'evidence of 10 in 200 at p95', actual:
        () => quantileEvidenceOf(quantileTest(0.95), 200)(10 / 200), expected: -0.8313 },
    { name: 'evidence of 30 in 200 at p95', actual:
        () => quantileEvidenceOf(quantileTest(0.95), 200)(30 / 200), expected: 10.6518 },
    { name: 'evidence of 10 in 1000 at p99', actual:
        () => quantileEvidenceOf(quantileTest(0.99), 1000)(0.01), expected: -1.6678 },
    { name: 'share above, n=200, ln 20', actual: () => above(0.95, 200, 20), expected: 0.1052 },
    { name: 'share below, n=200, ln 20', actual: () => below(0.95, 200, 20), expected: 0.0109 },
    { name: 'share above, n=200, ln 40', actual: () => above(0.95, 200, 40), expected: 0.1103 },
    { name: 'share below, n=200, ln 40', actual: () => below(0.95, 200, 40), expected: 0.008 },
    { name: 'share above, n=2000, ln 20', actual: () => above(0.95, 2000, 20), expected: 0.0664 },
    { name: 'share below, n=2000, ln 20', actual: () => below(0.95, 2000, 20), expected: 0.0356 },
    { name: 'share above at p99, n=2000', actual: () => above(0.99, 2000, 20), expected: 0.0181 },
    { name: 'share below at p99, n=2000', actual: () => below(0.99, 2000, 20), expected: 0.004 },
    { name: 'margin after 1 minute', actual: () => minuteMargin(1, 1, Math.log(20)), expected: 11.7824 },
    { name: 'margin after 2 minutes', actual: () => minuteMargin(1, 2, Math.log(20)), expected: 5.4532 },
    { name: 'margin after 5 minutes', actual: () => minuteMargin(1, 5, Math.log(20)), expected: 2.1624 },
    { name: 'margin after 30 minutes', actual: () => minuteMargin(1, 30, Math.log(20)), expected: 0.3993 },
    { name: 'minutes in six even blocks', actual:
        () => effectiveMinutes(Array(6).fill(50), Array(6).fill(50)), expected: 2.3478 },
    { name: 'minutes in uneven blocks', actual:
        () => effectiveMinutes([0, 1, 0, 0, 2, 1], Array(6).fill(10)), expected: 1.8826 },
    { name: 'sampling variance of one request',
      actual: () => samplingVariance(block(mu, 1000), 0.95), expected: 1.2867 },
  ];
  for (const { name, actual, expected } of cases) it(name, () => near(actual(), expected, name));

  it('computes quantiles of a small histogram', () => {
    const histogram = emptyHistogram(scale);
    for (const [bucket, count] of [
      [200, 50],
      [220, 30],
      [240, 15],
      [250, 5],
    ] as const)
      addCount(histogram, bucket, count);
    for (const [share, expected] of [
      [0.5, 2.7471],
      [0.2, 3.1432],
      [0.05, 3.3412],
      [0.01, 3.3571],
    ] as const)
      near(lnQuantile(tailOf(histogram), share), expected, `share ${share}`);
    const five = sumOf(scale, Array<LatencyCounts>(5).fill(histogram));
    const sample = { tail: tailOf(five), n: 500 };
    const contrast = contrastOf(quantileTest(0.95), { candidate: sample, stable: sample }, Math.log(20));
    near(contrast.width('lower'), 0.1909, 'lower width');
    near(contrast.width('upper'), 0.1909, 'upper width');
  });

  it('computes quantiles of 1,000 lognormal requests', () => {
    const tail = tailOf(block(mu, 1000));
    for (const [share, expected] of [
      [0.5, 20.0036],
      [0.05, 45.4441],
      [0.01, 63.6326],
    ] as const)
      near(Math.exp(lnQuantile(tail, share)), expected, `share ${share}`);
  });
});

function above(p: number, n: number, odds: number): number {
  const test = quantileTest(p);
  return shareAbove(test, quantileEvidenceOf(test, n), Math.log(odds), n) ?? NaN;
}
function below(p: number, n: number, odds: number): number {
  const test = quantileTest(p);
  return shareBelow(test, quantileEvidenceOf(test, n), Math.log(odds), n) ?? NaN;
}

describe('the latency gate, against published vectors', () => {
  type Row = {
    name: string;
    blocks: number;
    n: readonly [number, number];
    shift: (t: number) => number;
    noise: readonly [number, number];
    variance: number;
    minutes: number;
    lower: number;
    upper: number;
    verdict: string;
    still: number | null;
    difference: number;
    widths: readonly [lower: number, upper: number];
    cleaned?: number;
  };
  const slower = (factor: number) => () => Math.log(factor);
  // prettier-ignore
  const rows: readonly Row[] = [
    { name: 'equal, two minutes', blocks: 6, n: [40, 40], shift: slower(1), noise: [0, 0.3235],
      variance: 0.008846, minutes: 2.3478, lower: -0.4935, upper: 0.4935, verdict: 'Undecided',
      still: 1754, difference: 0, widths: [0.4503, 0.4503] },
    { name: 'equal, half an hour', blocks: 90, n: [200, 200], shift: slower(1),
      noise: [0, 13.6448], variance: 0.001766, minutes: 30.2993, lower: -0.0639, upper: 0.0639,
      verdict: 'Pass', still: 0, difference: 0, widths: [0.0582, 0.0582], cleaned: 0.0642 },
    { name: 'half as slow again', blocks: 15, n: [100, 100], shift: slower(1.5), noise: [0, 0.9032],
      variance: 0.007532, minutes: 5.315, lower: 0.216, upper: 0.6006, verdict: 'Fail', still: 0,
      difference: 0.4159, widths: [0.1569, 0.1371], cleaned: 0.2084 },
    { name: 'twice as slow, at a fifth of the traffic', blocks: 6, n: [100, 400], shift: slower(2),
      noise: [0, 0.3471], variance: 0.008784, minutes: 2.3478, lower: 0.4207, upper: 0.9764,
      verdict: 'Fail', still: 0, difference: 0.6733, widths: [0.1526, 0.2267], cleaned: 0.3678 },
    { name: 'one stall of 40 s', blocks: 15, n: [100, 100], shift: (t) => (t === 3 || t === 4 ? Math.log(4) : 0),
      noise: [0.3137, 0.3621], variance: 0.07213, minutes: 5.315, lower: 0.2721, upper: 1.184, verdict: 'OneWindow',
      still: null, difference: 0.7426, widths: [0.2727, 0.2187], cleaned: -0.4409 },
    { name: 'a little slower under noise', blocks: 30, n: [200, 200],
      shift: (t) => Math.log(1.3) + (Math.floor(t / 3) % 2 === 1 ? 0.1 : -0.1),
      noise: [0.006513, 4.2986], variance: 0.009782, minutes: 10.3053, lower: 0.1393, upper: 0.5179,
      verdict: 'Undecided', still: 61, difference: 0.2772, widths: [0.0919, 0.0769] },
    { name: 'slower, with very few requests', blocks: 4, n: [30, 30], shift: slower(1.5),
      noise: [0, 0], variance: 0.0098, minutes: 1.7143, lower: -Infinity, upper: Infinity,
      verdict: 'Undecided', still: 928, difference: 0.3961, widths: [Infinity, Infinity] },
  ];
  for (const row of rows) {
    it(row.name, () => {
      const candidate = series(Array.from({ length: row.blocks }, (_, t) => block(mu + row.shift(t), row.n[0])));
      const stable = series(Array.from({ length: row.blocks }, () => block(mu, row.n[1])));
      const noise = minuteNoise({ candidate, stable }, 0.95, noHistory);
      near(noise.measured, row.noise[0], 'measured variance');
      near(noise.minutes, row.noise[1], 'information');
      near(noise.variance, row.variance, 'variance');
      const judgement = new LatencyJudgement({
        ...askedOfLatency,
        candidate,
        against: { stable, tolerance: 0.15 },
        quantile: 0.95,
        alpha: 0.05,
        known: row.blocks,
        history: noHistory,
      });
      const numbers = judgement.numbers();
      const contrast = contrastOf(
        quantileTest(0.95),
        { candidate: sampleOf(candidate), stable: sampleOf(stable) },
        Math.log(20),
      );
      near(contrast.difference, row.difference, 'difference');
      near(contrast.width('lower'), row.widths[0], 'lower width');
      near(contrast.width('upper'), row.widths[1], 'upper width');
      const { boundWithoutStalls } = numbers.evidence;
      if (row.cleaned === undefined) assert.equal(boundWithoutStalls, undefined);
      else near(Math.log1p(boundWithoutStalls ?? NaN), row.cleaned, 'bound without stalls');
      near(numbers.evidence.minutes, row.minutes, 'minutes');
      near(numbers.lower === null ? -Infinity : Math.log1p(numbers.lower), row.lower, 'lower');
      near(numbers.upper === null ? Infinity : Math.log1p(numbers.upper), row.upper, 'upper');
      const decided = judgement.decide();
      assert.equal(decided.reason === 'OneWindow' ? 'OneWindow' : decided.verdict, row.verdict);
      if (row.still === null) assert.equal(numbers.requestsStillNeeded, null);
      else
        assert.ok(
          Math.abs((numbers.requestsStillNeeded ?? NaN) - row.still) <= 1,
          `still needed ${numbers.requestsStillNeeded}, expected ${row.still}`,
        );
    });
  }
});
