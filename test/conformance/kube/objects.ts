/** Create, read, update, status, conflicts. */
import assert from 'node:assert/strict';
import { ok, ownedBy, refused, type World } from './world.ts';

export function objectChapter(here: () => World): void {
  describe('objects', () => {
    it('get uid, resourceVersion, time and generation from the server', async () => {
      const made = await here().createWidget(
        'made',
        {},
        { uid: 'mine', generation: 7, creationTimestamp: '2001-01-01T00:00:00Z' },
      );
      assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
      assert.equal(made.metadata.generation, 1);
      assert.match(made.metadata.creationTimestamp, /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.notEqual(made.metadata.creationTimestamp, '2001-01-01T00:00:00Z');
      assert.match(made.metadata.resourceVersion, /^\d+$/);
      assert.deepEqual(ok(await here().api.get(here().widgets('made'))), made);
    });

    it('ignore a status on create', async () => {
      const { api, widgets } = { api: here().api, widgets: here().widgets() };
      const made = ok(await api.post(widgets, { ...here().widget('no-status'), status: { replicas: 3 } }), 201);
      assert.equal(made.status, undefined);
    });

    it('are named by the server with generateName', async () => {
      const made = ok(
        await here().api.post(here().widgets(), { ...here().widget(''), metadata: { generateName: 'some-' } }),
        201,
      );
      assert.match(made.metadata.name, /^some-[a-z0-9]{5}$/);
    });

    it('are refused under a name that is taken', async () => {
      await here().createWidget('taken');
      const status = refused(await here().api.post(here().widgets(), here().widget('taken')), 409, 'AlreadyExists');
      assert.equal(status.message, `widgets.${here().group} "taken" already exists`);
      assert.deepEqual(status.details, { name: 'taken', group: here().group, kind: 'widgets' });
    });

    it('are refused in a missing namespace', async () => {
      const status = refused(
        await here().api.post(here().widgets(undefined, 'nowhere-at-all'), here().widget('a')),
        404,
        'NotFound',
      );
      assert.equal(status.message, 'namespaces "nowhere-at-all" not found');
    });

    it("are refused when their own namespace differs from the path's", async () => {
      const status = refused(
        await here().api.post(here().widgets(), here().widget('a', {}, { namespace: 'other' })),
        400,
        'BadRequest',
      );
      assert.equal(
        status.message,
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    });

    it('are reported as missing with the message that clients know', async () => {
      const status = refused(await here().api.get(here().widgets('absent')), 404, 'NotFound');
      assert.equal(status.message, `widgets.${here().group} "absent" not found`);
      assert.deepEqual(status.details, { name: 'absent', group: here().group, kind: 'widgets' });
    });

    it('are not written by a dry run', async () => {
      const made = ok(await here().api.post(`${here().widgets()}?dryRun=All`, here().widget('dry')), 201);
      assert.equal(made.metadata.resourceVersion, undefined);
      assert.equal(made.spec.replicas, 1);
      refused(await here().api.get(here().widgets('dry')), 404);
    });

    it('are replaced only from their newest resourceVersion', async () => {
      const first = await here().createWidget('replaced');
      const second = ok(
        await here().api.put(here().widgets('replaced'), { ...first, spec: { ...first.spec, replicas: 2 } }),
      );
      assert.equal(second.metadata.generation, 2);
      assert.ok(Number(second.metadata.resourceVersion) > Number(first.metadata.resourceVersion));
      const status = refused(
        await here().api.put(here().widgets('replaced'), { ...first, spec: { ...first.spec, replicas: 3 } }),
        409,
        'Conflict',
      );
      assert.equal(
        status.message,
        `Operation cannot be fulfilled on widgets.${here().group} "replaced": the object has been modified; ` +
          'please apply your changes to the latest version and try again',
      );
    });

    it('must give the resourceVersion that they replace', async () => {
      await here().createWidget('versionless');
      const status = refused(
        await here().api.put(here().widgets('versionless'), here().widget('versionless')),
        422,
        'Invalid',
      );
      assert.match(status.message, /metadata\.resourceVersion: Invalid value: .*: must be specified for an update$/);
    });

    it('keep their resourceVersion when an update changes nothing', async () => {
      const first = await here().createWidget('same');
      assert.equal(
        ok(await here().api.put(here().widgets('same'), first)).metadata.resourceVersion,
        first.metadata.resourceVersion,
      );
    });

    it('keep fields that only the server writes', async () => {
      const first = await here().createWidget('keeps');
      const second = ok(
        await here().api.put(here().widgets('keeps'), {
          ...first,
          metadata: { ...first.metadata, creationTimestamp: null, generation: 9, labels: { a: 'b' } },
        }),
      );
      assert.equal(second.metadata.creationTimestamp, first.metadata.creationTimestamp);
      assert.equal(second.metadata.generation, 1);
      assert.deepEqual(second.metadata.labels, { a: 'b' });
    });

    it('are not replaced by one of another name', async () => {
      const first = await here().createWidget('named');
      const status = refused(
        await here().api.put(here().widgets('named'), { ...first, metadata: { ...first.metadata, name: 'other' } }),
        400,
        'BadRequest',
      );
      assert.equal(status.message, 'the name of the object (other) does not match the name on the URL (named)');
    });

    it('are not replaced by one with another uid', async () => {
      const first = await here().createWidget('lives');
      refused(
        await here().api.put(here().widgets('lives'), { ...first, metadata: { ...first.metadata, uid: 'another' } }),
        409,
        'Conflict',
      );
    });
  });

  describe('status', () => {
    it('is written at its own path only', async () => {
      const first = await here().createWidget('split');
      const second = ok(
        await here().api.put(here().widgets('split/status'), {
          ...first,
          spec: { size: 'large', replicas: 9 },
          status: { replicas: 2 },
        }),
      );
      assert.deepEqual([second.spec, second.status, second.metadata.generation], [first.spec, { replicas: 2 }, 1]);
      const third = ok(
        await here().api.put(here().widgets('split'), {
          ...second,
          spec: { ...second.spec, replicas: 3 },
          status: { replicas: 8 },
        }),
      );
      assert.deepEqual([third.spec.replicas, third.status, third.metadata.generation], [3, { replicas: 2 }, 2]);
    });

    it('does not change labels', async () => {
      const first = await here().createWidget('labelless');
      const second = ok(
        await here().api.put(here().widgets('labelless/status'), {
          ...first,
          metadata: { ...first.metadata, labels: { a: 'b' } },
          status: { replicas: 1 },
        }),
      );
      assert.equal(second.metadata.labels, undefined);
    });

    it('is checked against the resourceVersion like the object', async () => {
      const first = await here().createWidget('guarded');
      ok(await here().api.put(here().widgets('guarded/status'), { ...first, status: { replicas: 1 } }));
      refused(
        await here().api.put(here().widgets('guarded/status'), { ...first, status: { replicas: 2 } }),
        409,
        'Conflict',
      );
    });

    it('writes nothing when it is unchanged', async () => {
      const first = await here().createWidget('repeated');
      const second = ok(await here().api.put(here().widgets('repeated/status'), { ...first, status: { replicas: 1 } }));
      const third = ok(await here().api.put(here().widgets('repeated/status'), second));
      assert.equal(third.metadata.resourceVersion, second.metadata.resourceVersion);
    });

    it('has a separate entry in managedFields', async () => {
      const first = await here().createWidget('apart');
      const second = ok(await here().api.put(here().widgets('apart/status'), { ...first, status: { replicas: 1 } }));
      assert.deepEqual(ownedBy(second, 'conformance', 'status'), { 'f:status': { '.': {}, 'f:replicas': {} } });
      assert.deepEqual(ownedBy(second, 'conformance'), { 'f:spec': { '.': {}, 'f:replicas': {}, 'f:size': {} } });
    });
  });
}
