import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { createObjects } from '../../../../local/api-server/core.ts';
import { startController, type Key } from '../../../../local/workloads/controller.ts';
import { createEventRecorder } from '../../../../local/workloads/event-recorder.ts';
import { claimFolder, createGivenClaims, syncClaim } from '../../../../local/workloads/claims.ts';
import { claimsPath, configMapsPath, eventsPath, type VolumeClaim } from '../../../../local/workloads/resources.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

describe('startController', () => {
  const clock = new HandClock();
  const objects = createObjects({ clock });
  const create = (name: string): unknown =>
    objects.create(configMapsPath, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } });
  const keys = ({ metadata }: { metadata: { namespace?: string; name: string } }): readonly Key[] =>
    metadata.namespace === 'default' ? [{ namespace: 'default', name: metadata.name }] : [];
  const start = (sync: (key: Key) => number | undefined): ReturnType<typeof startController> =>
    startController({
      name: 'test',
      objects,
      clock,
      logger: silentLogger,
      watches: [{ type: configMapsPath, keys }],
      sync,
    });

  it('runs a pass for existing objects, then for changed ones, once for simultaneous changes', async () => {
    create('first');
    const seen: string[] = [];
    const controller = start(({ name }) => void seen.push(name));
    await settle();
    for (const label of ['a', 'b', 'c']) {
      const stored = objects.get({ ...configMapsPath, namespace: 'default', name: 'first' });
      objects.update(configMapsPath, { ...stored, data: { label } } as never);
    }
    create('second');
    await settle();
    controller.close();
    assert.deepEqual(seen, ['first', 'first', 'second']);
  });

  it('retries a pass that threw, with a growing wait', async () => {
    let passes = 0;
    const controller = start(({ name }) => {
      if (name !== 'first') return undefined;
      passes += 1;
      if (passes < 4) throw new Error('not yet');
      return undefined;
    });
    await settle();
    assert.equal(passes, 1);
    await clock.advance(50);
    assert.equal(passes, 2);
    await clock.advance(1000);
    assert.equal(passes, 4);
    await clock.advance(60_000);
    controller.close();
    assert.equal(passes, 4);
  });

  it('runs a pass again when one asks for it, and not after it is closed', async () => {
    let passes = 0;
    const controller = start(({ name }) => (name === 'first' ? ((passes += 1), 500) : undefined));
    await clock.advance(1_100);
    assert.equal(passes, 3);
    controller.close();
    await clock.advance(5_000);
    assert.equal(passes, 3);
  });
});

describe('createEventRecorder', () => {
  it('counts a repeated event and adds a new one', () => {
    const clock = new HandClock();
    const objects = createObjects({ clock });
    const about = objects.create(configMapsPath, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'default' },
    });
    const recorder = createEventRecorder(objects, clock, 'test');
    for (const reason of ['Same', 'Same', 'Other']) recorder.record(about, 'Warning', reason, 'it happened');
    const told = objects
      .list(eventsPath)
      .map((event) => [event['reason'], event['count'], (event['involvedObject'] as { name: string }).name].join(' '));
    assert.deepEqual(told.sort(), ['Other 1 c', 'Same 2 c']);
  });

  it('keeps at most a thousand events', () => {
    const clock = new HandClock();
    const objects = createObjects({ clock });
    const about = objects.create(configMapsPath, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'default' },
    });
    const recorder = createEventRecorder(objects, clock, 'test');
    for (let turn = 0; turn < 1003; turn += 1) recorder.record(about, 'Normal', 'Turn', `turn ${turn}`);
    assert.equal(objects.list(eventsPath).length, 1000);
  });

  it('never throws', () => {
    const clock = new HandClock();
    const objects = createObjects({ clock });
    const about = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'p',
        namespace: 'nowhere',
        uid: 'u',
        resourceVersion: '1',
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
    };
    createEventRecorder(objects, clock, 'test').record(about, 'Normal', 'Reason', 'message');
    assert.equal(objects.list(eventsPath).length, 0);
  });
});

describe('claims', () => {
  const folders = { given: new Map([['models', '/srv/models']]), dataDir: '/data' };

  it('use the given folder, or one of their own', () => {
    assert.equal(claimFolder(folders, { namespace: 'any', name: 'models' }), '/srv/models');
    assert.equal(claimFolder(folders, { namespace: 'shop', name: 'cache' }), '/data/volumes/shop/cache');
  });

  it('are created for given folders and bound, once', () => {
    const objects = createObjects({ clock: new HandClock() });
    const key = { namespace: 'default', name: 'models' };
    for (let turn = 0; turn < 2; turn += 1) {
      createGivenClaims(objects, folders);
      syncClaim(objects, key);
      const claim = objects.get({ ...claimsPath, ...key }) as VolumeClaim;
      assert.equal(claim.status?.phase, 'Bound');
    }
  });
});
