/** The answers to the startup, readiness and liveness probes. */
import assert from 'node:assert/strict';
import { Readiness } from '../../../../runtime/call/readiness.ts';
import { HandClock } from '../../../support/hand-clock.ts';

function given() {
  const clock = new HandClock();
  const workers = { ready: 0 };
  return { clock, workers, readiness: new Readiness(clock, () => workers) };
}

describe('Readiness', () => {
  it('is alive but not ready while the model loads, however long that takes', async () => {
    const { clock, readiness } = given();
    await clock.advance(3_600_000);
    assert.deepEqual(
      [readiness.alive, readiness.ready, readiness.startedUp, readiness.reason],
      [true, false, false, 'loading the model'],
    );
    assert.throws(() => readiness.admit(), /not ready: loading the model/);
  });

  it('is ready once it has warmed up and has a worker', () => {
    const { workers, readiness } = given();
    workers.ready = 1;
    readiness.moveTo('Warming');
    assert.equal(readiness.ready, false);
    readiness.moveTo('Ready');
    assert.deepEqual([readiness.ready, readiness.reason], [true, 'ready']);
    readiness.admit();
  });

  it('is not ready while all workers are being replaced', () => {
    const { readiness } = given();
    readiness.moveTo('Ready');
    assert.deepEqual([readiness.ready, readiness.reason], [false, 'every worker is being replaced']);
  });

  it('is not alive when there was no worker for a minute', async () => {
    const { clock, workers, readiness } = given();
    workers.ready = 1;
    readiness.moveTo('Ready');
    workers.ready = 0;
    assert.equal(readiness.alive, true);
    await clock.advance(59_000);
    assert.equal(readiness.alive, true);
    await clock.advance(1000);
    assert.equal(readiness.alive, false);
    workers.ready = 1;
    assert.equal(readiness.alive, true);
  });

  it('is not ready while every worker is stuck for the limit, and not alive at twice the limit', async () => {
    const seen = { stuckMs: 0, limitMs: 30_000 };
    const readiness = new Readiness(
      new HandClock(),
      () => ({ ready: 2 }),
      () => seen,
    );
    readiness.moveTo('Ready');
    const at = (stuckMs: number): readonly boolean[] => {
      seen.stuckMs = stuckMs;
      return [readiness.ready, readiness.alive];
    };
    assert.deepEqual(
      [at(30_000), at(30_001), at(60_000), at(60_001), at(0)],
      [
        [true, true],
        [false, true],
        [false, true],
        [false, false],
        [true, true],
      ],
    );
    at(45_000);
    assert.throws(() => readiness.admit(), /every worker has been in one run for 45 s \(limit 30 s\)/);
  });

  it('ignores long runs during warm-up', () => {
    const readiness = new Readiness(
      new HandClock(),
      () => ({ ready: 1 }),
      () => ({ stuckMs: 1e9, limitMs: 30_000 }),
    );
    readiness.moveTo('Warming');
    assert.equal(readiness.alive, true);
  });

  it('admits requests while it drains, but is not ready', () => {
    const { workers, readiness } = given();
    workers.ready = 1;
    readiness.moveTo('Ready');
    readiness.moveTo('Draining');
    assert.deepEqual([readiness.ready, readiness.startedUp, readiness.alive], [false, true, true]);
    readiness.admit();
  });
});
