import assert from 'node:assert/strict';
import { Random } from '../../../../bench/canary/random.ts';
import { firstWholeBlockAfter } from '../../../../api/report.ts';
import { historyBefore, historyBlocks } from '../../../../operator/analysis/history.ts';
import { addCount, latencyBucketOf, emptyHistogram, reportScale } from '../../../../operator/analysis/log-histogram.ts';
import { noHistory } from '../../../../operator/analysis/noise.ts';
import type { Cell } from '../../../../operator/analysis/series.ts';

function cells(pod: string, from: number, count: number, noise: number): Cell[] {
  const random = new Random(pod.length, from);
  let minute = 0;
  return Array.from({ length: count }, (_, i) => {
    if (i % 3 === 0) minute = noise * random.normal();
    const latency = emptyHistogram(reportScale);
    for (let request = 0; request < 200; request++)
      addCount(latency, latencyBucketOf(reportScale, 3 + minute + 0.5 * random.normal()), 1);
    return {
      pod,
      block: from + i,
      tier: 'interactive',
      sizeClass: 1,
      latency,
      requests: 200,
      failures: 0,
      compared: 0,
      disagreed: 0,
    };
  });
}

describe('the history before a window', () => {
  const first = 5000;
  it('distinguishes a quiet service from a noisy one', () => {
    const quiet = historyBefore(first, cells('a', first - historyBlocks, historyBlocks, 0))(0.95);
    const noisy = historyBefore(first, cells('a', first - historyBlocks, historyBlocks, 0.3))(0.95);
    assert.ok(quiet.minutes > 5 && noisy.minutes > 5);
    assert.ok(noisy.weightedVariance / noisy.minutes > 10 * (quiet.weightedVariance / quiet.minutes));
  });

  it('is empty when stable had no requests, or only inside the window or long ago', () => {
    assert.deepEqual(historyBefore(first, [])(0.95), noHistory);
    assert.deepEqual(historyBefore(first, cells('a', first, 30, 0.3))(0.95), noHistory);
    assert.deepEqual(historyBefore(first, cells('a', first - 200, 100, 0.3))(0.95), noHistory);
  });

  it('does not depend on the order of cells', () => {
    const all = [
      ...cells('a', first - historyBlocks, historyBlocks, 0.1),
      ...cells('bb', first - historyBlocks, historyBlocks, 0.1),
    ];
    assert.deepEqual(historyBefore(first, all.toReversed())(0.99), historyBefore(first, all)(0.99));
  });
});

describe('the first whole block after a moment', () => {
  const rows = [
    { ms: 0, block: 0 },
    { ms: 1, block: 1 },
    { ms: 20_000, block: 1 },
    { ms: 20_001, block: 2 },
  ];
  for (const { ms, block } of rows) it(`of ${ms} ms is ${block}`, () => assert.equal(firstWholeBlockAfter(ms), block));
});
