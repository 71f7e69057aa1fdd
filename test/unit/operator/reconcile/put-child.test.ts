/** A child that no cache shows, and that is there all the same. */
import assert from 'node:assert/strict';
import { annotations } from '../../../../api/names.ts';
import { controllerRevisions } from '../../../../operator/kube-objects.ts';
import type { KubeObject } from '../../../../operator/kube/object.ts';
import { RecentWrites } from '../../../../operator/recent-writes.ts';
import { putChild } from '../../../../operator/reconcile/put-child.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { MemoryKube } from '../../../support/memory-kube.ts';

const name = 'ranker-aaaaaaaaaa';
const owner = { apiVersion: 'onnx-operator.dev/v1alpha1', kind: 'OnnxModel', name: 'ranker', uid: 'u1', controller: true, blockOwnerDeletion: true };
const notes = { [annotations.applied]: 'before', [annotations.resolved]: '{"digest":"sha256:1"}' };

function record(fields: { readonly data: object; readonly notes: Readonly<Record<string, string>> }): Manifest {
  return { apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: { name, namespace: 'ml', labels: {}, annotations: fields.notes, ownerReferences: [owner] }, revision: 1, data: fields.data } as unknown as Manifest;
}

async function put(wanted: Manifest): Promise<KubeObject & { readonly data?: unknown }> {
  const client = new MemoryKube();
  await client.create(controllerRevisions, record({ data: { schema: 1, made: 'before' }, notes }) as unknown as KubeObject);
  await putChild({ client, call: {}, recent: new RecentWrites(), clock: new HandClock() }, wanted, undefined);
  return client.get(controllerRevisions, { name, namespace: 'ml' });
}

describe('the record of a revision that no cache shows', () => {
  it('keeps what it was frozen as and what its first pod learned', async () => {
    const { data, metadata } = await put(record({ data: { schema: 1, made: 'now' }, notes: { [annotations.applied]: 'now' } }));
    assert.deepEqual(data, { schema: 1, made: 'before' });
    assert.deepEqual(metadata.annotations, { ...notes, [annotations.applied]: 'now' });
  });

  it('takes what a pod has said since', async () => {
    const said = { [annotations.applied]: 'now', [annotations.resolved]: '{"digest":"sha256:2"}' };
    assert.deepEqual((await put(record({ data: { schema: 1, made: 'before' }, notes: said }))).metadata.annotations, said);
  });
});
