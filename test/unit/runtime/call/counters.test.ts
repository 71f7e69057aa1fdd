/**
 * Traffic counts per tier (how urgent a request is) and size class (how large its inputs are), and the buckets of
 * durations.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Counters, sizeClassOf } from '../../../../runtime/call/counters.ts';
import { base, durationBucket, growth, DurationCounts } from '../../../../api/histogram.ts';

describe('durationBucket', () => {
  it('chooses the bucket whose bounds, as the report defines them, enclose the duration', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 20_000, noNaN: true }), (seconds) => {
        const index = durationBucket(seconds);
        assert.ok(seconds <= base * growth ** index * (1 + 1e-12));
        if (index > 0) assert.ok(seconds > base * growth ** (index - 1) * (1 - 1e-12));
      }),
    );
  });

  it('counts a duration equal to the upper bound of a bucket in that bucket', () => {
    for (let index = 0; index <= 900; index += 1) assert.equal(durationBucket(base * growth ** index), index);
  });

  it('has a last bucket', () => assert.equal(durationBucket(Infinity), 1000));
  it('has a first bucket', () =>
    assert.deepEqual([durationBucket(0), durationBucket(-1), durationBucket(NaN)], [0, 0, 0]));
});

describe('DurationCounts', () => {
  it('is sparse and sorted', () => {
    const histogram = new DurationCounts();
    for (const seconds of [1, 1e-5, 1, 0.01]) histogram.observe(seconds);
    assert.deepEqual(histogram.snapshot(), { base: 1e-4, growth: 1.02, counts: { 0: 1, 233: 1, 466: 2 } });
  });
});

describe('Counters', () => {
  it("counts tiers separately, and reports the interactive tier as 'default'", () => {
    const counters = new Counters();
    counters.record({ kind: 'Ok', elements: 8, seconds: 0.01 }, 'bulk');
    counters.record({ kind: 'Ok', elements: 8, seconds: 0.01 });
    counters.record({ kind: 'Error', elements: 8, outcome: 'overloaded' }, 'bulk');
    assert.deepEqual(
      counters.snapshot().map(({ tier, sizeClass, ok, shed }) => ({ tier, sizeClass, ok, shed })),
      [
        { tier: 'default', sizeClass: 8, ok: 1, shed: 0 },
        { tier: 'bulk', sizeClass: 8, ok: 1, shed: 1 },
      ],
    );
  });

  it('counts size classes separately, and shed requests in addition to errors', () => {
    const counters = new Counters();
    counters.record({ kind: 'Ok', elements: 5, seconds: 0.01 });
    counters.record({ kind: 'Ok', elements: 8, seconds: 0.01 });
    counters.record({ kind: 'Ok', elements: 9, seconds: 0.01 });
    counters.record({ kind: 'Error', elements: 8, outcome: 'overloaded' });
    counters.record({ kind: 'Error', elements: 8, outcome: 'bug' });
    counters.record({ kind: 'Error', elements: 0, outcome: 'invalid' });
    const brief = counters
      .snapshot()
      .map(({ tier, sizeClass, ok, errors, shed }) => [tier, sizeClass, ok, errors, shed]);
    assert.deepEqual(brief, [
      ['default', 0, 0, { invalid: 1 }, 0],
      ['default', 8, 2, { overloaded: 1, bug: 1 }, 1],
      ['default', 16, 1, {}, 0],
    ]);
  });
});

describe('sizeClassOf', () => {
  it('is the smallest power of two that is at least the number of elements', () =>
    assert.deepEqual([0, 1, 2, 3, 4, 5, 1024, 1025].map(sizeClassOf), [0, 1, 2, 4, 4, 8, 1024, 2048]));
});
