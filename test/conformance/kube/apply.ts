/** Server-side apply: create, own, conflict, force, release. */
import assert from 'node:assert/strict';
import type { Answer, Json } from './api.ts';
import { ok, ownedBy, refused, type World } from './world.ts';

export function applyChapter(here: () => World): void {
  describe('server-side apply', () => {
    it('creates a missing object with status 201', async () => {
      const made = ok(
        await here().apply('ssa-new', 'one', {
          size: 'small',
          parts: [{ name: 'p', weight: 1 }],
          map: { k: 'v' },
          tags: ['a'],
          steps: [{ weight: 1 }],
        }),
        201,
      );
      assert.equal(made.spec.replicas, 1);
      assert.deepEqual(ownedBy(made, 'one'), {
        'f:spec': {
          'f:map': { 'f:k': {} },
          'f:parts': { 'k:{"name":"p"}': { '.': {}, 'f:name': {}, 'f:weight': {} } },
          'f:size': {},
          'f:steps': {},
          'f:tags': { 'v:"a"': {} },
        },
      });
      assert.equal(made.metadata.managedFields[0].operation, 'Apply');
    });

    it('writes nothing when it is repeated', async () => {
      const first = ok(await here().apply('ssa-same', 'one', { size: 'small' }), 201);
      const second = ok(await here().apply('ssa-same', 'one', { size: 'small' }));
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
    });

    it('names every conflict and its owner', async () => {
      ok(
        await here().apply('ssa-conflict', 'one', { size: 'small', replicas: 2, parts: [{ name: 'p', weight: 1 }] }),
        201,
      );
      const status = refused(
        await here().apply('ssa-conflict', 'two', { size: 'large', replicas: 2, parts: [{ name: 'p', weight: 2 }] }),
        409,
        'Conflict',
      );
      assert.equal(
        status.message,
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.size\n- .spec.parts[name="p"].weight',
      );
      assert.deepEqual(status.details.causes, [
        { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.size' },
        { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.parts[name="p"].weight' },
      ]);
    });

    it('conflicts with an updater, naming its API version', async () => {
      ok(await here().apply('ssa-updated', 'one', { size: 'small', replicas: 2 }), 201);
      ok(
        await here().api.patch(`${here().widgets('ssa-updated')}?fieldManager=editor`, 'merge', {
          spec: { replicas: 3 },
        }),
      );
      const status = refused(await here().apply('ssa-updated', 'one', { size: 'small', replicas: 2 }), 409, 'Conflict');
      assert.equal(
        status.message,
        `Apply failed with 1 conflict: conflict with "editor" using ${here().apiVersion}: .spec.replicas`,
      );
    });

    it('shares a field that two managers set to the same value', async () => {
      ok(await here().apply('ssa-shared', 'one', { size: 'small', replicas: 2 }), 201);
      const both = ok(await here().apply('ssa-shared', 'two', { size: 'small', replicas: 2 }));
      assert.deepEqual(ownedBy(both, 'one'), ownedBy(both, 'two'));
      const left = ok(await here().apply('ssa-shared', 'one', { size: 'small' }));
      assert.equal(left.spec.replicas, 2);
    });

    it('takes fields over by force', async () => {
      ok(await here().apply('ssa-force', 'one', { size: 'small', replicas: 2 }), 201);
      const forced = ok(await here().apply('ssa-force', 'two', { size: 'small', replicas: 4 }, { force: true }));
      assert.equal(forced.spec.replicas, 4);
      assert.deepEqual(
        [ownedBy(forced, 'one'), ownedBy(forced, 'two')],
        [{ 'f:spec': { 'f:size': {} } }, { 'f:spec': { 'f:replicas': {}, 'f:size': {} } }],
      );
    });

    it('removes a field that its owner omits, and defaults it again', async () => {
      ok(
        await here().apply('ssa-drop', 'one', { size: 'small', replicas: 2, note: 'note', map: { a: '1', b: '2' } }),
        201,
      );
      const left = ok(await here().apply('ssa-drop', 'one', { size: 'small', map: { b: '2' } }));
      assert.deepEqual(left.spec, { size: 'small', replicas: 1, map: { b: '2' } });
    });

    it('removes only the items of a list that were its own', async () => {
      ok(
        await here().apply('ssa-items', 'one', { size: 'small', parts: [{ name: 'a' }, { name: 'b' }], tags: ['x'] }),
        201,
      );
      ok(await here().apply('ssa-items', 'two', { size: 'small', parts: [{ name: 'c' }], tags: ['y'] }));
      const left = ok(await here().apply('ssa-items', 'one', { size: 'small', parts: [{ name: 'b' }] }));
      assert.deepEqual(left.spec.parts.map((part: { name: string }) => part.name).sort(), ['b', 'c']);
      assert.deepEqual(left.spec.tags, ['y']);
    });

    it('keeps an item in which another manager owns a field', async () => {
      ok(await here().apply('ssa-held', 'one', { size: 'small', parts: [{ name: 'a', weight: 1 }] }), 201);
      ok(await here().apply('ssa-held', 'two', { size: 'small', parts: [{ name: 'a', port: 80 }] }));
      const left = ok(await here().apply('ssa-held', 'one', { size: 'small' }));
      assert.deepEqual(left.spec.parts, [{ name: 'a', port: 80, weight: 5 }]);
    });

    it('orders items as the applied list does', async () => {
      ok(await here().apply('ssa-order', 'one', { size: 'small', parts: [{ name: 'a' }, { name: 'b' }] }), 201);
      const swapped = ok(
        await here().apply('ssa-order', 'one', { size: 'small', parts: [{ name: 'c' }, { name: 'b' }, { name: 'a' }] }),
      );
      assert.deepEqual(
        swapped.spec.parts.map((part: { name: string }) => part.name),
        ['c', 'b', 'a'],
      );
    });

    it('replaces an atomic list', async () => {
      ok(await here().apply('ssa-atomic', 'one', { size: 'small', steps: [{ weight: 1 }, { weight: 2 }] }), 201);
      refused(await here().apply('ssa-atomic', 'two', { size: 'small', steps: [{ weight: 3 }] }), 409, 'Conflict');
      const forced = ok(
        await here().apply('ssa-atomic', 'two', { size: 'small', steps: [{ weight: 3 }] }, { force: true }),
      );
      assert.deepEqual([forced.spec.steps, ownedBy(forced, 'one')], [[{ weight: 3 }], { 'f:spec': { 'f:size': {} } }]);
    });

    it('of the status has a separate entry', async () => {
      ok(await here().apply('ssa-status', 'one', { size: 'small' }), 201);
      const config = {
        apiVersion: here().apiVersion,
        kind: 'Widget',
        metadata: { name: 'ssa-status' },
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      };
      const written = ok(
        await here().api.patch(`${here().widgets('ssa-status/status')}?fieldManager=op`, 'apply', config),
      );
      assert.deepEqual(written.status, { conditions: [{ type: 'Ready', status: 'True' }] });
      assert.deepEqual(ownedBy(written, 'op', 'status'), {
        'f:status': { 'f:conditions': { 'k:{"type":"Ready"}': { '.': {}, 'f:status': {}, 'f:type': {} } } },
      });
      const elsewhere = ok(
        await here().api.patch(`${here().widgets('ssa-status')}?fieldManager=op`, 'apply', {
          ...config,
          spec: { size: 'small' },
          status: { replicas: 9 },
        }),
      );
      assert.deepEqual(elsewhere.status, written.status);
    });

    it('owns labels, annotations and finalizers one by one', async () => {
      ok(
        await here().apply(
          'ssa-meta',
          'one',
          { size: 'small' },
          { metadata: { labels: { a: '1' }, annotations: { 'x/y': 'z' } } },
        ),
        201,
      );
      ok(await here().apply('ssa-meta', 'two', { size: 'small' }, { metadata: { labels: { b: '2' } } }));
      const left = ok(await here().apply('ssa-meta', 'one', { size: 'small' }));
      assert.deepEqual([left.metadata.labels, left.metadata.annotations], [{ b: '2' }, undefined]);
    });

    it('checks the resourceVersion when it is given', async () => {
      const first = ok(await here().apply('ssa-version', 'one', { size: 'small' }), 201);
      ok(await here().api.patch(here().widgets('ssa-version'), 'merge', { spec: { replicas: 2 } }));
      refused(
        await here().apply(
          'ssa-version',
          'one',
          { size: 'small' },
          { metadata: { resourceVersion: first.metadata.resourceVersion } },
        ),
        409,
        'Conflict',
      );
    });

    it('is not written by a dry run', async () => {
      const config = here().widget('ssa-dry');
      ok(await here().api.patch(`${here().widgets('ssa-dry')}?fieldManager=one&dryRun=All`, 'apply', config), 201);
      refused(await here().api.get(here().widgets('ssa-dry')), 404);
    });

    it('needs a manager', async () => {
      const status = refused(
        await here().api.patch(here().widgets('ssa-absent'), 'apply', here().widget('ssa-absent')),
        422,
        'Invalid',
      );
      assert.equal(
        status.message,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      );
    });

    it('refuses managedFields in the configuration', async () => {
      const config = here().widget('ssa-managed', {}, { managedFields: [] });
      const status = refused(
        await here().api.patch(`${here().widgets('ssa-managed')}?fieldManager=one`, 'apply', config),
        400,
        'BadRequest',
      );
      assert.equal(status.message, 'metadata.managedFields must be nil');
    });

    it('refuses a field that the schema does not have', async () => {
      const answer = await here().apply('ssa-unknown', 'one', { size: 'small', colour: 'red' });
      assert.equal(answer.status, 500);
      assert.match(
        answer.body.message,
        /^failed to create typed patch object \(.*\): \.spec\.colour: field not declared in schema$/,
      );
    });

    it('creates nothing for an unknown uid', async () => {
      const status = refused(
        await here().apply('ssa-uid', 'one', { size: 'small' }, { metadata: { uid: 'gone' } }),
        409,
        'Conflict',
      );
      assert.match(
        status.message,
        /uid mismatch: the provided object specified uid gone, and no existing object was found$/,
      );
    });

    it('reads YAML', async () => {
      const text =
        `apiVersion: ${here().apiVersion}\nkind: Widget\nmetadata:\n  name: ssa-yaml\nspec:\n  size: small # a ` +
        `comment\n`;
      assert.equal(
        ok(await here().api.patch(`${here().widgets('ssa-yaml')}?fieldManager=one`, 'apply', text), 201).spec.size,
        'small',
      );
    });

    it('starts tracking fields of an object without managedFields', async () => {
      const path = here().path('v1', 'configmaps', 'ssa-uncounted');
      ok(
        await here().api.post(here().path('v1', 'configmaps'), {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'ssa-uncounted' },
        }),
        201,
      );
      const updated = ok(await here().api.patch(`${path}?fieldManager=editor`, 'merge', { data: { a: '1' } }));
      assert.equal(updated.metadata.managedFields, undefined);
      const applied = ok(
        await here().api.patch(`${path}?fieldManager=one`, 'apply', {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'ssa-uncounted' },
          data: { b: '1' },
        }),
      );
      assert.deepEqual(
        applied.metadata.managedFields.map((entry: Json) => [entry.manager, entry.fieldsV1]),
        [
          ['one', { 'f:data': { 'f:b': {} } }],
          ['before-first-apply', { 'f:data': { '.': {}, 'f:a': {} } }],
        ],
      );
    });

    it('sees earlier untracked fields as fields of a placeholder manager', async () => {
      await here().createWidget('ssa-before', { replicas: 2 });
      ok(await here().api.patch(here().widgets('ssa-before'), 'merge', { metadata: { managedFields: [{}] } }));
      const status = refused(await here().apply('ssa-before', 'one', { size: 'small', replicas: 3 }), 409, 'Conflict');
      assert.match(status.message, /conflict with "before-first-apply" using/);
    });

    describe('by kubectl, of an object that it applied on the client before', () => {
      const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
      const config = (name: string, data: Json, annotations?: Json): Json => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, ...(annotations === undefined ? {} : { annotations }) },
        data,
      });
      /** The object that `kubectl apply` without --server-side creates. */
      const applyOnClient = async (name: string, data: Json): Promise<Json> => {
        const last = JSON.stringify(config(name, data));
        return ok(
          await here().api.post(
            `${here().path('v1', 'configmaps')}?fieldManager=kubectl-client-side-apply`,
            config(name, data, { [annotation]: last }),
          ),
          201,
        );
      };
      const apply = (name: string, data: Json, manager = 'kubectl'): Promise<Answer> =>
        here().api.patch(
          `${here().path('v1', 'configmaps', name)}?fieldManager=${manager}`,
          'apply',
          config(name, data),
        );

      it('takes its own fields over without a conflict, and updates the annotation', async () => {
        await applyOnClient('csa-own', { a: '1', b: '1' });
        const changed = ok(await apply('csa-own', { a: '2', b: '<&>' }));
        assert.deepEqual(changed.data, { a: '2', b: '<&>' });
        assert.equal(
          changed.metadata.annotations[annotation],
          '{"apiVersion":"v1","data":{"a":"2","b":"\\u003c\\u0026\\u003e"},' +
            '"kind":"ConfigMap","metadata":{"name":"csa-own"}}\n',
        );
      });

      it('conflicts on a field that another manager changed since', async () => {
        await applyOnClient('csa-other', { a: '1', b: '1' });
        ok(
          await here().api.patch(`${here().path('v1', 'configmaps', 'csa-other')}?fieldManager=editor`, 'merge', {
            data: { b: '3' },
          }),
        );
        const status = refused(await apply('csa-other', { a: '2', b: '2' }), 409, 'Conflict');
        assert.equal(status.message, 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.b');
      });

      it('does not apply to another manager', async () => {
        const made = await applyOnClient('csa-stranger', { a: '1' });
        refused(await apply('csa-stranger', { a: '2' }, 'stranger'), 409, 'Conflict');
        const shared = ok(await apply('csa-stranger', { a: '1' }, 'stranger'));
        assert.equal(shared.metadata.annotations[annotation], made.metadata.annotations[annotation]);
      });
    });

    it('merges the lists of a Deployment by key', async () => {
      const { api } = here();
      const path = here().path('apps/v1', 'deployments', 'ssa-deploy');
      const config = (env: unknown[], image = 'x:1'): unknown => ({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'ssa-deploy' },
        spec: {
          replicas: 0,
          selector: { matchLabels: { a: 'b' } },
          template: {
            metadata: { labels: { a: 'b' } },
            spec: { containers: [{ name: 'c', image, env, ports: [{ containerPort: 80 }] }] },
          },
        },
      });
      ok(
        await api.patch(
          `${path}?fieldManager=one`,
          'apply',
          config([
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ]),
        ),
        201,
      );
      const left = ok(await api.patch(`${path}?fieldManager=one`, 'apply', config([{ name: 'B', value: '3' }], 'x:2')));
      const [container] = left.spec.template.spec.containers;
      assert.deepEqual(
        [container.env, container.image, container.terminationMessagePolicy],
        [[{ name: 'B', value: '3' }], 'x:2', 'File'],
      );
      assert.equal(left.metadata.generation, 2);
      const again = ok(
        await api.patch(`${path}?fieldManager=one`, 'apply', config([{ name: 'B', value: '3' }], 'x:2')),
      );
      assert.equal(again.metadata.generation, 2);
      assert.deepEqual(Object.keys(ownedBy(again, 'one')['f:spec']['f:template']['f:spec']['f:containers']), [
        'k:{"name":"c"}',
      ]);
      assert.ok(
        'k:{"containerPort":80,"protocol":"TCP"}' in
          ownedBy(again, 'one')['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"c"}']['f:ports'],
      );
    });
  });
}
