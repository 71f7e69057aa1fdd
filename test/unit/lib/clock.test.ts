/** Waiting for longer than one timer of Node can wait. */
import assert from 'node:assert/strict';
import { longTimer } from '../../../lib/clock.ts';

const longestMs = 2 ** 31 - 1;

/** Timers that a test fires by hand. */
class HandTimers {
  readonly startedMs: number[] = [];
  cancelled = 0;
  #fn: (() => void) | undefined;

  readonly start = (ms: number, fn: () => void): (() => void) => {
    this.startedMs.push(ms);
    this.#fn = fn;
    return () => {
      this.cancelled += 1;
      this.#fn = undefined;
    };
  };

  fire(): void {
    this.#fn?.();
  }
}

describe('longTimer', () => {
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, ms: number, timers: readonly number[]])[] = [
    ['waits a short time with one timer', 1_500, [1_500]],
    ['waits the longest delay of Node with one timer', longestMs, [longestMs]],
    ['waits 50 days with several timers', 50 * 86_400_000, [longestMs, longestMs, 50 * 86_400_000 - 2 * longestMs]],
    ['does not wait for a time in the past', -1, [0]],
  ];
  for (const [sentence, ms, expected] of rows) {
    it(sentence, () => {
      const timers = new HandTimers();
      let runs = 0;
      longTimer(ms, () => (runs += 1), timers.start);
      for (const _ of expected) {
        assert.equal(runs, 0);
        timers.fire();
      }
      assert.deepEqual(timers.startedMs, expected);
      assert.equal(runs, 1);
    });
  }

  it('cancels the timer that is running', () => {
    const timers = new HandTimers();
    let runs = 0;
    const cancel = longTimer(2 * longestMs, () => (runs += 1), timers.start);
    timers.fire();
    cancel();
    timers.fire();
    assert.deepEqual([timers.cancelled, timers.startedMs.length, runs], [1, 2, 0]);
  });

  it('never runs when the time is infinite', () => {
    const timers = new HandTimers();
    longTimer(Infinity, () => assert.fail('the timer ran'), timers.start);
    for (let i = 0; i < 100; i += 1) timers.fire();
    assert.equal(timers.startedMs.length, 101);
  });
});
