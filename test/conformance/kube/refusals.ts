/**
 * What the API server refuses when the operator sends a wrong manifest, or when another writer has changed the object.
 */
import assert from 'node:assert/strict';
import type { Json } from './api.ts';
import { refused, type World } from './world.ts';

type Row = { readonly name: string; readonly change: (spec: Json) => void; readonly says: RegExp };

const first = (spec: Json): Json => spec.containers[0];
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'two ports of one name in a container',
    change: (spec) => first(spec).ports.push({ name: 'http', containerPort: 81 }),
    says: /containers\[0\]\.ports\[1\]\.name: Duplicate value: "http"/ },
  { name: 'a port without a number', change: (spec) => { first(spec).ports = [{ name: 'http' }]; },
    says: /containers\[0\]\.ports\[0\]\.containerPort: Required value/ },
  { name: 'a variable without a name', change: (spec) => { first(spec).env = [{ value: 'x' }]; },
    says: /containers\[0\]\.env\[0\]\.name: Required value/ },
  { name: 'a variable with two sources', change:
      (spec) => { first(spec).env = [{ name: 'A', value: 'x',
      valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }]; },
    says: /env\[0\]\.valueFrom: Invalid value: "": may not be specified when `value` is not empty/ },
  { name: 'a mount without a path', change: (spec) => { first(spec).volumeMounts = [{ name: 'v' }]; },
    says: /volumeMounts\[0\]\.mountPath: Required value/ },
  { name: 'two mounts at one path', change:
      (spec) => { first(spec).volumeMounts = [{ name: 'v', mountPath: '/a' }, { name: 'v', mountPath: '/a' }]; },
    says: /volumeMounts\[1\]\.mountPath: Invalid value: "\/a": must be unique/ },
  { name: 'a probe with two handlers', change:
      (spec) => { first(spec).readinessProbe = { httpGet: { port: 1 }, tcpSocket: { port: 1 } }; },
    says: /readinessProbe\.tcpSocket: Forbidden: may not specify more than 1 handler type/ },
  { name: 'a probe without a handler', change: (spec) => { first(spec).readinessProbe = { periodSeconds: 1 }; },
    says: /readinessProbe: Required value: must specify a handler type/ },
  { name: 'a volume of two kinds', change: (spec) => { spec.volumes[0].configMap = { name: 'x' }; },
    says: /volumes\[0\]\.configMap: Forbidden: may not specify more than 1 volume type/ },
  { name: 'two volumes of one name', change: (spec) => spec.volumes.push({ name: 'v', emptyDir: {} }),
    says: /volumes\[1\]\.name: Duplicate value: "v"/ },
  { name: 'a volume without a name', change: (spec) => spec.volumes.push({ emptyDir: {} }),
    says: /volumes\[1\]\.name: Required value/ },
];

export function refusalChapter(here: () => World): void {
  describe('a built-in object is refused', () => {
    for (const { name, change, says } of rows) {
      it(`with ${name}`, async () => {
        const spec = {
          containers: [{ name: 'c', image: 'r/x:1', ports: [{ name: 'http', containerPort: 80 }] }],
          volumes: [{ name: 'v', emptyDir: {} }],
        };
        change(spec);
        const object = {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'refused' },
          spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec } },
        };
        assert.match(
          refused(await here().api.post(here().path('apps/v1', 'deployments'), object), 422, 'Invalid').message,
          says,
        );
      });
    }

    it('with two ports of one name in a Service', async () => {
      const object = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'refused' },
        spec: {
          ports: [
            { name: 'http', port: 80 },
            { name: 'http', port: 81 },
          ],
        },
      };
      assert.match(
        refused(await here().api.post(here().path('v1', 'services'), object), 422, 'Invalid').message,
        /spec\.ports\[1\]\.name: Duplicate value: "http"/,
      );
    });

    it('with 500 when an apply does not fit the schema', async () => {
      const template = {
        metadata: { labels: { a: 'b' } },
        spec: { affinity: { nodeAffinity: 'x' }, containers: [{ name: 'c', image: 'r/x:1' }] },
      };
      const config = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'refused' },
        spec: { selector: { matchLabels: { a: 'b' } }, template },
      };
      const status = refused(
        await here().api.patch(`${here().path('apps/v1', 'deployments', 'refused')}?fieldManager=one`, 'apply', config),
        500,
      );
      assert.match(status.message, /failed to create typed patch object .*nodeAffinity/);
    });
  });
}
