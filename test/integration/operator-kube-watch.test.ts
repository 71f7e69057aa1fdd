/**
 * The reflector (a cache that list and watch requests keep up to date) over real sockets, against a server that
 * misbehaves: all known failures of watches, and how many lists and connections it needs to recover from each.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../lib/clock.ts';
import { eventually } from '../support/eventually.ts';
import { misdeeds, things, type Misdeed } from '../support/hostile-api.ts';
import { endWorlds, follow, hostileWorld, type Watching } from '../support/hostile-world.ts';

const isTold = (watching: Watching, what: string): Promise<true> =>
  eventually(what, () => watching.told.includes(what));

describe('the reflector against a server that misbehaves', () => {
  afterEach(endWorlds);

  type Row = { name: string; watch?: Misdeed[]; list?: Misdeed[]; cut?: 'close' | 'reset'; lists: number };
  const times = (n: number, misdeed: Misdeed): Misdeed[] => Array.from({ length: n }, () => misdeed);
  const rows: Row[] = [
    { name: '403 on three watches', watch: times(3, misdeeds.status(403, 'Forbidden')), lists: 1 },
    { name: '429 on three watches', watch: times(3, misdeeds.status(429, 'TooManyRequests')), lists: 1 },
    { name: '500 on three watches', watch: times(3, misdeeds.status(500, 'InternalError')), lists: 1 },
    { name: 'HTTP 410 on a watch', watch: [misdeeds.status(410, 'Expired')], lists: 2 },
    { name: 'an ERROR event 410', watch: [misdeeds.errorEvent(410, 'Expired')], lists: 2 },
    { name: 'an ERROR event 500 and a close', watch: times(2, misdeeds.errorEvent(500, 'InternalError')), lists: 1 },
    { name: 'a clean close', cut: 'close', lists: 1 },
    { name: 'a socket reset', cut: 'reset', lists: 1 },
    { name: 'a reset before any header', watch: times(2, misdeeds.reset()), lists: 1 },
    { name: 'HTML instead of events', watch: [misdeeds.garbage()], lists: 1 },
    { name: 'an event cut in half', watch: [misdeeds.halfEvent()], lists: 1 },
    { name: 'an event without an end', watch: [misdeeds.flood(Number.POSITIVE_INFINITY)], lists: 1 },
    {
      name: 'a list that fails after a 410',
      watch: [misdeeds.status(410, 'Expired')],
      list: times(2, misdeeds.status(500, 'InternalError')),
      lists: 4,
    },
    {
      name: 'a list of HTML after a 410',
      watch: [misdeeds.status(410, 'Expired')],
      list: [misdeeds.garbage()],
      lists: 3,
    },
  ];
  for (const row of rows) {
    it(`misses no event after ${row.name}`, async () => {
      const w = await hostileWorld();
      w.api.put('a');
      const watching = await follow(w);
      await eventually('the first watch', () => w.api.openWatches === 1);
      w.api.nextWatches.push(...(row.watch ?? []));
      w.api.nextLists.push(...(row.list ?? []));
      if (row.cut === 'reset') w.api.cutAll();
      else w.api.closeWatches();
      w.api.put('b');
      await isTold(watching, 'added b');
      w.api.put('c');
      w.api.delete('b');
      await isTold(watching, 'deleted b');
      assert.deepEqual(watching.told, ['added a', 'added b', 'added c', 'deleted b']);
      assert.deepEqual([w.api.seen.lists, w.api.openWatches], [row.lists, 1]);
      assert.deepEqual([w.api.nextWatches.length, w.api.nextLists.length], [0, 0]);
    });
  }

  it('closes its connection when its reader stops early', async () => {
    const w = await hostileWorld();
    w.api.put('a');
    for await (const event of w.client.watch(
      things,
      { resourceVersion: '0', timeoutSeconds: 60 },
      new AbortController().signal,
    )) {
      assert.equal(event.type, 'ADDED');
      break;
    }
    await eventually('the end of the watch', () => w.api.openWatches === 0);
  });

  it('recovers from a watch that became silent, and from a watch that never answered', async () => {
    const w = await hostileWorld();
    w.api.put('a');
    w.api.nextWatches.push(misdeeds.silence(), misdeeds.noAnswer());
    const watching = await follow(w, 150);
    await eventually('the first watch', () => w.api.seen.watches === 1);
    w.api.put('b');
    await isTold(watching, 'added b');
    assert.ok(w.api.seen.watches >= 3);
    assert.equal(w.api.seen.lists, 1);
  });

  it('backs off from a server that closes every watch at once', async () => {
    const w = await hostileWorld();
    w.api.nextWatches.push(...times(1000, misdeeds.cleanClose()));
    const watching = await follow(w);
    await systemClock.sleep(500);
    assert.ok(w.api.seen.watches < 20, `${w.api.seen.watches} watches in half a second`);
    w.api.nextWatches.length = 0;
    w.api.put('b');
    await isTold(watching, 'added b');
  });

  it('waits for the time in Retry-After', async () => {
    const w = await hostileWorld();
    w.api.nextWatches.push(misdeeds.status(429, 'TooManyRequests', { retryAfterSeconds: 0.4 }));
    const watching = await follow(w);
    w.api.put('b');
    await isTold(watching, 'added b');
    const [refusedAt = 0, nextAt = 0] = w.api.watchedAt;
    // A timer may fire a fraction of a millisecond early.
    assert.ok(nextAt - refusedAt >= 398, `${nextAt - refusedAt} ms`);
  });

  it('opens no watch after it was stopped during a pause', async () => {
    const w = await hostileWorld();
    w.api.nextWatches.push(misdeeds.status(429, 'TooManyRequests', { retryAfterSeconds: 0.4 }));
    const { stop } = await follow(w);
    await eventually('the refused watch', () => w.api.seen.watches === 1);
    await stop();
    await systemClock.sleep(600);
    assert.deepEqual([w.api.seen.watches, w.api.openWatches], [1, 0]);
  });

  it('closes its connection when it is stopped during a watch', async () => {
    const w = await hostileWorld();
    const { stop } = await follow(w);
    await eventually('the watch', () => w.api.openWatches === 1);
    await stop();
    await eventually('the end of the watch', () => w.api.openWatches === 0);
  });

  it('waits for a server that is not running yet, then lists page by page', async () => {
    const w = await hostileWorld();
    for (let i = 0; i < 25; i += 1) w.api.put(`t${i}`);
    w.api.nextLists.push(
      misdeeds.reset(),
      misdeeds.reset(),
      misdeeds.status(503, 'ServiceUnavailable'),
      misdeeds.garbage(),
    );
    const { reflector } = await follow(w);
    assert.equal(reflector.cache.size, 25);
    assert.equal(reflector.cache.get('default/t7')?.kind, 'Thing');
    assert.equal(w.api.seen.lists, 4 + 3);
  });

  it('uses one connection for a watch and a few for hundreds of requests', async () => {
    const w = await hostileWorld();
    await follow(w);
    await eventually('the watch', () => w.api.openWatches === 1);
    const before = w.api.seen.connections;
    for (let i = 0; i < 200; i += 1) await w.client.list(things, {});
    assert.ok(
      w.api.seen.connections - before <= 1,
      `${w.api.seen.connections - before} connections for 200 requests one by one`,
    );
    await Promise.all(Array.from({ length: 200 }, () => w.client.list(things, {})));
    assert.ok(
      w.api.seen.connections - before <= 16,
      `${w.api.seen.connections - before} connections for 200 requests at once`,
    );
    assert.equal(w.api.openWatches, 1);
  });
});
