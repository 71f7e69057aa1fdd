/**
 * The columns that `kubectl get` shows for built-in objects.
 * Owns: the columns of each kind, as kube-apiserver prints them. A kind that is not in the table shows name and age.
 */
import { controllerOf } from '../../../api/kube-object.ts';
import { at, listOf, numberAt, recordOf, recordsOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { StoredObject } from '../../objects.ts';
import type { Column } from '../resource.ts';
import { ageOf } from '../times.ts';

type Cell = Column['cell'];

function column(name: string, cell: Cell, options: { type?: string; wide?: boolean; format?: string } = {}): Column {
  return {
    name,
    type: options.type ?? 'string',
    priority: options.wide === true ? 1 : 0,
    cell,
    ...(options.format === undefined ? {} : { format: options.format }),
  };
}

export const nameColumn = column('Name', (object) => object.metadata.name, { format: 'name' });
export const ageColumn = column('Age', (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs));

const byKind: Readonly<Record<string, readonly Column[]>> = {
  '/Namespace': [nameColumn, column('Status', (object) => stringAt(object, 'status', 'phase')), ageColumn],
  '/Pod': [
    nameColumn,
    column(
      'Ready',
      (pod) =>
        `${containerStatuses(pod).filter((one) => one['ready'] === true).length}/` +
        `${listOf(at(pod, 'spec', 'containers')).length}`,
    ),
    column('Status', podStatus),
    column('Restarts', (pod) =>
      String(containerStatuses(pod).reduce((sum, one) => sum + (numberAt(one, 'restartCount') ?? 0), 0)),
    ),
    ageColumn,
    column('IP', (pod) => stringAt(pod, 'status', 'podIP') ?? '<none>', { wide: true }),
    column('Node', (pod) => stringAt(pod, 'spec', 'nodeName') ?? '<none>', { wide: true }),
    column('Nominated Node', () => '<none>', { wide: true }),
    column('Readiness Gates', () => '<none>', { wide: true }),
  ],
  '/Service': [
    nameColumn,
    column('Type', (object) => stringAt(object, 'spec', 'type')),
    column('Cluster-IP', (object) => stringAt(object, 'spec', 'clusterIP') ?? '<none>'),
    column('External-IP', externalAddress),
    column(
      'Port(s)',
      (object) =>
        recordsOf(at(object, 'spec', 'ports'))
          .map(portText)
          .join(',') || '<none>',
    ),
    ageColumn,
    column('Selector', (object) => pairs(at(object, 'spec', 'selector')), { wide: true }),
  ],
  '/ConfigMap': [nameColumn, column('Data', (object) => countOf(object, ['data', 'binaryData'])), ageColumn],
  '/Secret': [
    nameColumn,
    column('Type', (object) => stringAt(object, 'type')),
    column('Data', (object) => countOf(object, ['data']), { type: 'integer' }),
    ageColumn,
  ],
  '/Event': [
    column('Last Seen', (object, nowMs) => ageOf(lastSeen(object), nowMs)),
    column('Type', (object) => stringAt(object, 'type')),
    column('Reason', (object) => stringAt(object, 'reason')),
    column(
      'Object',
      (object) =>
        `${(stringAt(object, 'involvedObject', 'kind') ?? '').toLowerCase()}/` +
        `${stringAt(object, 'involvedObject', 'name') ?? ''}`,
    ),
    column('Subobject', (object) => stringAt(object, 'involvedObject', 'fieldPath') ?? '', { wide: true }),
    column('Source', (object) => stringAt(object, 'source', 'component') ?? stringAt(object, 'reportingComponent'), {
      wide: true,
    }),
    column('Message', (object) => (stringAt(object, 'message') ?? '').trim()),
    column(
      'First Seen',
      (object, nowMs) => ageOf(stringAt(object, 'firstTimestamp') ?? stringAt(object, 'eventTime'), nowMs),
      { wide: true },
    ),
    column('Count', (object) => numberAt(object, 'count') ?? numberAt(object, 'series', 'count') ?? 1, { wide: true }),
    column('Name', (object) => object.metadata.name, { wide: true, format: 'name' }),
  ],
  '/PersistentVolumeClaim': [
    nameColumn,
    column('Status', (object) =>
      object.metadata.deletionTimestamp === undefined ? stringAt(object, 'status', 'phase') : 'Terminating',
    ),
    column('Volume', (object) => stringAt(object, 'spec', 'volumeName') ?? ''),
    column('Capacity', (object) => stringAt(object, 'status', 'capacity', 'storage') ?? ''),
    column('Access Modes', (object) =>
      listOf(at(object, 'spec', 'accessModes'))
        .map((mode) => String(mode).replace(/[a-z]/g, ''))
        .join(','),
    ),
    column('StorageClass', (object) => stringAt(object, 'spec', 'storageClassName') ?? ''),
    column('VolumeAttributesClass', () => '<unset>'),
    ageColumn,
    column('VolumeMode', (object) => stringAt(object, 'spec', 'volumeMode'), { wide: true }),
  ],
  '/Node': [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', () => '<none>'),
    ageColumn,
    column('Version', (node) => stringAt(node, 'status', 'nodeInfo', 'kubeletVersion') ?? ''),
    column('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), { wide: true }),
    column('External-IP', (node) => nodeAddress(node, 'ExternalIP'), { wide: true }),
    column('OS-Image', (node) => nodeInfo(node, 'osImage'), { wide: true }),
    column('Kernel-Version', (node) => nodeInfo(node, 'kernelVersion'), { wide: true }),
    column('Container-Runtime', (node) => nodeInfo(node, 'containerRuntimeVersion'), { wide: true }),
  ],
  '/Endpoints': [nameColumn, column('Endpoints', endpointsText), ageColumn],
  'apps/Deployment': [
    nameColumn,
    column(
      'Ready',
      (object) => `${numberAt(object, 'status', 'readyReplicas') ?? 0}/${numberAt(object, 'spec', 'replicas') ?? 0}`,
    ),
    column('Up-to-date', (object) => numberAt(object, 'status', 'updatedReplicas') ?? 0, { type: 'integer' }),
    column('Available', (object) => numberAt(object, 'status', 'availableReplicas') ?? 0, { type: 'integer' }),
    ageColumn,
    ...templateColumns(),
  ],
  'apps/ReplicaSet': [
    nameColumn,
    column('Desired', (object) => numberAt(object, 'spec', 'replicas') ?? 0, { type: 'integer' }),
    column('Current', (object) => numberAt(object, 'status', 'replicas') ?? 0, { type: 'integer' }),
    column('Ready', (object) => numberAt(object, 'status', 'readyReplicas') ?? 0, { type: 'integer' }),
    ageColumn,
    ...templateColumns(),
  ],
  'apps/ControllerRevision': [
    nameColumn,
    column('Controller', controllerText),
    column('Revision', (object) => numberAt(object, 'revision') ?? 0, { type: 'integer' }),
    ageColumn,
  ],
  'discovery.k8s.io/EndpointSlice': [
    nameColumn,
    column('AddressType', (object) => stringAt(object, 'addressType')),
    column(
      'Ports',
      (object) =>
        recordsOf(object['ports'])
          .map((port) => String(port['port']))
          .join(',') || '<unset>',
    ),
    column(
      'Endpoints',
      (object) =>
        recordsOf(object['endpoints'])
          .flatMap((one) => listOf(one['addresses']))
          .map(String)
          .join(',') || '<unset>',
    ),
    ageColumn,
  ],
  'coordination.k8s.io/Lease': [
    nameColumn,
    column('Holder', (object) => stringAt(object, 'spec', 'holderIdentity') ?? ''),
    ageColumn,
  ],
  'apiextensions.k8s.io/CustomResourceDefinition': [
    nameColumn,
    column('Created At', (object) => object.metadata.creationTimestamp, { type: 'date' }),
  ],
};

/** Columns of the scale subresource. */
export const scaleColumns: readonly Column[] = [
  nameColumn,
  column('Desired', (scale) => numberAt(scale, 'spec', 'replicas') ?? 0, { type: 'integer' }),
  column('Available', (scale) => numberAt(scale, 'status', 'replicas') ?? 0, { type: 'integer' }),
  ageColumn,
];

/** The columns of a kind. Events of both APIs are stored in one form, so they show the same columns. */
export function columnsOf(group: string, kind: string): readonly Column[] {
  return byKind[`${kind === 'Event' ? '' : group}/${kind}`] ?? [nameColumn, ageColumn];
}

function templateColumns(): readonly Column[] {
  return [
    column(
      'Containers',
      (object) =>
        recordsOf(at(object, 'spec', 'template', 'spec', 'containers'))
          .map((one) => String(one['name']))
          .join(','),
      { wide: true },
    ),
    column(
      'Images',
      (object) =>
        recordsOf(at(object, 'spec', 'template', 'spec', 'containers'))
          .map((one) => String(one['image']))
          .join(','),
      { wide: true },
    ),
    column('Selector', (object) => pairs(at(object, 'spec', 'selector', 'matchLabels')), { wide: true }),
  ];
}

function pairs(labels: unknown): string {
  return (
    Object.entries(recordOf(labels))
      .map(([key, value]) => `${key}=${String(value)}`)
      .sort()
      .join(',') || '<none>'
  );
}

function countOf(object: StoredObject, fields: readonly string[]): number {
  return fields.reduce((sum, field) => sum + Object.keys(recordOf(object[field])).length, 0);
}

function containerStatuses(pod: StoredObject): readonly JsonRecord[] {
  return recordsOf(at(pod, 'status', 'containerStatuses'));
}

/** The STATUS column: `Terminating`, or why a container waits or ended, or else the pod's phase. */
function podStatus(pod: StoredObject): string {
  const inits = recordsOf(at(pod, 'status', 'initContainerStatuses'));
  const total = listOf(at(pod, 'spec', 'initContainers')).length;
  const pending = inits.findIndex((one) => numberAt(one, 'state', 'terminated', 'exitCode') !== 0);
  let word = stringAt(pod, 'status', 'reason') ?? stringAt(pod, 'status', 'phase') ?? 'Unknown';
  for (const one of containerStatuses(pod)) word = reasonOf(one) ?? word;
  const blocking = inits[pending];
  if (blocking !== undefined && pending >= 0) word = `Init:${reasonOf(blocking) ?? `${pending}/${total}`}`;
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  return word;
}

function reasonOf(status: JsonRecord): string | undefined {
  const waiting = stringAt(status, 'state', 'waiting', 'reason');
  if (waiting !== undefined && waiting !== 'PodInitializing') return waiting;
  const reason = stringAt(status, 'state', 'terminated', 'reason');
  if (reason !== undefined) return reason;
  const code = numberAt(status, 'state', 'terminated', 'exitCode');
  return code === undefined ? undefined : `ExitCode:${code}`;
}

function nodeStatus(node: StoredObject): string {
  const ready = recordsOf(at(node, 'status', 'conditions')).find((condition) => condition['type'] === 'Ready');
  const word = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
  return at(node, 'spec', 'unschedulable') === true ? `${word},SchedulingDisabled` : word;
}

function nodeAddress(node: StoredObject, type: string): string {
  return (
    stringAt(
      recordsOf(at(node, 'status', 'addresses')).find((one) => one['type'] === type),
      'address',
    ) ?? '<none>'
  );
}

function nodeInfo(node: StoredObject, field: string): string {
  return stringAt(node, 'status', 'nodeInfo', field) || '<unknown>';
}

/**
 * The EXTERNAL-IP column. Local mode does not provide load balancers, so a Service of type LoadBalancer stays pending.
 */
function externalAddress(service: StoredObject): string {
  const type = stringAt(service, 'spec', 'type');
  if (type === 'ExternalName') return stringAt(service, 'spec', 'externalName') ?? '<none>';
  const given = listOf(at(service, 'spec', 'externalIPs'))
    .map(String)
    .join(',');
  return given !== '' ? given : type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function portText(port: JsonRecord): string {
  const node = numberAt(port, 'nodePort') ?? 0;
  return `${String(port['port'])}${node === 0 ? '' : `:${node}`}/${String(port['protocol'])}`;
}

function endpointsText(object: StoredObject): string {
  const texts = recordsOf(object['subsets']).flatMap((subset) =>
    recordsOf(subset['addresses']).flatMap((address) =>
      recordsOf(subset['ports']).map((port) => `${String(address['ip'])}:${String(port['port'])}`),
    ),
  );
  return texts.join(',') || '<none>';
}

function controllerText(object: StoredObject): string {
  const owner = controllerOf(object);
  if (owner === undefined) return '<none>';
  const [group] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : [''];
  return `${owner.kind.toLowerCase()}${group === '' ? '' : `.${group ?? ''}`}/${owner.name}`;
}

function lastSeen(event: StoredObject): string | undefined {
  return (
    stringAt(event, 'series', 'lastObservedTime') ??
    stringAt(event, 'lastTimestamp') ??
    stringAt(event, 'eventTime') ??
    stringAt(event, 'firstTimestamp')
  );
}
