/** The reflector against an API in memory, on a hand clock: how it recovers from each fault, and how soon. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry, expose } from '../../../../lib/metrics.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { Reflector, type ReflectorDeps } from '../../../../kube/cache/reflector.ts';
import type { ResourceType } from '../../../../kube/client/resource-type.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { MemoryKube, gone, refusal } from '../../../support/memory-kube.ts';

type Thing = KubeObject & { readonly data?: string };
const things: ResourceType<Thing> = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};

function thing(name: string, data = ''): Thing {
  return { apiVersion: 'test.dev/v1', kind: 'Thing', metadata: { name, namespace: 'default' }, data };
}

type World = {
  readonly kube: MemoryKube;
  readonly clock: HandClock;
  readonly reflector: Reflector<Thing>;
  readonly told: string[];
  readonly metrics: () => Promise<string>;
  readonly stop: () => Promise<void>;
};

const running: (() => Promise<void>)[] = [];

async function start(
  prepare: (kube: MemoryKube) => void = () => {},
  options: Partial<ReflectorDeps<Thing>> = {},
): Promise<World> {
  const kube = new MemoryKube();
  kube.put(things, thing('a'));
  prepare(kube);
  const clock = new HandClock();
  const registry = createRegistry();
  const reflector = new Reflector<Thing>({
    client: kube,
    type: things,
    clock,
    registry,
    logger: silentLogger,
    random: () => 0.5,
    freeze: true,
    ...options,
  });
  const told: string[] = [];
  reflector.cache.subscribe((change) =>
    told.push(`${change.kind} ${('now' in change ? change.now : change.before).metadata.name}`),
  );
  const stop = new AbortController();
  const ran = reflector.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await settle();
    await ran;
  };
  running.push(end);
  await settle();
  return { kube, clock, reflector, told, metrics: async () => (await expose(registry)).body, stop: end };
}

describe('Reflector', () => {
  afterEach(async () => {
    for (const end of running.splice(0)) await end();
  });

  it('lists, says that it is synced, and follows changes', async () => {
    const { kube, reflector, told } = await start();
    await reflector.whenSynced();
    kube.put(things, thing('b'));
    kube.put(things, thing('a', 'changed'));
    await kube.delete(things, { namespace: 'default', name: 'b' });
    await settle();
    assert.deepEqual(told, ['added a', 'added b', 'updated a', 'deleted b']);
    assert.deepEqual([kube.calls.list, kube.calls.watch, reflector.synced], [1, 1, true]);
  });

  it('stores only the objects to keep, and forgets one that is not to be kept any more', async () => {
    const { kube, reflector, told } = await start((k) => k.put(things, thing('b', 'other')), {
      keep: ({ data }) => data !== 'other',
    });
    kube.put(things, thing('c', 'other'));
    kube.put(things, thing('a', 'other'));
    kube.put(things, thing('b', 'ours'));
    await kube.delete(things, { namespace: 'default', name: 'c' });
    await settle();
    assert.deepEqual(told, ['added a', 'deleted a', 'added b']);
    assert.equal(reflector.cache.size, 1);
  });

  it('reads a long list in pages', async () => {
    const { kube, reflector } = await start(
      (k) => {
        for (let i = 0; i < 24; i += 1) k.put(things, thing(`t${i}`));
      },
      { limits: { pageSize: 10 } },
    );
    assert.equal(reflector.cache.size, 25);
    assert.equal(kube.calls.list, 3);
  });

  it('is not synced while the list fails, and retries until it succeeds', async () => {
    const { kube, clock, reflector } = await start((k) => k.fail('list', refusal(500, 'InternalError', 'boom'), 12));
    assert.equal(reflector.synced, false);
    await clock.advance(10 * 60_000);
    assert.equal(reflector.synced, true);
    assert.equal(kube.calls.list, 13);
  });

  it('asks for the whole list at once when storage is compacted between pages', async () => {
    const { kube, clock, reflector } = await start(
      (k) => {
        for (let i = 0; i < 24; i += 1) k.put(things, thing(`t${i}`));
        k.fail('list', () => {});
        k.fail('list', gone());
      },
      { limits: { pageSize: 10 } },
    );
    await clock.advance(2000);
    assert.equal(reflector.cache.size, 25);
    // The first try requested two pages, and the second page had expired. The next try lists everything in one request.
    assert.equal(kube.calls.list, 3);
  });

  type Row = { name: string; fault: (kube: MemoryKube) => void; afterMs: number; lists: number };
  // prettier-ignore
  const rows: Row[] = [
    { name: 'the server closes the watch after a while', fault: (k) => k.breakWatches(), afterMs: 0, lists: 1 },
    { name: 'the connection is reset', fault: (k) => k.breakWatches(new Error('terminated')), afterMs: 2000, lists: 1 },
    { name: 'an ERROR event 500 ends the watch',
      fault: (k) => k.breakWatches(refusal(500, 'InternalError', 'boom')), afterMs: 2000, lists: 1 },
    { name: 'an ERROR event 410 ends the watch', fault: (k) => k.breakWatches(gone()), afterMs: 2000, lists: 2 },
    { name: 'the next watch is answered 410',
      fault: (k) => { k.fail('watch', gone()); k.breakWatches(); }, afterMs: 2000, lists: 2 },
    { name: 'the next watch is forbidden', fault:
        (k) => { k.fail('watch', refusal(403, 'Forbidden', 'no')); k.breakWatches(); }, afterMs: 2000, lists: 1 },
    { name: 'the next watch is answered 429',
      fault: (k) => { k.fail('watch', refusal(429, 'TooManyRequests',
        'slow down')); k.breakWatches(); }, afterMs: 2000, lists: 1 },
    { name: 'the server does not have our resourceVersion yet',
      fault: (k) => { k.fail('watch', refusal(504, 'Timeout',
        'Too large resource version: 9, current: 3')); k.breakWatches(); }, afterMs: 2000, lists: 2 },
  ];
  for (const row of rows) {
    it(`follows changes again after ${row.name}`, async () => {
      const { kube, clock, told } = await start();
      await clock.advance(5000);
      row.fault(kube);
      kube.put(things, thing('b'));
      await clock.advance(row.afterMs);
      kube.put(things, thing('c'));
      await settle();
      assert.deepEqual(told, ['added a', 'added b', 'added c']);
      assert.deepEqual([kube.calls.list, kube.openWatches], [row.lists, 1]);
    });
  }

  it('waits as long as the server asks', async () => {
    const { kube, clock } = await start();
    await clock.advance(5000);
    kube.fail('watch', refusal(429, 'TooManyRequests', 'slow down', 20_000));
    kube.breakWatches();
    await clock.advance(19_000);
    assert.equal(kube.calls.watch, 2);
    await clock.advance(1000);
    assert.equal(kube.calls.watch, 3);
  });

  it('backs off while the server closes every watch at once', async () => {
    const { kube, clock } = await start();
    kube.fail(
      'watch',
      () => {
        throw Object.assign(refusal(503, 'ServiceUnavailable', 'not now'));
      },
      1000,
    );
    kube.breakWatches();
    await clock.advance(10 * 60_000);
    // The wait doubles from 0.6 s to 22.5 s: six tries in the first half minute, then one every 22.5 s.
    assert.ok(kube.calls.watch > 20 && kube.calls.watch < 40, `${kube.calls.watch} watches`);
  });

  it('backs off while watches are closed without an error and without an event', async () => {
    const { kube, clock } = await start();
    const polite = setInterval(() => kube.breakWatches(), 0);
    await clock.advance(60_000);
    clearInterval(polite);
    assert.ok(kube.calls.watch < 12, `${kube.calls.watch} watches`);
  });

  it('backs off from lists when every resourceVersion has expired', async () => {
    const { kube, clock } = await start();
    kube.fail('watch', gone(), 1000);
    kube.breakWatches();
    await clock.advance(60_000);
    assert.ok(kube.calls.list < 12, `${kube.calls.list} lists`);
  });

  it('ends a silent watch, and continues from its last resourceVersion', async () => {
    const { kube, clock, told } = await start();
    await clock.advance(119_000);
    assert.equal(kube.calls.watch, 1);
    await clock.advance(5000);
    assert.deepEqual([kube.calls.watch, kube.openWatches, kube.calls.list], [2, 1, 1]);
    kube.put(things, thing('b'));
    await settle();
    assert.deepEqual(told, ['added a', 'added b']);
  });

  it('counts bookmarks as events, and watches from the last one', async () => {
    const { kube, clock, reflector } = await start();
    for (let i = 0; i < 10; i += 1) {
      await clock.advance(60_000);
      kube.bookmark(things);
    }
    await settle();
    assert.equal(kube.calls.watch, 1);
    assert.equal(reflector.silentMs, 0);
    kube.compact();
    kube.breakWatches();
    await clock.advance(1000);
    // The watch resumes from the bookmark's resourceVersion, so the server does not answer 410 and no list is needed.
    assert.deepEqual([kube.calls.watch, kube.calls.list], [2, 1]);
  });

  it('reports which objects were deleted or created again while it was disconnected', async () => {
    const { kube, clock, told } = await start((k) => k.put(things, thing('b')));
    await clock.advance(5000);
    kube.fail('watch', gone());
    kube.breakWatches();
    await kube.delete(things, { namespace: 'default', name: 'a' });
    await kube.delete(things, { namespace: 'default', name: 'b' });
    kube.put(things, thing('b'));
    kube.compact();
    await clock.advance(5000);
    assert.deepEqual(told, ['added a', 'added b', 'deleted a', 'deleted b', 'added b']);
  });

  it('continues when a handler throws', async () => {
    const { kube, reflector, told, metrics } = await start();
    reflector.cache.subscribe(() => {
      throw new Error('oops');
    });
    kube.put(things, thing('b'));
    kube.put(things, thing('c'));
    await settle();
    assert.deepEqual(told, ['added a', 'added b', 'added c']);
    assert.match(await metrics(), /reflector_handler_faults_total\{type="things.test.dev"\} 3/);
  });

  it('drops managed fields unless a transform keeps them', async () => {
    const managed = { ...thing('m'), metadata: { name: 'm', namespace: 'default', managedFields: [{ manager: 'x' }] } };
    const dropping = await start((k) => k.put(things, managed));
    const keeping = await start((k) => k.put(things, managed), { transform: (one) => one });
    assert.equal(dropping.reflector.cache.get('default/m')?.metadata.managedFields, undefined);
    assert.equal(keeping.reflector.cache.get('default/m')?.metadata.managedFields?.length, 1);
  });

  it('gives the transform the stored object of that name, if there is one', async () => {
    const versions: (string | undefined)[] = [];
    const { kube, reflector } = await start((k) => k.put(things, thing('m', '1')), {
      transform: (one, before) => {
        versions.push(before?.metadata.resourceVersion);
        return one;
      },
    });
    const first = reflector.cache.get('default/m')?.metadata.resourceVersion;
    versions.length = 0;
    kube.put(things, thing('m', '2'));
    await settle();
    assert.deepEqual(versions, [first]);
  });

  it('keeps an object whole when the transform throws', async () => {
    const { reflector } = await start(() => {}, {
      transform: () => {
        throw new Error('oops');
      },
    });
    assert.equal(reflector.cache.get('default/a')?.metadata.name, 'a');
  });

  it('opens no watch when it was stopped during a wait', async () => {
    const { kube, clock, stop } = await start();
    await clock.advance(5000);
    kube.fail('watch', refusal(500, 'InternalError', 'boom'));
    kube.breakWatches();
    await settle();
    const before = kube.calls.watch;
    await stop();
    await clock.advance(60_000);
    assert.deepEqual([kube.calls.watch, kube.openWatches], [before, 0]);
  });

  it('ends at once when a handler of the listed objects stops it', async () => {
    const kube = new MemoryKube();
    kube.put(things, thing('a'));
    const reflector = new Reflector<Thing>({
      client: kube,
      type: things,
      clock: new HandClock(),
      registry: createRegistry(),
      logger: silentLogger,
    });
    const stop = new AbortController();
    reflector.cache.subscribe(() => stop.abort());
    await reflector.run(stop.signal);
    assert.equal(kube.openWatches, 0);
  });

  it('ends at once while it watches', async () => {
    const { kube, stop } = await start();
    await stop();
    assert.equal(kube.openWatches, 0);
  });

  it('exports metrics of lists, watches, objects and silence', async () => {
    const { clock, metrics } = await start();
    await clock.advance(30_000);
    const text = await metrics();
    assert.match(text, /reflector_lists_total\{type="things.test.dev"\} 1/);
    assert.match(text, /reflector_watches_total\{type="things.test.dev"\} 1/);
    assert.match(text, /reflector_objects\{type="things.test.dev"\} 1/);
    assert.match(text, /reflector_last_event_age_seconds\{type="things.test.dev"\} 30/);
  });
});
