/** Which fields of other managers the operator keeps, which it removes, and when it compares them again. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../../../api/kube-object.ts';
import {
  foreignFieldsOf,
  foreignText,
  repairPatch,
  updatePatch,
} from '../../../../operator/reconcile/foreign-fields.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';

const metadata = { name: 'm', namespace: 'ml', labels: {}, ownerReferences: [] };
const service: Manifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata,
  spec: { selector: { a: 'b' }, ports: [{ name: 'http', port: 8080, protocol: 'TCP', targetPort: 8080 }] },
};
const route: Manifest = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata,
  spec: { parentRefs: [{ name: 'public' }], rules: [{ backendRefs: [{ name: 'm-a', weight: 100 }] }] },
};

/** The object after another manager wrote `spec`; the manager owns `fields`. */
function written(manifest: Manifest, spec: object, fields: object, more: object = {}): KubeObject {
  const own = { manager: 'onnx-operator', operation: 'Apply', fieldsV1: { 'f:spec': {} } };
  const managedFields = [
    own,
    { manager: 'kubectl-edit', operation: 'Update', fieldsV1: { 'f:spec': fields }, ...more },
  ];
  return {
    ...manifest,
    metadata: { ...metadata, uid: 'u', resourceVersion: '7', managedFields },
    spec,
  } as unknown as KubeObject;
}

const port = (number: number, name?: string): object => ({
  ...(name === undefined ? {} : { name }),
  port: number,
  protocol: 'TCP',
  targetPort: number,
});
const portFields = (number: number): object => ({
  'f:ports': { [`k:{"port":${number},"protocol":"TCP"}`]: { '.': {}, 'f:port': {}, 'f:name': {} } },
});
const ports = (...list: object[]): object => ({ ...(service['spec'] as object), ports: list });

type Row = {
  readonly name: string;
  readonly manifest?: Manifest;
  readonly live: KubeObject;
  readonly takeOut?: readonly string[];
  readonly kept?: readonly string[];
  readonly shared?: readonly string[];
};
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'a port of another name stays', live: written(service, ports(port(8080, 'http'), port(9999, 'admin')),
      portFields(9999)), kept: ['spec.ports[9999/TCP] (kubectl-edit)'] },
  { name: 'a port with the name of ours is removed', live: written(service, ports(port(9999, 'http')),
      portFields(9999)), takeOut: ['spec.ports[9999/TCP] (kubectl-edit)'] },
  { name: 'a port without a name is removed', live: written(service, ports(port(9999)),
      portFields(9999)), takeOut: ['spec.ports[9999/TCP] (kubectl-edit)'] },
  { name: 'a field that affects traffic is removed',
    live: written(service, { ...ports(port(8080, 'http')), externalIPs: ['192.0.2.1'] },
      { 'f:externalIPs': {} }), takeOut: ['spec.externalIPs (kubectl-edit)'] },
  { name: 'a field that is not there any more is ignored',
    live: written(service, ports(port(8080, 'http')), { 'f:externalIPs': {} }) },
  { name: 'a selector with another owner is compared again',
    live: written(service, { ...ports(port(8080, 'http')), selector: { a: 'b', c: 'd' } },
      { 'f:selector': {} }), shared: ['spec.selector (kubectl-edit)'] },
  { name: 'route rules with another owner are compared again', manifest: route,
    live: written(route, { rules: [{ filters: [{ type: 'RequestMirror' }] }] },
      { 'f:rules': {} }), shared: ['spec.rules (kubectl-edit)'] },
  { name: 'hostnames that the manifest does not have are removed', manifest: route,
    live: written(route, { ...(route['spec'] as object), hostnames: ['a.example.com'] },
      { 'f:hostnames': {} }), takeOut: ['spec.hostnames (kubectl-edit)'] },
  { name: 'fields of a subresource are ignored',
    live: written(service, { ...ports(port(8080, 'http')), externalIPs: ['192.0.2.1'] },
      { 'f:externalIPs': {} }, { subresource: 'status' }) },
];

describe('fields of other managers', () => {
  for (const { name, manifest = service, live, takeOut = [], kept = [], shared = [] } of rows) {
    it(name, () => {
      const found = foreignFieldsOf(manifest, live);
      assert.deepEqual(
        [found.takeOut.map(foreignText), found.kept.map(foreignText), found.shared.map(foreignText)],
        [takeOut, kept, shared],
      );
    });
  }

  it('are removed and replaced by one patch with the resourceVersion', () => {
    const live = written(service, ports(port(9999, 'http')), portFields(9999));
    assert.deepEqual(repairPatch(service, live, foreignFieldsOf(service, live).takeOut), {
      metadata: { uid: 'u', resourceVersion: '7' },
      spec: { ports: [{ name: 'http', port: 8080, protocol: 'TCP', targetPort: 8080 }] },
    });
  });

  it('keep their place in a list when another field of ours changes, so that no pod restarts', () => {
    const containers = (...names: readonly string[]) => names.map((name) => ({ name }));
    const template = (...names: readonly string[]) => ({ template: { spec: { containers: containers(...names) } } });
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'x', namespace: 'ml' },
      spec: { replicas: 2, ...template('runtime', 'sidecar') },
    } as unknown as Manifest;
    const live = {
      ...deployment,
      metadata: { ...deployment.metadata, uid: 'u', resourceVersion: '7' },
      spec: { replicas: 1, ...template('agent', 'runtime', 'sidecar') },
    } as unknown as KubeObject;
    assert.deepEqual(updatePatch(deployment, live, []), {
      spec: { replicas: 2 },
      metadata: { uid: 'u', resourceVersion: '7' },
    });
  });
});
