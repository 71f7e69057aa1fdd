/**
 * Noise: how much the latency of one revision differs between minutes and between pods.
 *
 * Terms: the noise is learned from the half hour before a comparison of two revisions (the history), in which only
 * stable, the serving revision, gets traffic. The verdict Pass uses a larger variance than the learned one, because
 * half an hour does not show whether noise lasts longer (doubted variance). A block is 20 s of time.
 */
import assert from 'node:assert/strict';
import { askedOfLatency } from '../../../support/asked.ts';
import { Random } from '../../../../bench/canary/random.ts';
import { LatencyJudgement, type LatencyQuestion } from '../../../../operator/analysis/latency.ts';
import {
  addCount,
  latencyBucketOf,
  emptyHistogram,
  fromReport,
  lnQuantile,
  lnQuantileOf,
  reportScale,
  sumOf,
  tailOf,
  countAbove,
  type LatencyCounts,
} from '../../../../operator/analysis/log-histogram.ts';
import {
  bartlett,
  doubtedVarianceOf,
  minuteNoise,
  noHistory,
  ordinaryShare,
} from '../../../../operator/analysis/noise.ts';
import { minutesOf } from '../../../../bench/canary/noise.ts';
import { learnHistory } from '../../../../operator/analysis/noise-history.ts';
import { podMargin } from '../../../../operator/analysis/pod-spread.ts';
import type { LatencySeries } from '../../../../operator/analysis/series.ts';

const mu = Math.log(20);

function block(random: Random, shift: number, n: number): LatencyCounts {
  const histogram = emptyHistogram(reportScale);
  for (let i = 0; i < n; i++) addCount(histogram, latencyBucketOf(reportScale, mu + shift + 0.5 * random.normal()), 1);
  return histogram;
}

/**
 * `pods`: for each pod, the shift of its ln(latency). `noise`: the standard deviation of the shift that a minute adds
 * to ln(latency) in all pods.
 */
function series(
  seed: number,
  { minutes, n, pods = [0], noise = 0 }: { minutes: number; n: number; pods?: readonly number[]; noise?: number },
): LatencySeries & { readonly podBlocks: readonly (readonly LatencyCounts[])[] } {
  const random = new Random(seed);
  const perMinute = Array.from({ length: minutes }, () => noise * random.normal());
  const podBlocks = pods.map((shift) =>
    perMinute.flatMap((minute) => [0, 1, 2].map(() => block(random, shift + minute, n / pods.length))),
  );
  const blocks = perMinute.flatMap((_, minute) =>
    [0, 1, 2].map((i) =>
      sumOf(
        reportScale,
        podBlocks.map((own) => own[minute * 3 + i] ?? emptyHistogram(reportScale)),
      ),
    ),
  );
  return {
    blocks,
    total: sumOf(reportScale, blocks),
    pods: podBlocks.map((own) => sumOf(reportScale, own)),
    podBlocks,
  };
}

describe('noise between minutes', () => {
  it('is measured correctly', () => {
    const noisy = minuteNoise(
      {
        candidate: series(1, { minutes: 60, n: 400, noise: 0.2 }),
        stable: series(2, { minutes: 60, n: 400, noise: 0.2 }),
      },
      0.95,
      noHistory,
    );
    assert.ok(
      Math.sqrt(noisy.measured) > 0.2 && Math.sqrt(noisy.measured) < 0.37,
      `sd ${Math.sqrt(noisy.measured)}, made with ${0.2 * Math.SQRT2}`,
    );
  });

  it('shrinks below the assumed value when there is no noise', () => {
    const quiet = minuteNoise(
      { candidate: series(3, { minutes: 60, n: 400 }), stable: series(4, { minutes: 60, n: 400 }) },
      0.95,
      noHistory,
    );
    assert.ok(quiet.variance < 0.003, String(quiet.variance));
  });

  it('is learnt from stable before the window, without drift', () => {
    const quiet = learnHistory(series(5, { minutes: 30, n: 400, pods: [0, 0] }).podBlocks, 0.95);
    const noisy = learnHistory(series(6, { minutes: 30, n: 400, noise: 0.2 }).podBlocks, 0.95);
    assert.ok(quiet.minutes > 10 && quiet.weightedVariance / quiet.minutes < 0.006, JSON.stringify(quiet));
    assert.ok(noisy.weightedVariance / noisy.minutes > 0.04, JSON.stringify(noisy));
    const random = new Random(7);
    const drifting = Array.from({ length: 90 }, (_, i) => block(random, 0.01 * i, 400));
    assert.ok(learnHistory([drifting], 0.95).weightedVariance < 0.15);
    assert.deepEqual(learnHistory([], 0.95), noHistory);
    assert.deepEqual(learnHistory([[]], 0.95), noHistory);
  });

  const minutesWith = (next: (random: Random) => number, seed: number): LatencyCounts[] => {
    const random = new Random(20, seed);
    let shift = 0;
    return Array.from({ length: 90 }, (_, i) => {
      if (i % 3 === 0) shift = next(random);
      return block(random, shift, 120);
    });
  };
  /**
   * The doubted variance (the variance that a Pass uses) divided by the variance that is learned from half an hour.
   * `next` draws the shift of each minute. Returns the median of 15 runs.
   */
  const doubtOf = (next: (random: Random) => number): number => {
    const factors = Array.from({ length: 15 }, (_, seed) => {
      const history = learnHistory([minutesWith(next, seed)], 0.95);
      return doubtedVarianceOf(history) / history.weightedVariance;
    });
    return factors.toSorted((a, b) => a - b)[7] ?? NaN;
  };

  it('is doubted for a Pass, whether it lasts or not, because half an hour does not show that', () => {
    for (const next of [(random: Random) => 0.2 * random.normal(), minutesOf('autoregressive', 0.2)]) {
      const factor = doubtOf(next);
      assert.ok(factor > 6.5 && factor <= 7.2001, String(factor));
    }
  });

  it('is larger when neighbouring minutes are alike than when each minute is new', () => {
    const shown = (next: (random: Random) => number): number => {
      const all = Array.from({ length: 15 }, (_, seed) => {
        const history = learnHistory([minutesWith(next, seed)], 0.95);
        return history.weightedVariance / history.minutes;
      });
      return all.toSorted((a, b) => a - b)[7] ?? NaN;
    };
    const [fresh, lasting] = [shown((random) => 0.2 * random.normal()), shown(minutesOf('autoregressive', 0.2))];
    assert.ok(lasting > 1.3 * fresh, `${lasting} and ${fresh}`);
  });

  it('is not doubted when it comes from occasional stalls', () => {
    let minute = 0;
    const factor = doubtOf(() => (minute++ % 11 === 0 ? 1.4 : 0));
    assert.ok(factor < 1.5, String(factor));
  });

  it('is doubted for a far tail at least as much as for p95', () => {
    // With 120 requests per block, one minute has enough requests for p95, but p99 needs pairs of minutes. In a pair
    // the alternating shifts cancel, so p99 shows less variance.
    let minute = 0;
    const blocks = minutesWith(() => (minute++ % 2 === 0 ? 0.3 : -0.3), 1);
    const [p95, p99] = [learnHistory([blocks], 0.95), learnHistory([blocks], 0.99)];
    assert.ok(p99.minutes > 0 && p99.weightedVariance / p99.minutes < 0.5 * (p95.weightedVariance / p95.minutes));
    assert.ok(Math.abs(doubtedVarianceOf(p99) / p99.minutes - doubtedVarianceOf(p95) / p95.minutes) < 1e-9);
  });

  it('may last longer than history shows: what a Pass allows for does not shrink with the time waited', () => {
    const history = { minutes: 20, weightedVariance: 0.4, doubtedVariance: 4 };
    const compared = { candidate: series(3, { minutes: 40, n: 400 }), stable: series(4, { minutes: 40, n: 400 }) };
    const { variance, passVariance } = minuteNoise(compared, 0.95, history);
    assert.ok(passVariance(5) > 4 * variance && passVariance(11) === passVariance(5));
    assert.ok(Math.abs((passVariance(33) - variance) / (passVariance(11) - variance) - 3) < 1e-9);
  });

  it('is doubted as well if only the window shows it', () => {
    const noisy = {
      candidate: series(1, { minutes: 60, n: 400, noise: 0.2 }),
      stable: series(2, { minutes: 60, n: 400, noise: 0.2 }),
    };
    const { variance, passVariance } = minuteNoise(noisy, 0.95, noHistory);
    assert.ok(passVariance(1) > 3 * variance, `${passVariance(1)}, of ${variance}`);
  });

  it('of ordinary minutes is distinguished from noise of a few minutes', () => {
    const ordinary = Array.from({ length: 30 }, (_, i) => Math.sin(i * 7));
    assert.equal(ordinaryShare(ordinary, 0), 1);
    const byChance = [0, ...Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i < 16 ? 0.6 : 1.5))];
    assert.equal(ordinaryShare(byChance, 0), 1, 'the percentile is too small by chance');
    assert.ok(ordinaryShare([...ordinary.slice(3).map((each) => each / 20), 3, 3, 3], 0) < 0.05);
  });

  it('joins minutes of little traffic until they have enough requests', () => {
    const compared = { candidate: series(8, { minutes: 30, n: 10 }), stable: series(9, { minutes: 30, n: 400 }) };
    const { minutes } = minuteNoise(compared, 0.95, noHistory);
    assert.ok(minutes > 0 && minutes < 10, String(minutes));
  });
});

describe('the weights of neighbouring blocks', () => {
  it('are the weights of Bartlett over a minute', () =>
    assert.ok(Math.abs(bartlett([1, 2, 3]) - (1 + 4 + 9 + (4 / 3) * (2 + 6) + (2 / 3) * 3)) < 1e-12));
});

describe('lasting differences of pods', () => {
  const known = {
    variance: 0.002,
    minutes: 20,
    bound: Math.log(20),
    deviations: 2,
    nodes: 'Unlike',
    history: noHistory,
  } as const;
  const compared = (shifts: readonly number[]) => ({
    candidate: series(10, { minutes: 20, n: 600, pods: shifts }),
    stable: series(11, { minutes: 20, n: 600, pods: [0, 0] }),
  });
  it('widen the bounds', () => assert.ok(podMargin(compared([-0.2, 0.2]), 0.95, known) > 0.05));
  it('add almost nothing when the pods are alike', () => assert.ok(podMargin(compared([0, 0]), 0.95, known) < 0.01));
  const oneEach = { candidate: series(12, { minutes: 20, n: 600 }), stable: series(13, { minutes: 20, n: 600 }) };
  it('cannot be measured with one pod each: the usual difference of nodes is assumed', () =>
    assert.ok(Math.abs(podMargin(oneEach, 0.95, known) - 4 * 2 * 0.085 ** 2) < 1e-9));
  it('are 0 when both revisions run on the same nodes', () =>
    assert.equal(podMargin(oneEach, 0.95, { ...known, nodes: 'Shared' }), 0));
  it('are those that pods of stable showed before, if they are known', () => {
    const history = { ...noHistory, pods: { variance: 0.0001, freedom: 12 } };
    assert.ok(podMargin(oneEach, 0.95, { ...known, history }) < 4 * 2 * 0.085 ** 2 * 0.3);
  });
});

describe('a limit in milliseconds', () => {
  // The p95 of the latencies in this test is 20 ms × e^(0.5 × 1.645) = 45.5 ms.
  const question = (maxMs: number): LatencyQuestion => ({
    ...askedOfLatency,
    toShow: maxMs,
    candidate: series(14, { minutes: 30, n: 400 }),
    against: { maxMs },
    quantile: 0.95,
    alpha: 0.05,
    known: 90,
    history: noHistory,
  });
  const rows = [
    { maxMs: 30, verdict: 'Fail' },
    { maxMs: 46, verdict: 'Undecided' },
    { maxMs: 70, verdict: 'Pass' },
  ] as const;
  for (const { maxMs, verdict } of rows) {
    it(`of ${maxMs} ms is ${verdict}`, () => {
      const judgement = new LatencyJudgement(question(maxMs));
      const numbers = judgement.numbers();
      assert.equal(judgement.decide().verdict, verdict);
      assert.ok(
        numbers.lower !== null && numbers.upper !== null && numbers.lower < 45.5 && numbers.upper > 45.5,
        `${numbers.lower} .. ${numbers.upper}`,
      );
      assert.deepEqual(
        { unit: numbers.unit, limit: numbers.limit, stable: numbers.stableRequests },
        { unit: 'ms', limit: maxMs, stable: undefined },
      );
    });
  }
});

describe('histograms', () => {
  it('keep the buckets of a report, and convert buckets of another scale', () => {
    const own = fromReport({ base: 1e-4, growth: 1.02, counts: { '0': 1, '250': 12, '699': 2 } });
    assert.deepEqual([own.counts[0], own.counts[250], own.counts[699], own.total], [1, 12, 2, 15]);
    const other = fromReport({ base: 1e-3, growth: 1.1, counts: { '20': 5 } });
    const at = Math.exp(lnQuantileOf(other, 0.5));
    assert.ok(at > 1.1 ** 19 && at < 1.1 ** 20, String(at));
  });

  it('count values outside the scale in the end buckets', () => {
    const ends = fromReport({ base: 1e-4, growth: 1.02, counts: { '-7': 1, '5000': 2 } });
    assert.deepEqual([ends.counts[0], ends.counts[699]], [1, 2]);
  });

  it('give the same quantile with and without tail sums', () => {
    const histogram = block(new Random(15), 0, 5000);
    for (const share of [0, 0.001, 0.05, 0.3, 0.5, 0.99, 1])
      assert.ok(Math.abs(lnQuantileOf(histogram, share) - lnQuantile(tailOf(histogram), share)) < 1e-12, String(share));
    assert.equal(lnQuantileOf(emptyHistogram(reportScale), 0.5), -Infinity);
  });

  it('count the requests above a quantile', () => {
    const histogram = block(new Random(16), 0, 5000);
    assert.ok(Math.abs(countAbove(histogram, lnQuantileOf(histogram, 0.05)) - 250) < 1e-6);
    assert.equal(countAbove(histogram, -Infinity), 5000);
    assert.equal(countAbove(histogram, 50), 0);
  });
});
