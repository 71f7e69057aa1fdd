/** JSON patch, merge patch, strategic merge patch. */
import assert from 'node:assert/strict';
import { ok, refused, type World } from './world.ts';

export function patchChapter(here: () => World): void {
  describe('patches', () => {
    it('by JSON Patch test, add, remove and replace', async () => {
      await here().createWidget('jp', { map: { a: '1' }, steps: [{ weight: 1 }] });
      const patched = ok(
        await here().api.patch(here().widgets('jp'), 'json', [
          { op: 'test', path: '/spec/size', value: 'small' },
          { op: 'add', path: '/spec/map/b', value: '2' },
          { op: 'remove', path: '/spec/map/a' },
          { op: 'add', path: '/spec/steps/-', value: { weight: 2 } },
          { op: 'replace', path: '/spec/replicas', value: 4 },
        ]),
      );
      assert.deepEqual(patched.spec, {
        size: 'small',
        replicas: 4,
        map: { b: '2' },
        steps: [{ weight: 1 }, { weight: 2 }],
      });
    });

    for (const [name, operation] of [
      ['a test that fails', { op: 'test', path: '/spec/size', value: 'large' }],
      ['a missing path', { op: 'remove', path: '/spec/nothing' }],
      ['an unknown operation', { op: 'bogus', path: '/spec/size' }],
    ] as const) {
      it(`by JSON Patch are refused completely for ${name}`, async () => {
        const widget = `jp-${operation.op}`;
        const first = await here().createWidget(widget);
        refused(
          await here().api.patch(here().widgets(widget), 'json', [
            { op: 'replace', path: '/spec/replicas', value: 4 },
            operation,
          ]),
          422,
          'Invalid',
        );
        assert.deepEqual(ok(await here().api.get(here().widgets(widget))), first);
      });
    }

    it('by merge remove a field by null', async () => {
      await here().createWidget('mp', { note: 'note', map: { a: '1', b: '2' }, replicas: 3 });
      const patched = ok(
        await here().api.patch(here().widgets('mp'), 'merge', {
          spec: { note: null, map: { a: null, c: '3' }, replicas: null },
        }),
      );
      assert.deepEqual(patched.spec, { size: 'small', replicas: 1, map: { b: '2', c: '3' } });
    });

    it('are checked against a resourceVersion only when they have one', async () => {
      const first = await here().createWidget('mp-version');
      ok(await here().api.patch(here().widgets('mp-version'), 'merge', { spec: { replicas: 2 } }));
      ok(await here().api.patch(here().widgets('mp-version'), 'merge', { spec: { replicas: 3 } }));
      refused(
        await here().api.patch(here().widgets('mp-version'), 'merge', {
          metadata: { resourceVersion: first.metadata.resourceVersion },
          spec: { replicas: 4 },
        }),
        409,
        'Conflict',
      );
    });

    it('of the status leave the rest alone', async () => {
      await here().createWidget('mp-status');
      const patched = ok(
        await here().api.patch(here().widgets('mp-status/status'), 'merge', {
          spec: { size: 'large' },
          status: { replicas: 1 },
        }),
      );
      assert.deepEqual([patched.spec.size, patched.status], ['small', { replicas: 1 }]);
    });

    it('that change the name are refused', async () => {
      await here().createWidget('mp-name');
      const status = refused(
        await here().api.patch(here().widgets('mp-name'), 'merge', { metadata: { name: 'other' } }),
        400,
        'BadRequest',
      );
      assert.equal(status.message, 'the name of the object (other) does not match the name on the URL (mp-name)');
    });

    it('by strategic merge are refused for custom resources', async () => {
      await here().createWidget('smp');
      const status = refused(
        await here().api.patch(here().widgets('smp'), 'strategic', {}),
        415,
        'UnsupportedMediaType',
      );
      assert.equal(
        status.message,
        'the body of the request was in an unknown format - accepted media types include: ' +
          'application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
      );
    });

    it('by strategic merge merge lists by key', async () => {
      const path = here().path('v1', 'pods');
      const env = [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ];
      const deployment = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'smp' },
        spec: {
          replicas: 0,
          selector: { matchLabels: { a: 'b' } },
          template: {
            metadata: { labels: { a: 'b' } },
            spec: {
              containers: [
                { name: 'c', image: 'x:1', env },
                { name: 'd', image: 'x:1' },
              ],
            },
          },
        },
      };
      assert.ok(path.endsWith('/pods'));
      ok(await here().api.post(here().path('apps/v1', 'deployments'), deployment), 201);
      const containers = [
        { name: 'd', image: 'x:2' },
        {
          name: 'c',
          env: [
            { name: 'C', value: '3' },
            { name: 'A', $patch: 'delete' },
          ],
          '$setElementOrder/env': [{ name: 'C' }, { name: 'B' }],
        },
      ];
      const patched = ok(
        await here().api.patch(here().path('apps/v1', 'deployments', 'smp'), 'strategic', {
          spec: { template: { spec: { '$setElementOrder/containers': [{ name: 'd' }, { name: 'c' }], containers } } },
        }),
      );
      const [d, c] = patched.spec.template.spec.containers;
      assert.deepEqual(
        [d.name, d.image, c.name, c.image, c.env],
        [
          'd',
          'x:2',
          'c',
          'x:1',
          [
            { name: 'C', value: '3' },
            { name: 'B', value: '2' },
          ],
        ],
      );
    });

    it('of missing objects are refused', async () => {
      refused(await here().api.patch(here().widgets('absent'), 'merge', { spec: {} }), 404, 'NotFound');
    });
  });
}
