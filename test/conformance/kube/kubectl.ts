/**
 * The requests of kubectl's less usual commands: protobuf bodies, tables of subresources, access rules, warnings, logs.
 */
import assert from 'node:assert/strict';
import { protobufBody, text } from '../../support/protobuf.ts';
import { ok, refused, type World } from './world.ts';

const tables = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const protobuf = 'application/vnd.kubernetes.protobuf';

export function kubectlChapter(here: () => World): void {
  describe('requests of kubectl', () => {
    it('create a Deployment in protobuf, zero replicas included', async () => {
      const labels = text(1, [text(1, 'app'), text(2, 'made')]);
      const container = text(2, [text(1, 'main'), text(2, 'image:1'), text(6, [[3, 8080]]), text(8, [])]);
      const template = text(3, [text(1, [text(11, [text(1, 'app'), text(2, 'made')])]), text(2, [container])]);
      const body = protobufBody('apps/v1', 'Deployment', [
        text(1, [text(1, 'protobuf-made'), text(8, [])]),
        text(2, [[1, 0], text(2, [labels]), template, text(4, [])]),
        text(3, []),
      ]);
      const made = ok(await here().api.post(here().path('apps/v1', 'deployments'), body, { type: protobuf }), 201);
      assert.equal(made.spec.replicas, 0);
      assert.deepEqual(made.spec.selector, { matchLabels: { app: 'made' } });
      const [main] = made.spec.template.spec.containers;
      assert.deepEqual(
        [main.name, main.image, main.ports, main.resources],
        ['main', 'image:1', [{ containerPort: 8080, protocol: 'TCP' }], {}],
      );
    });

    it('create a Service in protobuf', async () => {
      const port = text(1, [
        text(1, '80-http'),
        text(2, 'TCP'),
        [3, 80],
        text(4, [[1, 1], [2, 0], text(3, 'http')]),
        [5, 0],
      ]);
      const body = protobufBody('v1', 'Service', [
        text(1, [text(1, 'protobuf-service')]),
        text(2, [port, text(2, [text(1, 'a'), text(2, 'b')]), text(4, 'ClusterIP')]),
      ]);
      const made = ok(await here().api.post(here().path('v1', 'services'), body, { type: protobuf }), 201);
      assert.deepEqual(
        [made.spec.ports, made.spec.selector],
        [[{ name: '80-http', protocol: 'TCP', port: 80, targetPort: 'http' }], { a: 'b' }],
      );
    });

    it('show a scale as a table', async () => {
      ok(await here().apply('scale-table', 'one', { size: 'small', replicas: 2 }), 201);
      const table = ok(await here().api.get(`${here().widgets('scale-table')}/scale`, { accept: tables }));
      assert.deepEqual(
        table.columnDefinitions.map((column: { name: string }) => column.name),
        ['Name', 'Desired', 'Available', 'Age'],
      );
      assert.deepEqual(table.rows[0].cells.slice(0, 3), ['scale-table', 2, 0]);
    });

    it('list permissions', async () => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectRulesReview',
        spec: { namespace: here().namespace },
      };
      const isEverything = (rule: {
        readonly verbs: readonly string[];
        readonly resources: readonly string[];
      }): boolean => rule.verbs.includes('*') && rule.resources.includes('*');
      const inJson = ok(await here().api.post('/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', review), 201);
      assert.ok(inJson.status.resourceRules.some(isEverything));
      const inProtobuf = ok(
        await here().api.post(
          '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
          protobufBody('authorization.k8s.io/v1', 'SelfSubjectRulesReview', [text(2, [text(1, here().namespace)])]),
          { type: protobuf },
        ),
        201,
      );
      assert.ok(inProtobuf.status.resourceRules.some(isEverything));
    });

    it('warns of Endpoints', async () => {
      const answer = await here().api.get(here().path('v1', 'endpoints'));
      assert.equal(
        answer.headers['warning'],
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"',
      );
    });

    it('show the health check by check', async () => {
      const all = await here().api.get('/readyz?verbose');
      assert.match(all.text, /^\[\+\]ping ok\n(.*\n)*readyz check passed\n$/);
      assert.equal((await here().api.get('/livez/ping')).text, 'ok');
      assert.equal((await here().api.get('/livez/nothing')).status, 404);
    });

    it('read logs within valid bounds', async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'logs' },
        spec: { containers: [{ name: 'c', image: 'x' }] },
      };
      ok(await here().api.post(here().path('v1', 'pods'), pod), 201);
      const log = async (query: string, status: number): Promise<string> =>
        refused(await here().api.get(`${here().path('v1', 'pods', 'logs')}/log?${query}`), status).message;
      assert.equal(
        await log('tailLines=-1', 422),
        'PodLogOptions "logs" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
      );
      assert.equal(
        await log('sinceSeconds=0', 422),
        'PodLogOptions "logs" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
      );
      assert.equal(
        await log('limitBytes=0', 422),
        'PodLogOptions "logs" is invalid: limitBytes: Invalid value: 0: must be greater than 0',
      );
      assert.match(
        await log('sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z', 422),
        /Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified/,
      );
      assert.match(
        await log('sinceTime=yesterday', 400),
        /^parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse/,
      );
    });
  });
}
