/**
 * Warm-up: a candidate (new revision) that is slow at first is judged only by the time after its warm-up.
 *
 * Terms: a block is 20 s of time. Stable is the serving revision. The settled part begins when latencies stop falling.
 */
import assert from 'node:assert/strict';
import { askedOfLatency } from '../../../support/asked.ts';
import { Random } from '../../../../bench/canary/random.ts';
import { LatencyJudgement } from '../../../../operator/analysis/latency.ts';
import {
  addCount,
  latencyBucketOf,
  emptyHistogram,
  reportScale,
  sumOf,
  type LatencyCounts,
} from '../../../../operator/analysis/log-histogram.ts';
import { doubtedVariance, noHistory } from '../../../../operator/analysis/noise.ts';
import type { LatencySeries } from '../../../../operator/analysis/series.ts';
import { settlingOf } from '../../../../operator/analysis/warming.ts';

/** @param shift ln of the factor by which the latencies of block t are multiplied */
function blocks(seed: number, count: number, n: number, shift: (t: number) => number = () => 0): LatencyCounts[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, t) => {
    const histogram = emptyHistogram(reportScale);
    for (let i = 0; i < n; i++)
      addCount(histogram, latencyBucketOf(reportScale, Math.log(20) + shift(t) + 0.5 * random.normal()), 1);
    return histogram;
  });
}

function series(own: readonly LatencyCounts[]): LatencySeries {
  const total = sumOf(reportScale, own);
  return { blocks: own, total, pods: [total] };
}

function judgementOf(candidate: readonly LatencyCounts[], stable: readonly LatencyCounts[]): LatencyJudgement {
  return new LatencyJudgement({
    ...askedOfLatency,
    candidate: series(candidate),
    against: { stable: series(stable), tolerance: 0.15 },
    quantile: 0.95,
    alpha: 0.05,
    known: candidate.length,
    history: noHistory,
  });
}

function verdictOf(candidate: readonly LatencyCounts[], stable: readonly LatencyCounts[]): string {
  const { verdict, reason } = judgementOf(candidate, stable).decide();
  return reason ?? verdict;
}

const at40 = { leastRequests: 40, warmBlocks: 20 } as const;
const cold = (t: number): number => Math.log(4) * Math.exp(-t / 3);

describe('settlingOf', () => {
  const stable = blocks(1, 30, 200);
  it('finds no settled part while the candidate gets faster', () =>
    assert.equal(settlingOf(blocks(2, 5, 200, cold), stable.slice(0, 5), at40), undefined));
  it('finds the settled part once two minutes show no trend', () => {
    const from = settlingOf(blocks(3, 30, 200, cold), stable, at40)?.from ?? NaN;
    assert.ok(from >= 8 && from <= 24, String(from));
  });
  it('finds no warm-up in a candidate that stays slow', () =>
    assert.equal(
      settlingOf(
        blocks(4, 30, 200, () => Math.LN2),
        stable,
        at40,
      )?.from,
      0,
    ));
  it('finds no warm-up when the load of both revisions falls alike', () => {
    const falling = (t: number): number => -0.05 * t;
    assert.equal(settlingOf(blocks(5, 30, 200, falling), blocks(6, 30, 200, falling), at40)?.from, 0);
  });
  it('finds no warm-up with very few requests', () =>
    assert.deepEqual(settlingOf(blocks(7, 3, 10, cold), blocks(8, 3, 10), at40), { from: 0, stillToGain: 0 }));
  it('finds a warm-up without stable too', () =>
    assert.equal(settlingOf(blocks(9, 5, 200, cold), undefined, at40), undefined));
});

describe('a verdict about a candidate with cold caches', () => {
  const stable = blocks(10, 36, 400);
  it('is never a Fail if the candidate equals stable once its caches are warm', () => {
    const candidate = blocks(11, 36, 400, cold);
    for (let until = 3; until <= 36; until++)
      assert.notEqual(verdictOf(candidate.slice(0, until), stable.slice(0, until)), 'Fail', `after ${until} blocks`);
  });
  it('is a Fail in the end if the candidate stays slow', () => {
    const candidate = blocks(12, 36, 400, (t) => cold(t) + Math.log(1.5));
    assert.equal(verdictOf(candidate, stable), 'Fail');
  });
  it('is a Fail within a minute if the candidate is slow without warming up', () =>
    assert.equal(
      verdictOf(
        blocks(13, 3, 400, () => Math.LN2),
        stable.slice(0, 3),
      ),
      'Fail',
    ));
});

describe('a candidate that compiles what it needs for its first requests', () => {
  // In the first 8 blocks, some requests are slow and the others are fast, so that the mean does not show a trend.
  // Later all requests are as fast as stable's. The slow requests remain the slowest ones of the window.
  const compiling = (seed: number, count: number): LatencyCounts[] => {
    const slow = blocks(seed + 100, count, 24, () => Math.log(10));
    return blocks(seed, count, 60, (t) => (t < 8 ? (-24 / 60) * Math.log(10) : 0)).map((block, t) =>
      t < 8 ? sumOf(reportScale, [block, slow[t] ?? block]) : block,
    );
  };
  it('does not fail long after because of them', () => {
    const [candidate, stable] = [compiling(30, 40), blocks(31, 40, 600)];
    for (let until = 16; until <= 40; until += 3)
      assert.notEqual(verdictOf(candidate.slice(0, until), stable.slice(0, until)), 'Fail', `after ${until} blocks`);
  });
  it('does not fail while slow requests become fewer', () => {
    // At first, two in seven requests are slow; later, one in ten. The share of slow requests decreases, but p95 stays
    // over the limit.
    const slow = [24, 7].map((n, i) => blocks(40 + i, 24, n, () => Math.log(10)));
    const rest = (n: number, seed: number) => blocks(seed, 24, 60, () => (-n / 60) * Math.log(10));
    const parts = [rest(24, 42), rest(7, 43)];
    const at = (t: number, part: number) =>
      sumOf(reportScale, [
        parts[part]?.[t] ?? emptyHistogram(reportScale),
        slow[part]?.[t] ?? emptyHistogram(reportScale),
      ]);
    const stable = blocks(44, 24, 600);
    assert.equal(
      verdictOf(
        Array.from({ length: 24 }, (_, t) => at(t, t < 12 ? 0 : 1)),
        stable,
      ),
      'Uncertain',
    );
    assert.equal(
      verdictOf(
        Array.from({ length: 24 }, (_, t) => at(t, 0)),
        stable,
      ),
      'Fail',
      'a candidate with as many slow requests all the time is slow',
    );
  });
  it('would fail by the bounds of the whole window alone', () => {
    const { lower } = judgementOf(compiling(30, 15), blocks(31, 15, 600)).numbers();
    assert.ok((lower ?? 0) > 0.15, String(lower));
  });
});

describe('a stall of the candidate in the middle of ten minutes', () => {
  it('is not a Fail: a verdict that depends on it is left to a person', () => {
    const stalled = blocks(20, 30, 200, (t) => (t === 14 || t === 15 ? Math.log(8) : 0));
    assert.equal(verdictOf(stalled, blocks(21, 30, 200)), 'OneWindow');
  });
});

describe('doubt about noise', () => {
  const compared = (shift: (t: number) => number, count: number) => ({
    candidate: series(blocks(14, count, 200, shift)),
    stable: series(blocks(15, count, 200)),
  });
  const assumed = { variance: 0.0098, minutes: 0 };
  it('raises the variance that is assumed for three minutes by five thirds', () =>
    assert.ok(
      Math.abs(
        doubtedVariance(
          compared(() => 0, 1),
          0.95,
          assumed,
        ) -
          (1 + 5 / 3) * 0.0098,
      ) < 1e-12,
    ));
  it('ends once noise is known from many minutes', () =>
    assert.ok(
      doubtedVariance(
        compared(() => 0, 30),
        0.95,
        { variance: 0.01, minutes: 97 },
      ) < 0.0106,
    ));
  it('counts blocks that differ in the first minutes as noise', () =>
    assert.ok(
      doubtedVariance(
        compared((t) => (t === 1 ? 0 : Math.log(4)), 3),
        0.95,
        assumed,
      ) > 0.3,
    ));
  it('does not make two stalls in a short window a Fail', () => {
    const candidate = blocks(16, 3, 400, (t) => (t === 1 ? 0 : Math.log(4)));
    assert.equal(verdictOf(candidate, blocks(17, 3, 400)), 'Uncertain');
  });
});
