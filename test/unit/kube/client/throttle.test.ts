/** When a client may send: the server's pause, the slow start after it, and the client's own rate. */
import assert from 'node:assert/strict';
import { statusOf } from '../../../../kube/client/kube-error.ts';
import { Throttle, withoutPauses, type ThrottleLimits } from '../../../../kube/client/throttle.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

type World = { readonly clock: HandClock; readonly throttle: Throttle; readonly sentAtMs: number[] };

function world(limits?: ThrottleLimits): World {
  const clock = new HandClock(0);
  return { clock, throttle: new Throttle(clock, limits), sentAtMs: [] };
}

/** Begins requests. Each records the time at which it may be sent. */
async function begin({ clock, throttle, sentAtMs }: World, times: number, mostMs = 10_000): Promise<void> {
  const never = new AbortController().signal;
  await Promise.all(
    Array.from({ length: times }, () => throttle.turn(never, mostMs).then(() => void sentAtMs.push(clock.monotonic()))),
  );
}

describe('Throttle', () => {
  it('lets every request through without a pause and without a rate', async () => {
    const w = world();
    await begin(w, 1000);
    assert.equal(w.sentAtMs.length, 1000);
    assert.equal(w.clock.pending, 0);
  });

  it('holds every request of the client for the time that the server stated, then starts slowly', async () => {
    const w = world();
    w.throttle.pause(1000);
    void begin(w, 4);
    await w.clock.advance(999);
    assert.deepEqual(w.sentAtMs, []);
    await w.clock.advance(1000);
    assert.deepEqual(w.sentAtMs, [1000, 1050, 1100, 1150]);
  });

  it('sends at full speed again when the slow start has lasted as long as the pause', async () => {
    const w = world();
    w.throttle.pause(1000);
    await w.clock.advance(2000);
    void begin(w, 5);
    await settle();
    assert.deepEqual(w.sentAtMs, [2000, 2000, 2000, 2000, 2000]);
  });

  it('holds requests that were already waiting when another pause is longer', async () => {
    const w = world();
    w.throttle.pause(1000);
    void begin(w, 1);
    await w.clock.advance(500);
    w.throttle.pause(3000);
    w.throttle.pause(100);
    await w.clock.advance(2999);
    assert.deepEqual(w.sentAtMs, []);
    await w.clock.advance(1);
    assert.deepEqual(w.sentAtMs, [3500]);
  });

  it('refuses a request at once when the pause is longer than its wait may be, and says when it ends', async () => {
    const w = world();
    w.throttle.pause(12_000);
    await assert.rejects(begin(w, 1), (error) => {
      assert.deepEqual([statusOf(error)?.status, statusOf(error)?.afterMs], [429, 12_000]);
      return true;
    });
    await w.clock.advance(2000);
    void begin(w, 1);
    await w.clock.advance(10_000);
    assert.deepEqual(w.sentAtMs, [12_000]);
  });

  it('does not pause for the client of the Leases', () => {
    const { throttle } = world(withoutPauses);
    throttle.pause(15_000);
    assert.equal(throttle.pausedMs, 0);
  });

  it('pauses for a minute at most', () => {
    const { throttle } = world();
    throttle.pause(300_000);
    assert.equal(throttle.pausedMs, 60_000);
  });

  it('ends the wait of a request that is aborted, with the reason', async () => {
    const { throttle } = world();
    throttle.pause(1000);
    const stop = new AbortController();
    const turn = throttle.turn(stop.signal, 10_000);
    stop.abort(new Error('enough'));
    await assert.rejects(turn, /enough/);
  });

  it('sends a burst at once and the rest at the rate', async () => {
    const w = world({ qps: 10, burst: 3 });
    void begin(w, 6);
    await w.clock.advance(1000);
    assert.deepEqual(w.sentAtMs, [0, 0, 0, 100, 200, 300]);
    await w.clock.advance(10_000);
    void begin(w, 4);
    await w.clock.advance(1000);
    assert.deepEqual(w.sentAtMs.slice(6), [11_000, 11_000, 11_000, 11_100]);
  });

  it('refuses a request that its own rate would hold for too long, and does not count it', async () => {
    const w = world({ qps: 1, burst: 1 });
    void begin(w, 3, 2000);
    for (let i = 0; i < 5; i += 1) await assert.rejects(begin(w, 1, 2000), /at most 1 requests a second/);
    await w.clock.advance(2000);
    assert.deepEqual(w.sentAtMs, [0, 1000, 2000]);
    void begin(w, 1, 2000);
    await w.clock.advance(1000);
    assert.deepEqual(w.sentAtMs.slice(3), [3000]);
  });
});
