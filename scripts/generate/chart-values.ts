/**
 * The values of the chart: defaults, schema and text, once.
 * Owns: the table. `values.yaml`, `values.schema.json` and docs/reference/chart-values.md are made from it.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;
export type ChartLeaf = { readonly says: string; readonly value: unknown; readonly schema: JsonSchema };
export type ChartGroup = { readonly says: string; readonly fields: Readonly<Record<string, ChartNode>> };
export type ChartNode = ChartLeaf | ChartGroup;

const text: JsonSchema = { type: 'string' };
const flag: JsonSchema = { type: 'boolean' };
const object: JsonSchema = { type: 'object' };
const objects: JsonSchema = { type: 'array', items: object };
const texts: JsonSchema = { type: 'object', additionalProperties: text };
const namespaceName: JsonSchema = { type: 'string', maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' };
const namespaceNames: JsonSchema = { type: 'array', items: namespaceName, uniqueItems: true, maxItems: 64 };
const digest: JsonSchema = { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' };
const duration: JsonSchema = { type: 'string', pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$' };

function leaf(value: unknown, schema: JsonSchema, says: string): ChartLeaf {
  return { value, schema, says };
}

function imageFields(what: string): Readonly<Record<string, ChartNode>> {
  return {
    repository: leaf('', { ...text, minLength: 1 }, `Required: the repository to which you pushed the ${what} image.`),
    tag: leaf('', text, "The image's tag. Empty: the chart's appVersion."),
    digest: leaf('', digest, '`sha256:` and 64 hex digits; used instead of the tag.'),
  };
}

const images: Readonly<Record<string, ChartNode>> = {
  image: {
    says: 'Image of the operator.',
    fields: {
      ...imageFields('operator'),
      pullPolicy: leaf('IfNotPresent', { enum: ['Always', 'IfNotPresent', 'Never'] }, 'When nodes pull it.'),
      pullSecrets: leaf([], objects, 'Secrets to pull with, such as `[{name: registry}]`.'),
    },
  },
  runtimeImage: {
    says: 'Image of the model servers whose spec does not name one (`--runtime-image`).',
    fields: imageFields('runtime'),
  },
};

const scope: Readonly<Record<string, ChartNode>> = {
  nameOverride: leaf('', { ...text, maxLength: 40 }, "Replaces the chart's name in the names of objects."),
  fullnameOverride: leaf('', { ...text, maxLength: 40 }, 'Replaces the whole name of objects.'),
  watchNamespaces: leaf(
    [],
    namespaceNames,
    'Namespaces whose models are served. Empty: all, with cluster-wide rights. ' +
      'Otherwise each has a Deployment with rights in this namespace only.',
  ),
  crds: {
    says: 'The CustomResourceDefinition.',
    fields: {
      install: leaf(true, flag, 'Whether the release contains it, and an upgrade upgrades it.'),
      keep: leaf(true, flag, 'Whether it stays when the release is uninstalled. Without it all models are deleted.'),
    },
  },
};

const operator: Readonly<Record<string, ChartNode>> = {
  replicas: leaf(2, { type: 'integer', minimum: 0, maximum: 10 }, 'Replicas; one leads, the others wait.'),
  settle: leaf('10s', duration, 'How long a replaced revision keeps its pods after its traffic has ended.'),
  serviceAddress: leaf('DNS', { enum: ['DNS', 'ClusterIP'] }, 'Host in `status.address.url`.'),
  logLevel: leaf('info', { enum: ['debug', 'info', 'warn', 'error'] }, 'Least severe level that is logged.'),
  extraArgs: leaf(
    [],
    { type: 'array', items: { type: 'string', pattern: '^--' } },
    'More flags of the operator, ' + 'such as `["--kube-api-qps=50"]`.',
  ),
  env: leaf([], objects, 'More environment variables of the container.'),
  volumes: leaf([], objects, 'More volumes of the pods.'),
  volumeMounts: leaf([], objects, 'Where the container mounts them.'),
  port: leaf(8083, { type: 'integer', minimum: 1024, maximum: 65535 }, 'Port of /metrics, /healthz and /readyz.'),
};

const pods: Readonly<Record<string, ChartNode>> = {
  resources: leaf(
    { requests: { cpu: '100m', memory: '192Mi' }, limits: { memory: '1Gi' } },
    object,
    'Requests and limits of the container.',
  ),
  nodeSelector: leaf({}, texts, 'Labels of the nodes for the pods.'),
  tolerations: leaf([], objects, 'Tolerations of the pods.'),
  affinity: leaf({}, object, 'Affinity of the pods.'),
  topologySpreadConstraints: leaf([], objects, 'Empty: spread over nodes as far as possible.'),
  priorityClassName: leaf('', text, 'PriorityClass of the pods.'),
  podLabels: leaf({}, texts, 'More labels of the pods.'),
  podAnnotations: leaf({}, texts, 'More annotations of the pods.'),
  podSecurityContext: leaf(
    {
      runAsNonRoot: true,
      runAsUser: 65534,
      runAsGroup: 65534,
      fsGroup: 65534,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    object,
    'Security context of the pods.',
  ),
  securityContext: leaf(
    { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    object,
    'Security context of the container.',
  ),
  podDisruptionBudget: {
    says: 'PodDisruptionBudget of the operator, with `maxUnavailable: 1`.',
    fields: { enabled: leaf(true, flag, 'Whether the release contains it.') },
  },
  serviceAccount: {
    says: 'ServiceAccount of the operator.',
    fields: {
      create: leaf(true, flag, 'Whether the release contains it.'),
      name: leaf('', text, 'Its name. Empty: the name of the release.'),
      annotations: leaf({}, texts, 'Its annotations.'),
    },
  },
};

const rights: Readonly<Record<string, ChartNode>> = {
  rbac: {
    says: 'Roles.',
    fields: {
      create: leaf(true, flag, "Whether the release contains the operator's roles and bindings."),
      aggregate: leaf(true, flag, 'Whether the cluster roles view, edit and admin get rights on models.'),
    },
  },
  intentsPolicy: {
    says:
      'A ValidatingAdmissionPolicy (Kubernetes 1.30) for the intents abortRevision, promoteRevision, pinRevision, ' +
      'resumeStep and retryToken.',
    fields: {
      enabled: leaf(
        false,
        flag,
        'Whether only users who may update the subresource `onnxmodels/intents` set intents. ' +
          'The release then contains a ClusterRole with this right.',
      ),
    },
  },
};

const network: Readonly<Record<string, ChartNode>> = {
  networkPolicy: {
    says: 'NetworkPolicies.',
    fields: {
      enabled: leaf(false, flag, 'Whether the release contains them.'),
      monitoringNamespaces: leaf([], namespaceNames, 'Namespaces that may read metrics.'),
      modelNamespaces: leaf(
        [],
        namespaceNames,
        'Namespaces whose model pods get a policy: requests from everywhere, ' +
          'reports and samples for the operator and other model pods there, metrics for the operator and monitoring. ' +
          'watchNamespaces are always among them.',
      ),
    },
  },
};

const monitoring: Readonly<Record<string, ChartNode>> = {
  metrics: {
    says: 'Metrics.',
    fields: {
      service: leaf(true, flag, "Whether the operator's metrics have a Service."),
      serviceMonitor: leaf(false, flag, "A ServiceMonitor (Prometheus Operator) for the operator's metrics."),
      podMonitor: leaf(false, flag, "A PodMonitor for the model pods' metrics."),
      prometheusRule: leaf(false, flag, 'A PrometheusRule with alerts; the alerts need the two monitors.'),
      labels: leaf({}, texts, 'Labels of the monitors and rules, by which Prometheus selects them.'),
      interval: leaf('30s', duration, 'How often Prometheus reads.'),
      stuckAfter: leaf('2h', duration, 'How long a gate may be undecided before an alert.'),
    },
  },
};

export const chartValues: ChartGroup = {
  says: 'Values of the chart onnx-operator',
  fields: { ...images, ...scope, ...operator, ...pods, ...rights, ...network, ...monitoring },
};
