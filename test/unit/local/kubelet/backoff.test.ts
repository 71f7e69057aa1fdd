/** The back-off: how long a container that ended waits for its next start. */
import assert from 'node:assert/strict';
import {
  afterRestart,
  formatWait,
  kubeletBackoff,
  nextStart,
  type BackoffEntry,
} from '../../../../local/kubelet/backoff.ts';

describe('container backoff', () => {
  /**
   * The wait before each of `count` runs that end right after their start. Each run starts as soon as the back-off
   * allows it.
   */
  const waitsOf = (count: number): readonly number[] => {
    let entry: BackoffEntry | undefined;
    let now = 0;
    return Array.from({ length: count }, () => {
      const { atMs, waitMs } = nextStart(entry, now, kubeletBackoff);
      entry = afterRestart(entry, now, atMs, kubeletBackoff);
      now = atMs;
      return waitMs;
    });
  };

  it('restarts at once, then waits 10 s and twice as long each time, at most 5 min', () => {
    assert.deepEqual(waitsOf(8), [0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  it('starts over after a run of more than 10 min', () => {
    const entry = { waitMs: 160_000, settledMs: 0 };
    assert.equal(nextStart(entry, 600_001, kubeletBackoff).waitMs, 0);
    assert.equal(afterRestart(entry, 600_001, 600_001, kubeletBackoff).waitMs, 10_000);
    assert.equal(nextStart(entry, 600_000, kubeletBackoff).waitMs, 160_000);
  });

  it('counts the wait from the end of the run', () => {
    assert.equal(nextStart({ waitMs: 10_000, settledMs: 0 }, 60_000, kubeletBackoff).atMs, 70_000);
  });

  it('prints waits as Go does', () =>
    assert.deepEqual([10_000, 160_000, 300_000, 250].map(formatWait), ['10s', '2m40s', '5m0s', '250ms']));
});
