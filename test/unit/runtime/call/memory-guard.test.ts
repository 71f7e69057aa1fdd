/** Near the memory limit the guard first recycles a worker, then refuses requests, and later accepts them again. */
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
  it('recycles a worker before it refuses requests', async () => {
    const { world, guard } = given(100 * mib);
    world.anonymousMib = 90;
    await guard.look();
    guard.admit();
    assert.equal(world.recycled, 1);
  });

  it('refuses requests when memory is short, and accepts them again once memory is free', async () => {
    const { world, guard } = given(100 * mib);
    world.anonymousMib = 95;
    await guard.look();
    assert.throws(() => guard.admit(), /not enough memory: 95Mi of 100Mi are in use/);
    world.anonymousMib = 50;
    await guard.look();
    guard.admit();
  });

  it('waits 20 s for a recycled worker to free memory before it recycles the next', async () => {
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

  it('reports the peak of anonymous memory', async () => {
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

  it('reads memory until the signal is aborted', async () => {
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
  it('is undefined for a text without RssAnon', () => assert.equal(parseAnonymousBytes('VmRSS: 12 kB'), undefined));
});
