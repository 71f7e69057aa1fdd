/** The objects behind local mode's API, without HTTP. */
import assert from 'node:assert/strict';
import { StatusError } from '../../../../local/api-server/status.ts';
import { createObjects } from '../../../../local/api-server/core.ts';
import type { StoredObject, NewObject, Objects, ObjectChange } from '../../../../local/objects.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

const pods = { apiVersion: 'v1', plural: 'pods' };
const configMaps = { apiVersion: 'v1', plural: 'configmaps' };
const deployments = { apiVersion: 'apps/v1', plural: 'deployments' };
const namespaces = { apiVersion: 'v1', plural: 'namespaces' };
const inDefault = { namespace: 'default' };

function world(): { objects: Objects; clock: HandClock } {
  const clock = new HandClock();
  return { objects: createObjects({ clock }), clock };
}

function pod(name: string, more: Partial<Record<string, unknown>> = {}): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...inDefault },
    spec: { nodeName: 'local', containers: [{ name: 'c', image: 'r/x:1' }] },
    ...more,
  };
}

function configMap(name: string, owners: readonly StoredObject[] = []): NewObject {
  const ownerReferences = owners.map((owner) => ({
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    blockOwnerDeletion: true,
  }));
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...inDefault, ownerReferences } };
}

function refusal(step: () => unknown): StatusError {
  try {
    step();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return error;
  }
  throw new Error('was not refused');
}

describe('Objects', () => {
  it('sets uid, resourceVersion, creationTimestamp and generation of a new object', () => {
    const { objects } = world();
    const made = objects.create(pods, pod('a'));
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.equal(made.metadata.generation, 1);
    assert.equal(made.metadata.creationTimestamp, '2023-11-14T22:13:20Z');
    assert.ok(Number(made.metadata.resourceVersion) > 1);
  });

  it("fills in the real server's defaults", () => {
    const spec = world().objects.create(pods, pod('a'))['spec'] as Record<string, unknown>;
    assert.equal(spec['terminationGracePeriodSeconds'], 30);
    assert.deepEqual((spec['containers'] as Record<string, unknown>[])[0]?.['imagePullPolicy'], 'IfNotPresent');
  });

  it('returns frozen objects', () => {
    const made = world().objects.create(configMaps, configMap('a'));
    assert.throws(() => Object.assign(made.metadata, { name: 'b' }), TypeError);
  });

  it('refuses a second object of the same name', () => {
    const { objects } = world();
    objects.create(configMaps, configMap('a'));
    assert.equal(refusal(() => objects.create(configMaps, configMap('a'))).body.reason, 'AlreadyExists');
  });

  it('refuses an update from a stale copy', () => {
    const { objects } = world();
    const first = objects.create(configMaps, configMap('a'));
    objects.update(configMaps, { ...first, data: { k: '1' } });
    const error = refusal(() => objects.update(configMaps, { ...first, data: { k: '2' } }));
    assert.equal(
      error.body.message,
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes ' +
        'to the latest version and try again',
    );
  });

  it('writes nothing for an update without a change', () => {
    const { objects } = world();
    const first = objects.create(configMaps, configMap('a'));
    assert.equal(objects.update(configMaps, first).metadata.resourceVersion, first.metadata.resourceVersion);
  });

  it('increases the generation for a change of the spec, not of the status', () => {
    const { objects } = world();
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
    const first = objects.create(deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd', ...inDefault },
      spec: { selector: { matchLabels: { a: 'b' } }, template },
    });
    const second = objects.updateStatus(deployments, { ...first, spec: { replicas: 9 }, status: { replicas: 1 } });
    assert.deepEqual(
      [second.metadata.generation, second['spec'], second['status']],
      [1, first['spec'], { replicas: 1 }],
    );
    const third = objects.update(deployments, {
      ...second,
      spec: { ...(second['spec'] as object), replicas: 3 },
      status: {},
    });
    assert.deepEqual([third.metadata.generation, third['status']], [2, { replicas: 1 }]);
  });

  it('refuses a new object in a missing namespace', () => {
    const error = refusal(() =>
      world().objects.create(configMaps, { ...configMap('a'), metadata: { name: 'a', namespace: 'nowhere' } }),
    );
    assert.equal(error.body.message, 'namespaces "nowhere" not found');
  });

  it('tells a watch of each write after it, in order', async () => {
    const { objects } = world();
    const seen: string[] = [];
    const end = objects.watch(configMaps, (event: ObjectChange) =>
      seen.push(`${event.type} ${event.object.metadata.name}`),
    );
    const first = objects.create(configMaps, configMap('a'));
    objects.update(configMaps, { ...first, data: { k: '1' } });
    objects.delete({ ...configMaps, ...inDefault, name: 'a' });
    assert.deepEqual(seen, []);
    await settle();
    end();
    objects.create(configMaps, configMap('b'));
    await settle();
    assert.deepEqual(seen, ['ADDED a', 'MODIFIED a', 'DELETED a']);
  });

  it('does not tell a watch about earlier writes', async () => {
    const { objects } = world();
    const seen: string[] = [];
    objects.create(configMaps, configMap('a'));
    objects.watch(configMaps, (event) => seen.push(event.object.metadata.name));
    await settle();
    assert.deepEqual(seen, []);
  });

  it('gives a running pod its grace period', async () => {
    const { objects } = world();
    objects.create(pods, pod('a'));
    objects.delete({ ...pods, ...inDefault, name: 'a' });
    const ending = objects.get({ ...pods, ...inDefault, name: 'a' });
    assert.equal(ending?.metadata.deletionTimestamp, '2023-11-14T22:13:50Z');
    assert.equal(ending.metadata.deletionGracePeriodSeconds, 30);
    objects.delete({ ...pods, ...inDefault, name: 'a' }, { graceSeconds: 0 });
    assert.equal(objects.get({ ...pods, ...inDefault, name: 'a' }), undefined);
  });

  it('keeps an object until its last finalizer is gone', async () => {
    const { objects } = world();
    const first = objects.create(configMaps, {
      ...configMap('a'),
      metadata: { name: 'a', ...inDefault, finalizers: ['example.com/x'] },
    });
    const ref = { ...configMaps, ...inDefault, name: 'a' };
    objects.delete(ref);
    const ending = objects.get(ref);
    assert.notEqual(ending?.metadata.deletionTimestamp, undefined);
    assert.notEqual(ending?.metadata.resourceVersion, first.metadata.resourceVersion);
    objects.update(configMaps, {
      ...(ending as StoredObject),
      metadata: { ...(ending as StoredObject).metadata, finalizers: [] },
    });
    assert.equal(objects.get(ref), undefined);
  });

  it('collects an object when its last owner is gone, and only then', async () => {
    const { objects } = world();
    const [one, two] = [objects.create(configMaps, configMap('one')), objects.create(configMaps, configMap('two'))];
    objects.create(configMaps, configMap('of-one', [one]));
    objects.create(configMaps, configMap('of-both', [one, two]));
    await settle();
    objects.delete({ ...configMaps, ...inDefault, name: 'one' });
    await settle();
    assert.equal(objects.get({ ...configMaps, ...inDefault, name: 'of-one' }), undefined);
    const kept = objects.get({ ...configMaps, ...inDefault, name: 'of-both' });
    assert.deepEqual(
      kept?.metadata.ownerReferences?.map((owner) => owner.name),
      ['two'],
    );
  });

  it('deletes an owner after its dependents in the foreground', async () => {
    const { objects } = world();
    const owner = objects.create(configMaps, configMap('owner'));
    objects.create(configMaps, {
      ...configMap('child', [owner]),
      metadata: { ...configMap('child', [owner]).metadata, finalizers: ['example.com/x'] },
    });
    await settle();
    objects.delete({ ...configMaps, ...inDefault, name: 'owner' }, { propagation: 'Foreground' });
    await settle();
    const child = objects.get({ ...configMaps, ...inDefault, name: 'child' }) as StoredObject;
    assert.notEqual(child.metadata.deletionTimestamp, undefined);
    assert.notEqual(objects.get({ ...configMaps, ...inDefault, name: 'owner' }), undefined);
    objects.update(configMaps, { ...child, metadata: { ...child.metadata, finalizers: [] } });
    await settle();
    assert.equal(objects.get({ ...configMaps, ...inDefault, name: 'owner' }), undefined);
  });

  it('keeps orphaned dependents', async () => {
    const { objects } = world();
    const owner = objects.create(configMaps, configMap('owner'));
    objects.create(configMaps, configMap('child', [owner]));
    await settle();
    objects.delete({ ...configMaps, ...inDefault, name: 'owner' }, { propagation: 'Orphan' });
    await settle();
    assert.equal(objects.get({ ...configMaps, ...inDefault, name: 'owner' }), undefined);
    assert.equal(objects.get({ ...configMaps, ...inDefault, name: 'child' })?.metadata.ownerReferences, undefined);
  });

  it('empties a namespace before deleting it', async () => {
    const { objects } = world();
    objects.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } });
    objects.create(pods, { ...pod('a'), metadata: { name: 'a', namespace: 'n' } });
    objects.delete({ ...namespaces, name: 'n' });
    await settle();
    assert.deepEqual(objects.get({ ...namespaces, name: 'n' })?.['status'], { phase: 'Terminating' });
    assert.equal(
      refusal(() => objects.create(configMaps, { ...configMap('b'), metadata: { name: 'b', namespace: 'n' } })).body
        .reason,
      'Forbidden',
    );
    objects.delete({ ...pods, namespace: 'n', name: 'a' }, { graceSeconds: 0 });
    await settle();
    assert.equal(objects.get({ ...namespaces, name: 'n' }), undefined);
  });
});

describe('Store', () => {
  it('calls the other handlers when one throws, and reports the error', async () => {
    const { objects } = world();
    const heard: string[] = [];
    const uncaught: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => void uncaught.push(error.message));
    try {
      objects.watch(configMaps, () => {
        throw new Error('careless');
      });
      objects.watch(configMaps, (event) => heard.push(event.object.metadata.name));
      objects.create(configMaps, configMap('a'));
      await settle();
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    assert.deepEqual([heard, uncaught], [['a'], ['careless']]);
  });
});
