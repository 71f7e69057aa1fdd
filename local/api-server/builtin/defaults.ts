/**
 * The defaults that kube-apiserver fills into built-in objects.
 * Owns: the defaults of pods and of every kind with a pod template, of Services and of several small kinds.
 * Why: the operator compares live objects with wanted objects. On a real cluster, a default that the operator does not
 * expect makes the operator update an object again and again. Local mode (a cluster in one process) has the same
 * defaults, so that this problem occurs in local mode, too.
 */
import { isRecord } from '../../../api/record.ts';
import { at, recordIn, recordsOf, setDefault, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { ObjectDraft } from '../resource.ts';

export function podDefaults(draft: ObjectDraft): void {
  const spec = recordIn(draft, 'spec');
  // Only a pod gets requests from its limits. In a pod template, limits without requests stay as they are.
  for (const field of ['containers', 'initContainers'])
    for (const container of recordsOf(spec[field])) requestsFromLimits(container);
  podSpecDefaults(spec);
  setDefault(spec, 'enableServiceLinks', true);
}

export function podSpecDefaults(spec: JsonRecord): void {
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'schedulerName', 'default-scheduler');
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  // Set the deprecated field `serviceAccount` and its successor `serviceAccountName` to the same value, because a
  // client may read either field.
  const account = stringAt(spec, 'serviceAccountName') ?? stringAt(spec, 'serviceAccount');
  if (account !== undefined) Object.assign(spec, { serviceAccountName: account, serviceAccount: account });
  for (const field of ['containers', 'initContainers'])
    for (const container of recordsOf(spec[field])) containerDefaults(container);
  for (const volume of recordsOf(spec['volumes'])) volumeDefaults(volume);
}

function containerDefaults(container: JsonRecord): void {
  setDefault(container, 'imagePullPolicy', pullPolicyOf(stringAt(container, 'image') ?? ''));
  setDefault(container, 'resources', {});
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  for (const port of recordsOf(container['ports'])) setDefault(port, 'protocol', 'TCP');
  for (const variable of recordsOf(container['env'])) {
    const reference = at(variable, 'valueFrom', 'fieldRef');
    if (isRecord(reference)) setDefault(reference, 'apiVersion', 'v1');
    const resource = at(variable, 'valueFrom', 'resourceFieldRef');
    if (isRecord(resource)) setDefault(resource, 'divisor', '0');
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name];
    if (isRecord(probe)) probeDefaults(probe);
  }
  for (const hook of ['postStart', 'preStop']) httpGetDefaults(at(container, 'lifecycle', hook, 'httpGet'));
}

/** For a resource with a limit and without a request, the request becomes equal to the limit. */
function requestsFromLimits(container: JsonRecord): void {
  const resources = container['resources'];
  if (!isRecord(resources) || !isRecord(resources['limits'])) return;
  const requests = recordIn(resources, 'requests');
  for (const [name, amount] of Object.entries(resources['limits'])) setDefault(requests, name, amount);
}

function probeDefaults(probe: JsonRecord): void {
  setDefault(probe, 'timeoutSeconds', 1);
  setDefault(probe, 'periodSeconds', 10);
  setDefault(probe, 'successThreshold', 1);
  setDefault(probe, 'failureThreshold', 3);
  httpGetDefaults(probe['httpGet']);
  if (isRecord(probe['grpc'])) setDefault(probe['grpc'], 'service', '');
}

function httpGetDefaults(get: unknown): void {
  if (!isRecord(get)) return;
  setDefault(get, 'path', '/');
  setDefault(get, 'scheme', 'HTTP');
}

/**
 * The default pull policy of an image: `Always` when the tag is `latest` or the name has neither tag nor digest,
 * otherwise `IfNotPresent`.
 */
function pullPolicyOf(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  if (name.includes('@')) return 'IfNotPresent';
  const tag = name.includes(':') ? name.slice(name.indexOf(':') + 1) : 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

const modeOfFiles = 0o644;

function volumeDefaults(volume: JsonRecord): void {
  const sources = Object.keys(volume).filter((field) => field !== 'name');
  if (sources.length === 0) volume['emptyDir'] = {};
  for (const source of ['configMap', 'secret', 'downwardAPI', 'projected']) {
    const found = volume[source];
    if (isRecord(found)) setDefault(found, 'defaultMode', modeOfFiles);
  }
  if (isRecord(volume['hostPath'])) setDefault(volume['hostPath'], 'type', '');
  for (const item of recordsOf(at(volume, 'downwardAPI', 'items'))) fieldRefDefaults(item);
  for (const source of recordsOf(at(volume, 'projected', 'sources'))) {
    for (const item of recordsOf(at(source, 'downwardAPI', 'items'))) fieldRefDefaults(item);
    if (isRecord(source['serviceAccountToken'])) setDefault(source['serviceAccountToken'], 'expirationSeconds', 3600);
  }
}

function fieldRefDefaults(item: JsonRecord): void {
  if (isRecord(item['fieldRef'])) setDefault(item['fieldRef'], 'apiVersion', 'v1');
}

export function deploymentDefaults(draft: ObjectDraft): void {
  const spec = recordIn(draft, 'spec');
  setDefault(spec, 'replicas', 1);
  setDefault(spec, 'revisionHistoryLimit', 10);
  setDefault(spec, 'progressDeadlineSeconds', 600);
  const strategy = recordIn(spec, 'strategy');
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = recordIn(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', '25%');
    setDefault(rolling, 'maxSurge', '25%');
  }
  templateDefaults(spec);
}

export function replicaSetDefaults(draft: ObjectDraft): void {
  const spec = recordIn(draft, 'spec');
  setDefault(spec, 'replicas', 1);
  templateDefaults(spec);
}

function templateDefaults(spec: JsonRecord): void {
  podSpecDefaults(recordIn(recordIn(spec, 'template'), 'spec'));
}

export function serviceDefaults(draft: ObjectDraft): void {
  const spec = recordIn(draft, 'spec');
  setDefault(spec, 'sessionAffinity', 'None');
  setDefault(spec, 'type', 'ClusterIP');
  setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  for (const port of recordsOf(spec['ports'])) {
    setDefault(port, 'protocol', 'TCP');
    if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '')
      port['targetPort'] = port['port'];
  }
}

export function secretDefaults(draft: ObjectDraft): void {
  setDefault(draft, 'type', 'Opaque');
  // `stringData` is write-only: its values become base64 in `data`.
  const plain = draft['stringData'];
  if (!isRecord(plain)) return;
  const data = recordIn(draft, 'data');
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
  delete draft['stringData'];
}

export function claimDefaults(draft: ObjectDraft): void {
  setDefault(recordIn(draft, 'spec'), 'volumeMode', 'Filesystem');
}

export function endpointSliceDefaults(draft: ObjectDraft): void {
  for (const endpoint of recordsOf(draft['endpoints'])) setDefault(endpoint, 'conditions', {});
  for (const port of recordsOf(draft['ports'])) {
    setDefault(port, 'name', '');
    setDefault(port, 'protocol', 'TCP');
  }
}
