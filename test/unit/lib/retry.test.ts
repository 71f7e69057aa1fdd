/** How long to wait before another try, and the loop that waits. */
import assert from 'node:assert/strict';
import { backoffMs, doubledMs, retry, retryErrors } from '../../../lib/retry.ts';
import { HandClock, settle } from '../../support/hand-clock.ts';

const backoff = { baseMs: 100, maxMs: 1000 };

describe('the wait before another try', () => {
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, attempt: number, wait: number])[] = [
    ['is the base after the first failure', 1, 100],
    ['doubles with each failure', 3, 400],
    ['ends at the limit', 5, 1000],
    ['stays finite after any number of failures', 1e9, 1000],
    ['takes no failure for one', 0, 100],
  ];
  for (const [sentence, attempt, wait] of rows) {
    it(sentence, () => {
      assert.equal(doubledMs(backoff, attempt), wait);
      assert.equal(backoffMs(backoff, attempt, 0), wait / 2, 'half of it is certain');
      assert.equal(backoffMs(backoff, attempt, 0.5), wait * 0.75);
    });
  }
});

describe('retry', () => {
  it('does the work again after each pause, until its outcome is final', async () => {
    const clock = new HandClock();
    const attempts: number[] = [];
    const outcome = retry(
      (attempt) => {
        attempts.push(attempt);
        return Promise.resolve(attempt * 10);
      },
      { clock, pauseAfter: (_, attempt) => (attempt < 3 ? 100 * attempt : undefined) },
    );
    await clock.advance(99);
    assert.deepEqual(attempts, [1]);
    await clock.advance(1);
    assert.deepEqual(attempts, [1, 2]);
    await clock.advance(200);
    assert.equal(await outcome, 30);
  });

  it('ends with the outcome it has when the signal is aborted while it waits', async () => {
    const clock = new HandClock();
    const stop = new AbortController();
    const outcome = retry((attempt) => Promise.resolve(attempt), {
      clock,
      signal: stop.signal,
      pauseAfter: () => 60_000,
    });
    await settle();
    stop.abort();
    assert.equal(await outcome, 1);
  });

  it('asks for no pause once the signal is aborted', async () => {
    const pauseAfter = (): never => assert.fail('asked');
    const signal = AbortSignal.abort();
    assert.equal(await retry(() => Promise.resolve(1), { clock: new HandClock(), signal, pauseAfter }), 1);
  });
});

describe('retryErrors', () => {
  it('does the work again after an error, and gives its value', async () => {
    const work = (attempt: number): Promise<string> =>
      attempt < 3 ? Promise.reject(new Error('busy')) : Promise.resolve('done');
    assert.equal(await retryErrors(work, { clock: new HandClock(), pauseAfter: () => 0 }), 'done');
  });

  it('throws the error of the last try', async () => {
    const work = (attempt: number): Promise<never> => Promise.reject(new Error(`failure ${attempt}`));
    const pauseAfter = (_: unknown, attempt: number): number | undefined => (attempt < 2 ? 0 : undefined);
    await assert.rejects(retryErrors(work, { clock: new HandClock(), pauseAfter }), { message: 'failure 2' });
  });

  it('does not ask about a value', async () => {
    const pauseAfter = (): never => assert.fail('asked');
    assert.equal(await retryErrors(() => Promise.resolve(1), { clock: new HandClock(), pauseAfter }), 1);
  });
});
