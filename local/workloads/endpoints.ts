/**
 * The endpoints controller: the pods of each Service, and whether each pod accepts new connections.
 * Owns: the EndpointSlices of a Service with a selector, and its object of the older Endpoints API. There is one slice
 * for each set of port numbers, because a named target port may differ between pods. `planSlices` is pure.
 * Rule: a terminating pod is not ready, unless the Service has publishNotReadyAddresses. It still serves while its
 * readiness probe passes.
 */
import { isFinished, isPodReady, portNumber, type StoredPod } from '../kubelet/pod.ts';
import type { StoredObject, NewObject, Objects, ResourcePath } from '../objects.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { Key } from './controller.ts';
import {
  endpointsPath,
  endpointSlicesPath,
  podsPath,
  selects,
  servicesPath,
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type StoredService,
} from './resources.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.k8s.io';

export type SlicePlan = { readonly ports: readonly EndpointPort[]; readonly endpoints: readonly Endpoint[] };

/** @param candidates the pods in the Service's namespace, sorted by name */
export function planSlices(service: StoredService, candidates: readonly StoredPod[]): readonly SlicePlan[] {
  const slices = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of candidates) {
    if (!selects(service.spec.selector, pod.metadata.labels) || isFinished(pod) || pod.status?.podIP === undefined)
      continue;
    const ports = portsOf(service, pod);
    const key = canonicalJson(ports);
    const slice = slices.get(key) ?? { ports, endpoints: [] };
    slices.set(key, slice);
    slice.endpoints.push(endpointOf(service, pod, pod.status.podIP));
  }
  // A Service without pods has one empty slice, to distinguish it from a Service that was not processed yet.
  return slices.size === 0 ? [{ ports: [], endpoints: [] }] : [...slices.values()];
}

function portsOf(service: StoredService, pod: StoredPod): readonly EndpointPort[] {
  return (service.spec.ports ?? []).flatMap(({ name, port, targetPort, protocol = 'TCP' }) => {
    const number = portNumber(pod.spec.containers, targetPort ?? port);
    return number === undefined ? [] : [{ ...(name === undefined ? {} : { name }), port: number, protocol }];
  });
}

function endpointOf(service: StoredService, pod: StoredPod, ip: string): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  return {
    addresses: [ip],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
  };
}

/** Updates the EndpointSlices and Endpoints of one Service. */
export function syncEndpoints(objects: Objects, { namespace, name }: Key): undefined {
  const service = objects.get({ ...servicesPath, namespace, name }) as StoredService | undefined;
  if (service === undefined || service.metadata.deletionTimestamp !== undefined || service.spec.selector === undefined)
    return undefined;
  const plans = planSlices(service, objects.list(podsPath, { namespace }) as readonly StoredPod[]);
  const wanted = plans.map((plan, index) => sliceObject(service, plan, index));
  for (const slice of wanted) put(objects, endpointSlicesPath, slice);
  const names = new Set(wanted.map((slice) => slice.metadata.name));
  for (const slice of slicesOf(objects, { namespace, name })) {
    const ours = slice.metadata.labels?.[managedByLabel] === managedBy;
    if (ours && !names.has(slice.metadata.name))
      objects.delete({ ...endpointSlicesPath, namespace, name: slice.metadata.name });
  }
  put(objects, endpointsPath, endpointsObject(service, plans));
  return undefined;
}

/**
 * The keys (namespace and name) of the Services that an object affects. A Service affects itself. A pod affects all
 * Services of its namespace that select it now or may have selected it before.
 */
export function endpointKeys(objects: Objects, object: StoredObject): readonly Key[] {
  const namespace = object.metadata.namespace ?? '';
  if (object.kind === 'Service') return [{ namespace, name: object.metadata.name }];
  // Return every Service with a selector: a pod that lost a label no longer matches the Service that selected it, and
  // passes are cheap.
  return (objects.list(servicesPath, { namespace }) as readonly StoredService[])
    .filter((service) => service.spec.selector !== undefined)
    .map((service) => ({ namespace, name: service.metadata.name }));
}

export function slicesOf(objects: Objects, { namespace, name }: Key): readonly EndpointSlice[] {
  return objects.list(endpointSlicesPath, {
    namespace,
    labels: { [serviceNameLabel]: name },
  }) as readonly EndpointSlice[];
}

function sliceObject(service: StoredService, plan: SlicePlan, index: number): NewObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: index === 0 ? `${service.metadata.name}-slice` : `${service.metadata.name}-slice-${index}`,
      namespace: service.metadata.namespace ?? '',
      labels: { ...service.metadata.labels, [serviceNameLabel]: service.metadata.name, [managedByLabel]: managedBy },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service.metadata.name,
          uid: service.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: 'IPv4',
    endpoints: plan.endpoints,
    ports: plan.ports,
  };
}

function endpointsObject(service: StoredService, plans: readonly SlicePlan[]): NewObject {
  const address = (endpoint: Endpoint): object => ({
    ip: endpoint.addresses[0],
    nodeName: endpoint.nodeName,
    targetRef: endpoint.targetRef,
  });
  const subsets = plans
    .filter((plan) => plan.endpoints.length > 0)
    .map((plan) => {
      const ready = plan.endpoints.filter((one) => one.conditions.ready === true);
      const notReady = plan.endpoints.filter(
        (one) => one.conditions.ready !== true && one.conditions.terminating !== true,
      );
      return {
        ...(ready.length === 0 ? {} : { addresses: ready.map(address) }),
        ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady.map(address) }),
        ports: plan.ports,
      };
    });
  const { name, namespace = '', labels = {} } = service.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, labels },
    subsets: subsets.filter((one) => Object.keys(one).length > 1),
  };
}

/** Creates or replaces an object. Does not write when the stored object is equal. */
function put(objects: Objects, type: ResourcePath, wanted: NewObject): void {
  const { name = '', namespace = '', labels = {} } = wanted.metadata;
  const stored = objects.get({ ...type, namespace, name });
  if (stored === undefined) {
    objects.create(type, wanted);
    return;
  }
  const { metadata: _, ...body } = wanted;
  const next = { ...stored, ...body, metadata: { ...stored.metadata, labels } };
  if (canonicalJson(next) !== canonicalJson(stored)) objects.update(type, next);
}
