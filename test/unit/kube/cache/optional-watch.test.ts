/**
 * The watch of a type that may be missing: the cluster has it, does not have it, gets it later, or loses it. Runs on a
 * hand clock.
 */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry } from '../../../../lib/metrics.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import type { ResourceType } from '../../../../kube/client/resource-type.ts';
import { OptionalWatch } from '../../../../kube/cache/optional-watch.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { MemoryKube, refusal } from '../../../support/memory-kube.ts';

const things: ResourceType = { group: 'test.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const thing = (name: string): KubeObject => ({
  apiVersion: 'test.dev/v1',
  kind: 'Thing',
  metadata: { name, namespace: 'default' },
});
const missing = refusal(404, 'NotFound', 'the server could not find the requested resource');
const forbidden = refusal(403, 'Forbidden', 'things is forbidden');
const unreachable = new Error('connection refused');

type World = {
  readonly kube: MemoryKube;
  readonly clock: HandClock;
  readonly watch: OptionalWatch<KubeObject>;
  readonly told: string[];
  readonly lines: string[];
  readonly isSynced: () => boolean;
};

const ends: (() => Promise<void>)[] = [];

async function start(prepare: (kube: MemoryKube) => void): Promise<World> {
  const kube = new MemoryKube();
  kube.put(things, thing('a'));
  prepare(kube);
  const clock = new HandClock();
  const [told, lines]: [string[], string[]] = [[], []];
  const note = (line: string): void => void lines.push(line);
  const logger = { ...silentLogger, info: note, warn: note };
  const watch = new OptionalWatch<KubeObject>(
    { client: kube, type: things, clock, registry: createRegistry(), logger, random: () => 0.5 },
    () => told.push(watch.presence),
  );
  const stop = new AbortController();
  const ran = watch.run(stop.signal);
  ends.push(async () => {
    stop.abort();
    await ran;
  });
  let isSynced = false;
  void watch.whenSynced().then(() => (isSynced = true));
  await settle();
  return { kube, clock, watch, told, lines, isSynced: () => isSynced };
}

/** Advances the clock in small steps, because the code starts each sleep only after the previous sleep has ended. */
async function pass(clock: HandClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await clock.advance(Math.min(left, 1_000));
    await settle();
  }
}

describe('OptionalWatch', () => {
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  it('watches a type that is served', async () => {
    const { kube, watch, told, isSynced } = await start(() => {});
    assert.deepEqual([watch.presence, watch.synced, isSynced(), told], ['Served', true, true, ['Served']]);
    kube.put(things, thing('b'));
    await settle();
    assert.deepEqual(
      watch.cache.list().map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
  });

  const absences = [
    { why: missing, presence: 'Missing' },
    { why: forbidden, presence: 'Forbidden' },
  ] as const;
  for (const { why, presence } of absences) {
    it(`is ready when the type is ${presence}, and asks once a minute`, async () => {
      const { kube, clock, watch, lines, isSynced } = await start((one) => one.fail('list', why, 1_000));
      assert.deepEqual([watch.presence, watch.synced, isSynced(), watch.silentMs], [presence, true, true, 0]);
      await pass(clock, 600_000);
      assert.equal(kube.calls.list, 11);
      assert.equal(kube.calls.watch, 0);
      assert.equal(watch.silentMs, 0);
      assert.equal(lines.length, 1, lines.join(''));
    });
  }

  it('begins to watch when the type appears', async () => {
    const { clock, watch, told } = await start((kube) => kube.fail('list', missing, 1));
    assert.equal(watch.presence, 'Missing');
    await pass(clock, 61_000);
    assert.deepEqual(told, ['Missing', 'Served']);
    assert.deepEqual(
      watch.cache.list().map(({ metadata }) => metadata.name),
      ['a'],
    );
  });

  it('stops when the type disappears, and begins again when it returns', async () => {
    const { kube, clock, watch, told } = await start(() => {});
    kube.fail('watch', missing, 1);
    kube.fail('list', missing, 1);
    kube.breakWatches();
    await pass(clock, 3_000);
    assert.equal(watch.presence, 'Missing');
    await pass(clock, 130_000);
    assert.deepEqual(told, ['Served', 'Missing', 'Served']);
    assert.equal(kube.openWatches, 1);
  });

  it('keeps the type as served while the server is unreachable', async () => {
    const { clock, watch, isSynced } = await start((kube) => kube.fail('list', unreachable, 2));
    assert.deepEqual([watch.presence, watch.synced, isSynced()], ['Unknown', false, false]);
    await pass(clock, 11_000);
    assert.deepEqual([watch.presence, watch.synced, isSynced()], ['Served', true, true]);
  });
});
