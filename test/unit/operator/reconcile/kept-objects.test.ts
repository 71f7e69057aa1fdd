import assert from 'node:assert/strict';
import type { OnnxModel } from '../../../../api/onnxmodel.ts';
import type { ConfigMap, ControllerRevision, Deployment, Gateway, Pod, Service } from '../../../../kube/kinds.ts';
import { KeptObjects } from '../../../../operator/reconcile/kept-objects.ts';

const kept = new KeptObjects();
const ours = { manager: 'onnx-operator', operation: 'Apply', fieldsV1: { 'f:spec': {} } };
const foreign = { manager: 'kubectl-edit', operation: 'Update', fieldsV1: { 'f:spec': { 'f:paused': {} } } };
const metadata = {
  name: 'm-0123456789',
  namespace: 'ns',
  uid: 'u',
  resourceVersion: '7',
  generation: 2,
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { a: 'b' },
  annotations: { note: 'n' },
  ownerReferences: [{ apiVersion: 'v', kind: 'OnnxModel', name: 'm', uid: 'o' }],
};
const podSpec = (): object => ({
  dnsPolicy: 'ClusterFirst',
  containers: [{ name: 'runtime', env: [{ name: 'A', value: '1' }], ports: [{ containerPort: 8080 }] }],
});
const deployment = (): Deployment =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, managedFields: [ours, foreign] },
    spec: { replicas: 1, template: { metadata: { labels: {} }, spec: podSpec() }, foreign: true },
    status: {
      replicas: 1,
      conditions: [
        { type: 'Available', status: 'True' },
        { type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' },
      ],
    },
  }) as unknown as Deployment;
const model = (): OnnxModel =>
  ({
    apiVersion: 'v',
    kind: 'OnnxModel',
    metadata: {
      ...metadata,
      annotations: { note: 'n', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
      managedFields: [ours, foreign],
    },
    spec: { model: { uri: 'https://h/m.onnx' } },
    status: { message: 'm' },
  }) as unknown as OnnxModel;
const revision = (data: unknown = { schema: 1, spec: {}, template: { spec: podSpec() } }): ControllerRevision =>
  ({ apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata, revision: 1, data }) as ControllerRevision;

describe('what the caches keep', () => {
  it('of a pod are the fields that the operator reads', () => {
    const state = { terminated: { exitCode: 1, reason: 'Error', message: 'm', finishedAt: 't' } };
    const container = { name: 'runtime', ready: true, started: true, restartCount: 2, state, lastState: state };
    const read = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'n' },
      status: {
        phase: 'Running',
        podIP: '10.0.0.1',
        conditions: [{ type: 'Ready', status: 'True' }],
        initContainerStatuses: [container],
        containerStatuses: [container],
      },
    };
    const sent = {
      ...read,
      metadata: { ...metadata, generateName: 'm-', managedFields: [ours, foreign] },
      spec: { ...read.spec, containers: [{ name: 'runtime', env: [] }] },
      status: {
        ...read.status,
        qosClass: 'Burstable',
        conditions: [{ type: 'Ready', status: 'True', lastProbeTime: null }],
        containerStatuses: [{ ...container, imageID: 'docker.io/x@sha256:0', allocatedResources: {} }],
      },
    };
    assert.deepEqual(kept.pod(sent as unknown as Pod), read);
  });

  it('of a Deployment are its whole spec, the managers other than the operator, and failures to create pods', () => {
    const sent = deployment();
    assert.deepEqual(kept.deployment(sent), {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, managedFields: [foreign] },
      spec: sent.spec,
      status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }] },
    });
  });

  it('of a Service is everything but its status', () => {
    const sent = { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: '10.0.0.1' } };
    assert.deepEqual(kept.service({ ...sent, status: { loadBalancer: {} } } as Service), sent);
  });

  it('of a ConfigMap is everything, fields without a type too', () => {
    const sent = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { a: 'b' }, immutable: true };
    assert.deepEqual(kept.child<ConfigMap>({ ...sent, metadata: { ...metadata, managedFields: [ours] } }), sent);
  });

  it('of a ControllerRevision are its data, also data of another form', () => {
    for (const data of [{ schema: 1, spec: { a: 1 }, template: { spec: podSpec() } }, { schema: 2 }, 'text', null])
      assert.deepEqual(kept.controllerRevision(revision(data), undefined), revision(data));
  });

  it('of a Gateway are its listeners and addresses', () => {
    const listener = { name: 'http', port: 80, protocol: 'HTTP', hostname: 'h' };
    const sent = {
      apiVersion: 'v1',
      kind: 'Gateway',
      metadata,
      spec: { gatewayClassName: 'c', listeners: [{ ...listener, allowedRoutes: {} }] },
      status: { addresses: [{ type: 'IPAddress', value: '192.0.2.1' }], conditions: [] },
    };
    assert.deepEqual(kept.gateway(sent as unknown as Gateway), {
      apiVersion: 'v1',
      kind: 'Gateway',
      metadata,
      spec: { listeners: [listener] },
      status: { addresses: [{ value: '192.0.2.1' }] },
    });
  });

  it('of a model is everything but its managers and its text for kubectl', () => {
    const { spec, status, ...rest } = model();
    assert.deepEqual(kept.model(model(), undefined), { ...rest, metadata, spec, status });
  });

  it('is the same spec as before where it did not change', () => {
    const before = kept.model(model(), undefined);
    assert.equal(kept.model(model(), before).spec, before.spec);
    const changed = { ...model(), spec: { model: { uri: 'https://h/n.onnx' } } } as unknown as OnnxModel;
    assert.deepEqual(kept.model(changed, before).spec, changed.spec);
  });

  it('is the same data as before where a ControllerRevision did not change', () => {
    const before = kept.controllerRevision(revision(), undefined);
    assert.equal(kept.controllerRevision(revision(), before).data, before.data);
  });

  it('shares the parts of containers between Deployments and ControllerRevisions', () => {
    type Template = {
      readonly template: { readonly spec: { readonly containers: readonly { readonly env: object }[] } };
    };
    const envOf = (value: unknown): object | undefined => (value as Template).template.spec.containers[0]?.env;
    const env = envOf(kept.deployment(deployment()).spec);
    assert.equal(envOf(kept.deployment(deployment()).spec), env);
    assert.equal(envOf(kept.controllerRevision(revision(), undefined).data), env);
  });

  it('of an answer to a write is the same as of the object in the cache', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: {}, status: {} } as Service;
    const configMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...metadata, managedFields: [ours] },
      data: {},
    };
    assert.deepEqual(kept.answer(deployment()), kept.deployment(deployment()));
    assert.deepEqual(kept.answer(revision()), kept.controllerRevision(revision(), undefined));
    assert.deepEqual(kept.answer(service), kept.service(service));
    assert.deepEqual(kept.answer(configMap), kept.child<ConfigMap>(configMap));
  });
});
