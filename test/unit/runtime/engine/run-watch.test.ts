/** Detecting runs that take too long, without mistaking a busy server for one. */
import assert from 'node:assert/strict';
import { RunWatch } from '../../../../runtime/engine/run-watch.ts';
import type { Engine, EngineResult } from '../../../../runtime/engine/port.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

/** An engine whose runs end when the test ends them. */
function given(leastMs = 30_000) {
  const clock = new HandClock();
  const ends: (() => void)[] = [];
  const inner: Engine = {
    freeSlots: 2,
    workers: { ready: 2, wanted: 2 },
    sequences: new FakeEngine({ model: () => ({}) }).sequences,
    onFree: () => {},
    recycle: () => {},
    close: () => Promise.resolve(),
    run: () =>
      new Promise<EngineResult>((resolve) => ends.push(() => resolve({ parts: [], inferMs: 0, together: true }))),
  };
  const watch = new RunWatch(clock, leastMs);
  const engine = watch.watched(inner);
  const begin = (): void => void engine.run({ parts: [], outputs: [] });
  const end = async (index: number): Promise<void> => {
    ends[index]?.();
    await settle();
  };
  return { clock, watch, begin, end };
}

describe('RunWatch', () => {
  it('watches steps of sequences as it watches runs', async () => {
    const clock = new HandClock();
    const watch = new RunWatch(clock, 30_000);
    const gate = Promise.withResolvers<void>();
    const fake = new FakeEngine({
      model: ({ x }) => (x === undefined ? {} : { y: x }),
      stateBytes: 8,
      gate: () => gate.promise,
    });
    const { sequences } = watch.watched(fake);
    const sequence = sequences.open({ maxBytes: 8 });
    const running = sequences.step([{ sequence, inputs: {}, keep: {}, outputs: [] }]);
    await clock.advance(5000);
    assert.equal(watch.oldestMs, 5000);
    gate.resolve();
    await running;
    assert.equal(watch.oldestMs, 0);
  });

  it('reports the age of the oldest run', async () => {
    const { clock, watch, begin, end } = given();
    assert.equal(watch.oldestMs, 0);
    begin();
    await clock.advance(5000);
    begin();
    await clock.advance(1000);
    assert.equal(watch.oldestMs, 6000);
    await end(0);
    assert.equal(watch.oldestMs, 1000);
  });

  it('reports that all workers are stuck only when each is in an old run', async () => {
    const { clock, watch, begin } = given();
    begin();
    await clock.advance(60_000);
    assert.equal(watch.stuckMs(2), 0);
    begin();
    await clock.advance(1000);
    assert.equal(watch.stuckMs(2), 1000);
  });

  it('does not report a server that is always busy as stuck', async () => {
    const { clock, watch, begin, end } = given();
    for (let run = 0; run < 100; run += 1) {
      begin();
      await clock.advance(1000);
      if (run > 0) await end(run - 1);
      assert.ok(watch.stuckMs(1) <= 1000);
    }
  });

  it('allows a run ten times the longest run of the warm-up, and at least the given time', async () => {
    const { clock, watch, begin, end } = given();
    begin();
    await clock.advance(2000);
    await end(0);
    assert.equal(watch.limitMs, 30_000);
    begin();
    await clock.advance(7000);
    await end(1);
    assert.equal(watch.limitMs, 70_000);
  });

  it('ignores the duration of runs after the warm-up', async () => {
    const { clock, watch, begin, end } = given();
    watch.warmed();
    begin();
    await clock.advance(50_000);
    await end(0);
    assert.equal(watch.limitMs, 30_000);
  });
});
