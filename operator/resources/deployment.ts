/**
 * The Deployment of one revision.
 *
 * Terms: `prepare` is the init container, which fetches, checks and optimises the model. A record is what the operator
 * stores of a revision.
 * Owns: the pod template: containers, probes, grace periods, volumes, security.
 * Pure. The builder always returns the complete object, because server-side apply removes the value of a field that is
 * left out.
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
      // A new pod needs time to load and warm up: remove an old pod only when its successor is ready.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: withServingDefaults(record.template ?? podTemplate(model, record)),
    },
  };
}

/**
 * The pod template of a revision. It is stored with the revision, so that a newer operator does not replace the
 * revision's pods.
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
 * Adds Kubernetes' defaults for the fields that decide whether and where a pod runs, so that a manual change is
 * reverted. They are added at each apply and not stored with the revision. Kubernetes stores an explicit default like
 * an absent field, so existing pods are not replaced.
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

/** The fields that all containers share. */
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
    // A container that fails without a termination message gets its last log lines as the message.
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
 * The resources that the spec sets. spec.memory.limit is both the request and the limit of memory. A pod that stays
 * within its memory request is among the last to be evicted.
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
    // The probe waits for the warm-up timeout, plus one minute for loading the model before the warm-up.
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

/**
 * The amounts that the spec sets, and defaults for the amounts that it does not set. A default that would make a
 * request exceed its limit is replaced by the other amount: with a limit of 64Mi memory the default request of 96Mi
 * becomes 64Mi.
 */
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
