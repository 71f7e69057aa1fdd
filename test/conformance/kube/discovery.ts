/** Discovery, and the answers for invalid paths. */
import assert from 'node:assert/strict';
import type { Json } from './api.ts';
import { ok, refused, type World } from './world.ts';

export function discoveryChapter(here: () => World): void {
  describe('discovery', () => {
    it('lists groups and versions', async () => {
      assert.deepEqual(ok(await here().api.get('/api')).versions, ['v1']);
      const groups = ok(await here().api.get('/apis')).groups.map((group: Json) => group.name);
      for (const group of [
        'apps',
        'coordination.k8s.io',
        'events.k8s.io',
        'discovery.k8s.io',
        'apiextensions.k8s.io',
        'authorization.k8s.io',
        here().group,
      ])
        assert.ok(groups.includes(group), group);
      assert.deepEqual(ok(await here().api.get(`/apis/${here().group}`)).preferredVersion, {
        groupVersion: here().apiVersion,
        version: 'v1',
      });
    });

    it('lists resources with their subresources', async () => {
      const { resources } = ok(await here().api.get(`/apis/${here().apiVersion}`));
      const [widgets] = resources;
      assert.deepEqual(
        [widgets.name, widgets.singularName, widgets.namespaced, widgets.kind, widgets.shortNames],
        ['widgets', 'widget', true, 'Widget', ['wg']],
      );
      assert.deepEqual(
        new Set(widgets.verbs),
        new Set(['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']),
      );
      assert.deepEqual(
        resources.map((one: Json) => one.name),
        ['widgets', 'widgets/status', 'widgets/scale'],
      );
      const core = ok(await here().api.get('/api/v1')).resources.map((one: Json) => one.name);
      for (const name of ['pods', 'pods/log', 'pods/portforward', 'services', 'configmaps', 'events', 'namespaces'])
        assert.ok(core.includes(name), name);
    });

    it('is aggregated when requested', async () => {
      const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
      const answer = await here().api.get('/apis', { accept });
      const all = ok(answer);
      assert.match(String(answer.headers['content-type']), /as=APIGroupDiscoveryList/);
      assert.deepEqual([all.kind, all.apiVersion], ['APIGroupDiscoveryList', 'apidiscovery.k8s.io/v2']);
      const ours = all.items.find((item: Json) => item.metadata.name === here().group);
      const [resource] = ours.versions[0].resources;
      assert.deepEqual(
        [resource.resource, resource.scope, resource.responseKind],
        ['widgets', 'Namespaced', { group: here().group, version: 'v1', kind: 'Widget' }],
      );
      assert.deepEqual(resource.subresources.map((one: Json) => one.subresource).sort(), ['scale', 'status']);
      assert.equal(ok(await here().api.get('/api', { accept })).items[0].versions[0].version, 'v1');
    });

    it('describes the custom resource for clients that explain and validate', async () => {
      const index = ok(await here().api.get('/openapi/v3'));
      const { serverRelativeURL } = index.paths[`apis/${here().apiVersion}`];
      const document = ok(await here().api.get(serverRelativeURL));
      const path = document.paths[`/apis/${here().apiVersion}/namespaces/{namespace}/widgets/{name}`];
      assert.deepEqual(path.patch['x-kubernetes-group-version-kind'], {
        group: here().group,
        version: 'v1',
        kind: 'Widget',
      });
      assert.ok(path.patch.parameters.some((parameter: Json) => parameter.name === 'fieldValidation'));
      const schema = Object.values(document.components.schemas as Record<string, Json>).find((one) =>
        one['x-kubernetes-group-version-kind']?.some((kind: Json) => kind.kind === 'Widget'),
      );
      assert.equal(schema.properties.spec.properties.size.description, 'How large it is.');
    });

    it('reports the version and readiness', async () => {
      assert.match(ok(await here().api.get('/version')).gitVersion, /^v1\.\d+\./);
      assert.equal((await here().api.get('/readyz')).text, 'ok');
    });
  });

  describe('requests', () => {
    it('to unknown paths are 404', async () => {
      assert.equal((await here().api.get('/apis/nothing.example.com/v1/widgets')).status, 404);
      refused(await here().api.get('/api/v1/namespaces/default/nothings'), 404, 'NotFound');
    });

    it('with an unsupported method are 405', async () => {
      refused(await here().api.post(here().path('v1', 'configmaps', 'x'), {}), 405, 'MethodNotAllowed');
    });

    it('that are too large are 413', async () => {
      const answer = await here().api.post(
        here().path('v1', 'configmaps'),
        here().configMap('large', {}, { a: 'x'.repeat(3 * 1024 * 1024 + 10) }),
      );
      assert.equal(answer.status, 413);
    });

    it('with invalid options are refused by name', async () => {
      assert.match(
        refused(await here().api.post(`${here().widgets()}?fieldValidation=Foo`, here().widget('x')), 422, 'Invalid')
          .message,
        /fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"/,
      );
      assert.match(
        refused(await here().api.post(`${here().widgets()}?dryRun=Foo`, here().widget('x')), 422, 'Invalid').message,
        /dryRun: Unsupported value: /,
      );
    });

    it("get the program's name as their manager when they do not give one", async () => {
      const made = ok(
        await here().api.post(here().path('v1', 'configmaps'), here().configMap('agent', {}, { a: 'b' }), {
          agent: 'someone/1.2 (linux)',
        }),
        201,
      );
      assert.deepEqual(
        made.metadata.managedFields.map((entry: Json) => [entry.manager, entry.operation]),
        [['someone', 'Update']],
      );
    });

    it('in YAML are read', async () => {
      const made = ok(
        await here().api.post(
          here().path('v1', 'configmaps'),
          'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: b}\n',
          { type: 'application/yaml' },
        ),
        201,
      );
      assert.deepEqual(made.data, { a: 'b' });
    });

    it('about permissions are answered', async () => {
      const review = ok(
        await here().api.post('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { verb: 'get', resource: 'pods' } },
        }),
        201,
      );
      assert.equal(review.status.allowed, true);
    });
  });
}
