/** A child (an object of a model) that is not in the cache is read from the API server before it is written. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { annotations, fieldManager, labels } from '../../../../api/names.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { isConflict } from '../../../../kube/client/kube-error.ts';
import { stamped } from '../../../../operator/reconcile/drift.ts';
import { controllerRevisions, services } from '../../../../kube/kinds.ts';
import { putChild } from '../../../../operator/reconcile/put-child.ts';
import { RecentWrites } from '../../../../operator/reconcile/recent-writes.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { MemoryKube } from '../../../support/memory-kube.ts';

const owner = {
  apiVersion: 'onnx-operator.dev/v1alpha1',
  kind: 'OnnxModel',
  name: 'ranker',
  uid: 'uid-ranker',
  controller: true,
  blockOwnerDeletion: true,
};
const manifest = stamped({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'ranker',
    namespace: 'ml',
    labels: { [labels.model]: 'ranker', [labels.managedBy]: fieldManager },
    ownerReferences: [owner],
  },
  spec: { selector: { app: 'x' } },
} as unknown as Manifest);

/**
 * Writes a child that is not in the cache.
 * @param found the object that the API server has under the child's name.
 * @returns the verbs of the write requests
 */
async function put(found: Partial<KubeObject['metadata']> | undefined): Promise<readonly string[]> {
  const client = new MemoryKube();
  if (found !== undefined) {
    const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'ranker', namespace: 'ml', ...found } };
    await client.create(services, object as never);
  }
  const before = client.writes.length;
  await putChild({ client, call: {}, recent: new RecentWrites(), clock: new HandClock() }, manifest, undefined);
  return client.writes.slice(before).map((write) => write.split(' ')[0] ?? '');
}

describe('putChild, of a child that is not in the cache', () => {
  const marks = {
    labels: { [labels.model]: 'ranker', [labels.managedBy]: fieldManager },
    annotations: { [annotations.applied]: 'abc' },
  };
  // prettier-ignore
  const rows: readonly { readonly name: string;
    readonly found: Partial<KubeObject['metadata']> | undefined; readonly requests?: readonly string[] }[] = [
    { name: 'creates it if it does not exist, in one request', found: undefined, requests: ['create'] },
    { name: 'writes a child that the model owns', found: { ownerReferences: [owner] },
      requests: ['create', 'apply'] },
    { name: 'adopts an object of the operator that has no owner',
      found: { ...marks, ownerReferences: [] }, requests: ['create', 'apply'] },
    { name: 'does not write an ownerless object of another creator', found: { ownerReferences: [] } },
    { name: 'does not write an orphan of another model',
      found: { ...marks, labels: { ...marks.labels, [labels.model]: 'other' },
        ownerReferences: [] } },
    { name: 'does not write a child of a deleted model of the same name',
      found: { ...marks, ownerReferences: [{ ...owner, uid: 'uid-before' }] } },
  ];
  for (const { name, found, requests } of rows) {
    it(name, async () => {
      if (requests !== undefined) assert.deepEqual(await put(found), requests);
      else
        await assert.rejects(put(found), (error: unknown) => error instanceof AppError && error.code === 'NAME_TAKEN');
    });
  }
});

describe('putChild, of a child that changes', () => {
  const changed = (spec: object): Manifest => stamped({ ...manifest, spec } as unknown as Manifest);
  const ours = (operation: string, fieldsV1: object): object => ({
    manager: fieldManager,
    operation,
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1,
  });

  class Stage {
    readonly client = new MemoryKube();
    recent = new RecentWrites();

    async put(wanted: Manifest, known?: KubeObject): Promise<readonly string[]> {
      const before = this.client.writes.length;
      await putChild({ client: this.client, call: {}, recent: this.recent, clock: new HandClock() }, wanted, known);
      return this.client.writes.slice(before).map((write) => write.split(' ')[0] ?? '');
    }

    live(): Promise<KubeObject & { readonly spec?: unknown }> {
      return this.client.get(services, { name: 'ranker', namespace: 'ml' });
    }

    /** Replaces the managedFields of the child that the API server has. */
    async own(...entries: readonly object[]): Promise<KubeObject> {
      const live = await this.live();
      return this.client.put(services, { ...live, metadata: { ...live.metadata, managedFields: entries } } as never);
    }
  }

  it('patches it where only values differ', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    assert.deepEqual(await stage.put(changed({ selector: { app: 'y' } }), await stage.live()), ['mergePatch']);
    assert.deepEqual((await stage.live()).spec, { selector: { app: 'y' } });
  });

  it('does not patch an object that has changed since it was read', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    const cached = await stage.live();
    await stage.own(ours('Update', { 'f:spec': {} }));
    await assert.rejects(stage.put(changed({ selector: { app: 'y' } }), cached), (error) => isConflict(error));
    assert.deepEqual((await stage.live()).spec, { selector: { app: 'x' } });
  });

  it('creates it again when it was deleted since it was read', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    const cached = await stage.live();
    await stage.client.delete(services, { name: 'ranker', namespace: 'ml' });
    const requests = await stage.put(changed({ selector: { app: 'y' } }), cached);
    assert.equal(requests.at(-1), 'create');
    assert.deepEqual((await stage.live()).spec, { selector: { app: 'y' } });
  });

  it('does not take over an object that got its name since it was read', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    const cached = await stage.live();
    stage.recent = new RecentWrites();
    await stage.client.delete(services, { name: 'ranker', namespace: 'ml' });
    await stage.client.create(services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ranker', namespace: 'ml' },
      spec: { selector: { app: 'another' } },
    } as never);
    await assert.rejects(stage.put(changed({ selector: { app: 'y' } }), cached), (error) => isConflict(error));
    assert.deepEqual((await stage.live()).spec, { selector: { app: 'another' } });
  });

  it('applies it again after an apply whose answer was lost', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    const { apply } = stage.client;
    stage.client.apply = async (...args: Parameters<typeof apply>) => {
      await apply.apply(stage.client, args);
      throw new AppError('KUBE_UNREACHABLE', { server: 'x', why: 'connection reset' });
    };
    const more = changed({ selector: { app: 'x' }, type: 'ClusterIP' });
    await assert.rejects(stage.put(more, await stage.live()));
    stage.client.apply = apply;
    assert.deepEqual(await stage.put(manifest, await stage.live()), ['apply']);
  });

  it('applies it where a field of ours must go, after our entries became those of an apply', async () => {
    const stage = new Stage();
    await stage.put(changed({ selector: { app: 'x' }, type: 'ClusterIP' }));
    const cached = await stage.own(
      ours('Update', { 'f:spec': { 'f:type': {} } }),
      ours('Apply', { 'f:spec': { 'f:selector': {} } }),
    );
    assert.deepEqual(await stage.put(manifest, cached), ['mergePatch', 'apply']);
  });

  it('applies it where another process wrote it last', async () => {
    const stage = new Stage();
    await stage.put(manifest);
    const cached = await stage.own(ours('Apply', { 'f:spec': {} }));
    stage.recent = new RecentWrites();
    assert.deepEqual(await stage.put(changed({ selector: { app: 'y' } }), cached), ['apply']);
  });
});

describe('the ControllerRevision that is not in the cache', () => {
  const metadata = { name: 'ranker-aaaaaaaaaa', namespace: 'ml' };
  const learned = (digest: string): string => JSON.stringify({ digest });

  function record(made: string, resolved?: string): Manifest {
    const notes = {
      [annotations.applied]: made,
      ...(resolved === undefined ? {} : { [annotations.resolved]: learned(resolved) }),
    };
    const object = { apiVersion: 'apps/v1', kind: 'ControllerRevision', revision: 1, data: { schema: 1, made } };
    return {
      ...object,
      metadata: { ...metadata, annotations: notes, ownerReferences: [owner] },
    } as unknown as Manifest;
  }

  async function putOver(found: Manifest, wanted: Manifest): Promise<KubeObject & { readonly data?: unknown }> {
    const client = new MemoryKube();
    await client.create(controllerRevisions, found as unknown as KubeObject);
    await putChild({ client, call: {}, recent: new RecentWrites(), clock: new HandClock() }, wanted, undefined);
    return client.get(controllerRevisions, metadata);
  }

  it('keeps its data and the result of its first pod', async () => {
    const stored = await putOver(record('before', 'sha256:1'), record('now'));
    assert.deepEqual(stored.data, { schema: 1, made: 'before' });
    assert.deepEqual(stored.metadata.annotations, {
      [annotations.applied]: 'now',
      [annotations.resolved]: learned('sha256:1'),
    });
  });

  it('accepts a newer result of a pod', async () => {
    const stored = await putOver(record('before', 'sha256:1'), record('now', 'sha256:2'));
    assert.equal(stored.metadata.annotations?.[annotations.resolved], learned('sha256:2'));
  });
});
