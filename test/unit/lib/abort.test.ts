/** Waiting for abort signals: a signal that is already aborted counts, too, and every listener is removed. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { aborted, onAbort, raceAbort, reasonOf } from '../../../lib/abort.ts';

const over = (): AbortSignal => AbortSignal.abort(new Error('stopped'));

describe('onAbort', () => {
  it('runs at once when the signal is aborted already', () => {
    let runs = 0;
    onAbort(over(), () => (runs += 1));
    assert.equal(runs, 1);
  });
  it('runs once when the signal is aborted later', () => {
    const stop = new AbortController();
    let runs = 0;
    onAbort(stop.signal, () => (runs += 1));
    assert.equal(runs, 0);
    stop.abort();
    assert.equal(runs, 1);
  });
  it('does not run, and leaves no listener, when it is cancelled', () => {
    const stop = new AbortController();
    let runs = 0;
    onAbort(stop.signal, () => (runs += 1))();
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
    stop.abort();
    assert.equal(runs, 0);
  });
});

describe('aborted', () => {
  it('resolves for a signal that is aborted already, and for one that is aborted later', async () => {
    const stop = new AbortController();
    const later = aborted(stop.signal);
    stop.abort();
    await Promise.all([aborted(over()), later]);
  });
});

describe('raceAbort', () => {
  it('is the promise when that comes first, and leaves no listener', async () => {
    const stop = new AbortController();
    assert.equal(await raceAbort(Promise.resolve(1), stop.signal), 1);
    await Promise.resolve();
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
  });
  it("is the signal's reason when that comes first", () =>
    assert.rejects(raceAbort(new Promise(() => {}), over()), { message: 'stopped' }));
});

describe('reasonOf', () => {
  it('is an Error for every reason', () => assert.equal(reasonOf(AbortSignal.abort('late')).message, 'late'));
});
