/** Staying under the memory limit: recycle first, refuse later, and take work again. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { MemoryGuard, parseAnonymousBytes } from '../../../../runtime/call/memory-guard.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const mib = 2 ** 20;

function given(limitBytes: number | undefined) {
  const world = { anonymousMib: 0, recycled: 0 };
  const clock = new HandClock();
  const guard = new MemoryGuard({
    clock,
    logger: silentLogger,
    recycle: () => {
      world.recycled += 1;
    },
    limitBytes,
    read: () => Promise.resolve(`VmRSS: 999 kB\nRssAnon:\t   ${world.anonymousMib * 1024} kB\n`),
  });
  return { world, clock, guard };
}

describe('MemoryGuard', () => {
  it('recycles a worker before it refuses work', async () => {
    const { world, guard } = given(100 * mib);
    world.anonymousMib = 90;
    await guard.look();
    guard.admit();
    assert.equal(world.recycled, 1);
  });

  it('refuses work when memory is short, and takes it again', async () => {
    const { world, guard } = given(100 * mib);
    world.anonymousMib = 95;
    await guard.look();
    assert.throws(() => guard.admit(), /not enough memory: 95Mi of 100Mi are in use/);
    world.anonymousMib = 50;
    await guard.look();
    guard.admit();
  });

  it('waits for what a recycled worker gives back before it recycles the next', async () => {
    const { world, clock, guard } = given(100 * mib);
    world.anonymousMib = 90;
    await guard.look();
    await clock.advance(10_000);
    await guard.look();
    assert.equal(world.recycled, 1);
    await clock.advance(10_000);
    await guard.look();
    assert.equal(world.recycled, 2);
  });

  it('keeps the peak', async () => {
    const { world, guard } = given(undefined);
    for (world.anonymousMib of [10, 70, 30]) await guard.look();
    assert.deepEqual(guard.reading, { limitBytes: null, anonymousBytes: 30 * mib, peakBytes: 70 * mib });
  });

  it('does nothing without a limit', async () => {
    const { world, guard } = given(undefined);
    world.anonymousMib = 1e6;
    await guard.look();
    guard.admit();
    assert.equal(world.recycled, 0);
  });

  it('watches until it is told to stop', async () => {
    const { world, clock, guard } = given(100 * mib);
    const stop = new AbortController();
    const watching = guard.watch(stop.signal);
    world.anonymousMib = 42;
    await clock.advance(1000);
    assert.equal(guard.reading.anonymousBytes, 42 * mib);
    stop.abort();
    await watching;
  });
});

describe('parseAnonymousBytes', () => {
  it('knows when it does not know', () => assert.equal(parseAnonymousBytes('VmRSS: 12 kB'), undefined));
});
