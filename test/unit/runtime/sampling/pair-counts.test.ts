/** Buckets of ratios of service times, and a pod's counts of pairs: two revisions' times for the same request. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ratioBucketOf, ratioBuckets } from '../../../../api/report.ts';
import { PairCounts, type Pair } from '../../../../runtime/sampling/pair-counts.ts';

describe('ratioBucketOf', () => {
  it('has equal times in the middle of a bucket', () => {
    const bucket = ratioBucketOf(1);
    assert.equal(ratioBucketOf(1.0098), bucket);
    assert.equal(ratioBucketOf(1 / 1.0098), bucket);
    assert.deepEqual([ratioBucketOf(1.011), ratioBucketOf(1 / 1.011)], [bucket + 1, bucket - 1]);
  });

  it('covers 1/50 to 50, and counts other ratios in the first and last bucket', () => {
    assert.deepEqual([ratioBucketOf(1e-9), ratioBucketOf(0.02), ratioBucketOf(1e9)], [0, 0, ratioBuckets.most]);
    assert.ok(ratioBucketOf(49) < ratioBuckets.most);
  });

  it('favours neither revision: the buckets of a ratio and its inverse are mirrored', () => {
    fc.assert(
      fc.property(fc.double({ min: -3.8, max: 3.8, noNaN: true }), (ln) => {
        // Skip ratios at the boundary of two buckets, where rounding decides.
        const off = (((ln / Math.log(1.02)) % 1) + 1.5) % 1;
        fc.pre(off > 1e-6 && off < 1 - 1e-6);
        assert.equal(ratioBucketOf(Math.exp(ln)) + ratioBucketOf(Math.exp(-ln)), 2 * ratioBucketOf(1));
      }),
      { seed: 92 },
    );
  });
});

describe('PairCounts', () => {
  it('is undefined before the first probe or replay', () => assert.equal(new PairCounts(() => {}).pairs, undefined));

  it('counts pairs by source and skipped ones by reason, and passes pairs on', () => {
    const passed: Pair[] = [];
    const counts = new PairCounts((pair) => passed.push(pair));
    const pair = { tier: 'default', sizeClass: 0, source: 'Probe', ratio: 1.2 } as const;
    counts.paired(pair);
    counts.paired({ ...pair, source: 'Replay' });
    counts.paired(pair);
    counts.skipped('Busy');
    counts.loaded(0.0312345);
    assert.deepEqual(counts.pairs, { paired: { Replay: 1, Probe: 2 }, skipped: { Busy: 1 }, probeLoad: 0.0312 });
    assert.deepEqual(
      passed.map(({ source }) => source),
      ['Probe', 'Replay', 'Probe'],
    );
  });
});
