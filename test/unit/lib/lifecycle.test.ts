/**
 * Signals: the first one ends the program in order, a duplicate has no effect, and a later one ends the program at
 * once.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../../../lib/clock.ts';
import { signalHandler } from '../../../lib/lifecycle.ts';
import { HandClock } from '../../support/hand-clock.ts';

type Row = readonly [sentence: string, atMs: readonly number[], did: readonly string[]];

describe('signals', () => {
  const rows: readonly Row[] = [
    ['end the program in order at the first one', [0], ['end']],
    ['count once when npm forwards what the terminal has sent already', [0, 3], ['end']],
    ['count once within half a second, however many there are', [0, 10, 200, 499], ['end']],
    ['end the program at once when a second one comes later', [0, 501], ['end', 'now']],
    ['end the program at once when a duplicate came in between', [0, 10, 2_000], ['end', 'now']],
  ];
  for (const [sentence, atMs, did] of rows) {
    it(sentence, async () => {
      const clock = new HandClock(0);
      const done: string[] = [];
      const onSignal = signalHandler({ clock, end: () => done.push('end'), endNow: () => done.push('now') });
      for (const at of atMs) {
        await clock.advance(at - clock.now());
        onSignal('SIGINT');
      }
      assert.deepEqual(done, did);
    });
  }

  it('count once when the event loop was blocked for longer than half a second between them', () => {
    let due = (): void => {};
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 0,
      sleep: () => Promise.resolve(),
      after: (_, fn) => ((due = fn), () => {}),
    };
    const done: string[] = [];
    const onSignal = signalHandler({ clock, end: () => done.push('end'), endNow: () => done.push('now') });
    onSignal('SIGINT');
    // Simulates a late turn of the event loop: first its due timers run, then the handler of the second signal.
    due();
    onSignal('SIGINT');
    assert.deepEqual(done, ['end']);
  });
});
