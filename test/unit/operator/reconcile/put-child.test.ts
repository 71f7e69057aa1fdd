/** A child that is not in the cache is read from the API server before it is written. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { annotations, fieldManager, labels } from '../../../../api/names.ts';
import type { KubeClient } from '../../../../kube/client/kube-client.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { stamped } from '../../../../operator/reconcile/drift.ts';
import { controllerRevisions } from '../../../../kube/kinds.ts';
import { putChild, type PutDeps } from '../../../../operator/reconcile/put-child.ts';
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

/** @param found metadata of the object with that name in the API server */
async function put(found: Partial<KubeObject['metadata']> | undefined): Promise<readonly string[]> {
  const writes: string[] = [];
  const client = {
    get: async () => {
      if (found === undefined) throw statusError({ status: 404, reason: 'NotFound', message: 'not found' });
      return {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'ranker', namespace: 'ml', uid: 'u', resourceVersion: '1', ...found },
      };
    },
    apply: async (_type: unknown, object: KubeObject) => {
      writes.push(`apply ${object.metadata.name}`);
      return { ...object, metadata: { ...object.metadata, uid: 'u', resourceVersion: '2' } };
    },
  } as unknown as KubeClient;
  const hands: PutDeps = { client, call: {}, recent: new RecentWrites(), clock: new HandClock() };
  await putChild(hands, manifest, undefined);
  return writes;
}

describe('putChild, of a child that is not in the cache', () => {
  const marks = {
    labels: { [labels.model]: 'ranker', [labels.managedBy]: fieldManager },
    annotations: { [annotations.applied]: 'abc' },
  };
  // prettier-ignore
  const rows: readonly { readonly name: string;
    readonly found: Partial<KubeObject['metadata']> | undefined; readonly isWritten: boolean }[] = [
    { name: 'creates it if it does not exist', found: undefined, isWritten: true },
    { name: 'writes a child that the model owns', found: { ownerReferences: [owner] }, isWritten: true },
    { name: 'adopts an object of the operator that has no owner',
      found: { ...marks, ownerReferences: [] }, isWritten: true },
    { name: 'does not write an ownerless object of another creator', found: { ownerReferences: [] }, isWritten: false },
    { name: 'does not write an orphan of another model',
      found: { ...marks, labels: { ...marks.labels, [labels.model]: 'other' },
        ownerReferences: [] }, isWritten: false },
    { name: 'does not write a child of a deleted model of the same name',
      found: { ...marks, ownerReferences: [{ ...owner, uid: 'uid-before' }] }, isWritten: false },
  ];
  for (const { name, found, isWritten } of rows) {
    it(name, async () => {
      if (isWritten) assert.deepEqual(await put(found), ['apply ranker']);
      else
        await assert.rejects(put(found), (error: unknown) => error instanceof AppError && error.code === 'NAME_TAKEN');
    });
  }
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
