/**
 * The Deployment that one revision of a model should have.
 *
 * Owns:   the pod's shape: containers, probes, grace periods, volumes, security. Not how many (the decision
 *         says) and not whether to write it (apply.ts does).
 * Pure:   the whole object, every time. It is applied server-side, so a field left out here is given up.
 *         Golden: test/golden/deployment.*.yaml.
 */
import {
  childName,
  containers,
  env,
  nativeEnvironment,
  paths,
  ports,
  terminationGraceSeconds,
} from '../../api/names.ts';
import type { OnnxModel, RevisionSpec } from '../../api/onnxmodel.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { volumeClaimOf } from '../../api/sources.ts';
import { parseDurationMs } from '../../api/units.ts';
import { childMeta, selectorOf, type Manifest, type PodTemplateManifest, type RevisionRecord } from './objects.ts';

const startupPeriodSeconds = 2;

export function deployment(model: OnnxModel, record: RevisionRecord, replicas: number): Manifest {
  const name = childName(model.metadata.name, record.revision);
  const selector = selectorOf(model.metadata.name, record.revision);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMeta(model, name, record.revision),
    spec: {
      replicas,
      paused: false,
      minReadySeconds: 0,
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 0,
      selector: { matchLabels: selector },
      // A model server has a cold start: never take a warm pod away before its successor is ready.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: withServingDefaults(record.template ?? podTemplate(model, record)),
    },
  };
}

/**
 * What a pod of the revision looks like. It is frozen with the revision, so that a later operator moves no pod of it.
 */
export function podTemplate(model: OnnxModel, record: RevisionRecord): PodTemplateManifest {
  const name = childName(model.metadata.name, record.revision);
  const meta = record.spec.template.metadata ?? {};
  return {
    metadata: {
      labels: { ...meta.labels, ...childMeta(model, name, record.revision).labels },
      ...(meta.annotations === undefined ? {} : { annotations: meta.annotations }),
    },
    spec: podSpec(name, record),
  };
}

/**
 * Kubernetes' own defaults of what decides whether and where a pod serves, said so that a change of them is put back.
 * They are added when the template is applied, not to what a revision froze; a default that is said is stored as one
 * that is not, so that no pod of an older revision is replaced for it.
 */
function withServingDefaults({ metadata, spec }: PodTemplateManifest): PodTemplateManifest {
  const defaults = {
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
  };
  return { metadata, spec: { ...defaults, ...spec } };
}

function podSpec(name: string, record: RevisionRecord): Readonly<Record<string, unknown>> {
  return {
    ...record.spec.template.spec,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: terminationGraceSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65534,
      runAsGroup: 65534,
      fsGroup: 65534,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [prepareContainer(record)],
    containers: [runtimeContainer(record), sidecarContainer(record)],
    volumes: [
      { name: 'config', configMap: { name } },
      { name: 'cache', emptyDir: {} },
      { name: 'tmp', emptyDir: { sizeLimit: '1Gi' } },
      ...sourceVolume(record),
    ],
  };
}

function sourceVolume(record: RevisionRecord): readonly object[] {
  const claimName = volumeClaimOf(record.spec.model.uri);
  return claimName === undefined ? [] : [{ name: 'source', persistentVolumeClaim: { claimName, readOnly: true } }];
}

function mounts(record: RevisionRecord): readonly object[] {
  return [
    { name: 'config', mountPath: paths.configDir, readOnly: true },
    { name: 'cache', mountPath: paths.cacheDir },
    { name: 'tmp', mountPath: '/tmp' },
    ...(volumeClaimOf(record.spec.model.uri) === undefined
      ? []
      : [{ name: 'source', mountPath: paths.sourceDir, readOnly: true }]),
  ];
}

/** Everything that does not depend on which container it is. */
function common(record: RevisionRecord): Readonly<Record<string, unknown>> {
  return {
    image: record.spec.runtime.image,
    imagePullPolicy: 'IfNotPresent',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    // What a container could not say itself, its last log lines do.
    terminationMessagePath: paths.terminationLog,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    env: environment(record),
  };
}

function environment(record: RevisionRecord): readonly object[] {
  const constants = {
    [env.configDir]: paths.configDir,
    [env.cacheDir]: paths.cacheDir,
    [env.terminationLog]: paths.terminationLog,
    ...(volumeClaimOf(record.spec.model.uri) === undefined ? {} : { [env.sourceDir]: paths.sourceDir }),
    ...nativeEnvironment,
  };
  return [
    { name: env.podIp, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    { name: env.podName, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    ...Object.entries(constants).map(([name, value]) => ({ name, value })),
  ];
}

/**
 * The spec's CPU and devices, with the memory limit as request and limit both: no overcommitment, no surprise eviction.
 */
function runtimeResources({ spec }: RevisionRecord): Readonly<Record<string, unknown>> {
  const memory = spec.memory.limit === undefined ? {} : { memory: spec.memory.limit };
  const requests = { ...spec.resources.requests, ...memory };
  const limits = { ...spec.resources.limits, ...memory };
  return {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function prepareContainer(record: RevisionRecord): object {
  return {
    ...common(record),
    name: containers.prepare,
    args: ['prepare'],
    resources: runtimeResources(record),
    volumeMounts: mounts(record),
  };
}

function runtimeContainer(record: RevisionRecord): object {
  const warmupSeconds = Math.ceil((parseDurationMs(record.spec.warmup.timeout) ?? 0) / 1000);
  return {
    ...common(record),
    name: containers.runtime,
    args: ['run'],
    ports: [
      { name: 'http', containerPort: ports.runtime, protocol: 'TCP' },
      { name: 'metrics', containerPort: ports.metrics, protocol: 'TCP' },
    ],
    // Loading comes before warming; a minute more than warming is allowed to take.
    startupProbe: {
      ...httpProbe('/v2/health/ready'),
      periodSeconds: startupPeriodSeconds,
      failureThreshold: Math.ceil((warmupSeconds + 60) / startupPeriodSeconds),
    },
    readinessProbe: { ...httpProbe('/v2/health/ready'), periodSeconds: 2, failureThreshold: 2 },
    livenessProbe: { ...httpProbe('/v2/health/live'), periodSeconds: 10, failureThreshold: 6 },
    resources: runtimeResources(record),
    volumeMounts: mounts(record),
  };
}

function httpProbe(path: string): Readonly<Record<string, unknown>> {
  return { httpGet: { path, port: ports.runtime, scheme: 'HTTP' }, timeoutSeconds: 5, successThreshold: 1 };
}

function sidecarContainer(record: RevisionRecord): object {
  return {
    ...common(record),
    name: containers.sidecar,
    args: ['sidecar'],
    ports: [{ name: 'report', containerPort: ports.sidecar, protocol: 'TCP' }],
    resources: sidecarResources(record.spec.runtime.sidecar?.resources ?? {}),
    volumeMounts: mounts(record),
  };
}

const sidecarDefaults = { requests: { cpu: '10m', memory: '96Mi' }, limits: { cpu: '500m', memory: '192Mi' } } as const;
type Amounts = Readonly<Record<string, string | number>>;

/** What the spec says in place of the defaults. A default gives way where it would put a request above its limit. */
function sidecarResources({ requests = {}, limits = {} }: NonNullable<RevisionSpec['resources']>): {
  readonly requests: Amounts;
  readonly limits: Amounts;
} {
  const exceeds = (request: string | number | undefined, limit: string | number | undefined): boolean =>
    request !== undefined && limit !== undefined && (parseQuantity(request) ?? 0) > (parseQuantity(limit) ?? 0);
  const keep = (
    defaults: Amounts,
    doesNotFit: (name: string, amount: string | number) => boolean,
    other: Amounts,
  ): Amounts =>
    Object.fromEntries(
      Object.entries(defaults).map(([name, amount]) => [
        name,
        doesNotFit(name, amount) ? (other[name] ?? amount) : amount,
      ]),
    );
  return {
    requests: {
      ...keep(sidecarDefaults.requests, (name, amount) => exceeds(amount, limits[name]), limits),
      ...requests,
    },
    limits: { ...keep(sidecarDefaults.limits, (name, amount) => exceeds(requests[name], amount), requests), ...limits },
  };
}
