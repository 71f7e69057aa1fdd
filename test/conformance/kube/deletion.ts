/** Deletion: finalizers, preconditions, collections, owners, namespaces. */
import assert from 'node:assert/strict';
import { eventually } from '../../support/eventually.ts';
import type { Json } from './api.ts';
import { ok, refused, type World } from './world.ts';

export function deletionChapter(here: () => World): void {
  const maps = (name?: string): string => here().path('v1', 'configmaps', name);
  const isGone = async (path: string): Promise<boolean> => (await here().api.get(path)).status === 404;
  const needsControllers = (context: Mocha.Context): void => {
    // A bare API server without a controller manager does not collect garbage.
    if (here().hasControllers) return;
    if (context.test !== undefined) context.test.title += ' (skipped: no controller manager runs)';
    context.skip();
  };

  describe('deletion', () => {
    it('answers with the uid of the deleted object', async () => {
      const made = await here().createWidget('del');
      const status = ok(await here().api.delete(here().widgets('del')));
      assert.deepEqual(
        [status.kind, status.status, status.details],
        ['Status', 'Success', { name: 'del', group: here().group, kind: 'widgets', uid: made.metadata.uid }],
      );
      refused(await here().api.delete(here().widgets('del')), 404, 'NotFound');
    });

    it('waits for the last finalizer', async () => {
      await here().createWidget('fin', {}, { finalizers: ['example.com/a'] });
      const marked = ok(await here().api.delete(here().widgets('fin')));
      assert.equal(marked.kind, 'Widget');
      assert.match(marked.metadata.deletionTimestamp, /Z$/);
      assert.equal(marked.metadata.generation, 2);
      assert.equal(
        ok(await here().api.delete(here().widgets('fin'))).metadata.resourceVersion,
        marked.metadata.resourceVersion,
      );
      ok(await here().api.patch(here().widgets('fin'), 'merge', { metadata: { finalizers: null } }));
      refused(await here().api.get(here().widgets('fin')), 404);
    });

    it('refuses new finalizers once it has begun', async () => {
      await here().createWidget('fin-new', {}, { finalizers: ['example.com/a'] });
      ok(await here().api.delete(here().widgets('fin-new')));
      const status = refused(
        await here().api.patch(here().widgets('fin-new'), 'merge', {
          metadata: { finalizers: ['example.com/a', 'example.com/b'] },
        }),
        422,
        'Invalid',
      );
      assert.match(
        status.message,
        new RegExp(
          'no new finalizers can be added if the object is being deleted, found new ' +
            String.raw`finalizers \[\]string\{"example\.com\/b"\}`,
        ),
      );
      ok(await here().api.patch(here().widgets('fin-new'), 'merge', { metadata: { finalizers: [] } }));
    });

    it('allows other changes of an object that is being deleted', async () => {
      await here().createWidget('fin-change', {}, { finalizers: ['example.com/a'] });
      ok(await here().api.delete(here().widgets('fin-change')));
      ok(await here().api.patch(here().widgets('fin-change/status'), 'merge', { status: { replicas: 1 } }));
      ok(await here().api.patch(here().widgets('fin-change'), 'merge', { metadata: { finalizers: [] } }));
    });

    it('checks preconditions', async () => {
      const made = await here().createWidget('pre');
      const byUid = refused(
        await here().api.delete(here().widgets('pre'), { preconditions: { uid: 'another' } }),
        409,
        'Conflict',
      );
      assert.match(byUid.message, /the UID in the precondition \(another\) does not match the UID in record/);
      refused(
        await here().api.delete(here().widgets('pre'), { preconditions: { resourceVersion: '1' } }),
        409,
        'Conflict',
      );
      ok(
        await here().api.delete(here().widgets('pre'), {
          preconditions: { uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion },
        }),
      );
    });

    it('deletes nothing in a dry run', async () => {
      await here().createWidget('del-dry');
      ok(await here().api.call('DELETE', `${here().widgets('del-dry')}?dryRun=All`));
      ok(await here().api.get(here().widgets('del-dry')));
    });

    it('supports three propagation policies', async () => {
      await here().createWidget('prop');
      const status = refused(
        await here().api.delete(here().widgets('prop'), { propagationPolicy: 'Sometimes' }),
        422,
        'Invalid',
      );
      assert.equal(status.details.causes[0].field, 'propagationPolicy');
    });

    it('of a collection deletes the selected objects', async () => {
      await here().createConfigMap('col-1', { labels: { col: 'yes' } });
      await here().createConfigMap('col-2', { labels: { col: 'yes' } });
      await here().createConfigMap('col-3', { labels: { col: 'no' } });
      ok(await here().api.delete(`${maps()}?labelSelector=col%3Dyes`));
      assert.deepEqual(
        [await isGone(maps('col-1')), await isGone(maps('col-2')), await isGone(maps('col-3'))],
        [true, true, false],
      );
    });

    it('of an unscheduled pod is immediate', async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'unplaced' },
        spec: { schedulerName: 'absent', containers: [{ name: 'c', image: 'x' }] },
      };
      ok(await here().api.post(here().path('v1', 'pods'), pod), 201);
      const gone = ok(await here().api.delete(here().path('v1', 'pods', 'unplaced')));
      assert.equal(gone.kind, 'Pod');
      assert.ok(await isGone(here().path('v1', 'pods', 'unplaced')));
    });
  });

  describe('owners', () => {
    const owned = (owner: Json, more: Json = {}): Json => ({
      ownerReferences: [
        {
          apiVersion: here().apiVersion,
          kind: 'Widget',
          name: owner.metadata.name,
          uid: owner.metadata.uid,
          blockOwnerDeletion: true,
          ...more,
        },
      ],
    });

    it('delete objects that they alone own', async function () {
      needsControllers(this);
      const owner = await here().createWidget('owner');
      await here().createConfigMap('owned', owned(owner));
      await here().createConfigMap('not-owned');
      ok(await here().api.delete(here().widgets('owner'), { propagationPolicy: 'Background' }));
      await eventually('the owned object to be gone', () => isGone(maps('owned')));
      ok(await here().api.get(maps('not-owned')));
    });

    it('are deleted last in the foreground', async function () {
      needsControllers(this);
      const owner = await here().createWidget('owner-last');
      await here().createConfigMap('owned-first', { ...owned(owner), finalizers: ['example.com/a'] });
      ok(await here().api.delete(here().widgets('owner-last'), { propagationPolicy: 'Foreground' }));
      await eventually(
        'the owned object to be ending',
        async () => ok(await here().api.get(maps('owned-first'))).metadata.deletionTimestamp !== undefined,
      );
      assert.ok(
        ok(await here().api.get(here().widgets('owner-last'))).metadata.finalizers.includes('foregroundDeletion'),
      );
      ok(await here().api.patch(maps('owned-first'), 'merge', { metadata: { finalizers: null } }));
      await eventually('the owner to be gone', () => isGone(here().widgets('owner-last')));
    });

    it('leave orphans when the policy says so', async function () {
      needsControllers(this);
      const owner = await here().createWidget('owner-orphan');
      await here().createConfigMap('orphan', owned(owner));
      ok(await here().api.delete(here().widgets('owner-orphan'), { propagationPolicy: 'Orphan' }));
      await eventually('the owner to be gone', () => isGone(here().widgets('owner-orphan')));
      assert.equal(ok(await here().api.get(maps('orphan'))).metadata.ownerReferences, undefined);
    });

    it('that never existed count as deleted', async function () {
      needsControllers(this);
      await here().createConfigMap(
        'of-absent',
        owned({ metadata: { name: 'absent', uid: '00000000-0000-0000-0000-000000000000' } }),
      );
      await eventually('the object to be gone', () => isGone(maps('of-absent')));
    });

    it('include at most one controller', async () => {
      const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: 'b', controller: true };
      const status = refused(
        await here().api.post(
          maps(),
          here().configMap('two-controllers', { ownerReferences: [reference, { ...reference, name: 'c', uid: 'd' }] }),
        ),
        422,
        'Invalid',
      );
      assert.match(status.message, /Only one reference can have Controller set to true/);
    });
  });

  describe('namespaces', () => {
    it('delete their content and accept no new objects', async function () {
      needsControllers(this);
      const namespace = `${here().namespace}-end`;
      ok(
        await here().api.post('/api/v1/namespaces', {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: namespace },
        }),
        201,
      );
      const path = `/api/v1/namespaces/${namespace}/configmaps`;
      ok(await here().api.post(path, here().configMap('held', { finalizers: ['example.com/a'] })), 201);
      const ending = ok(await here().api.delete(`/api/v1/namespaces/${namespace}`));
      assert.equal(ending.status.phase, 'Terminating');
      const status = refused(await here().api.post(path, here().configMap('late')), 403, 'Forbidden');
      assert.match(status.message, /unable to create new content in namespace .* because it is being terminated/);
      await eventually(
        'the content to be ending',
        async () => ok(await here().api.get(`${path}/held`)).metadata.deletionTimestamp !== undefined,
      );
      ok(await here().api.patch(`${path}/held`, 'merge', { metadata: { finalizers: null } }));
      await eventually('the namespace to be gone', () => isGone(`/api/v1/namespaces/${namespace}`));
    });

    it('that the cluster needs cannot be deleted', async () => {
      assert.equal(
        refused(await here().api.delete('/api/v1/namespaces/default'), 403, 'Forbidden').message,
        'namespaces "default" is forbidden: this namespace may not be deleted',
      );
    });

    it('have their name as a label', async () => {
      assert.equal(
        ok(await here().api.get(`/api/v1/namespaces/${here().namespace}`)).metadata.labels[
          'kubernetes.io/metadata.name'
        ],
        here().namespace,
      );
    });
  });
}
