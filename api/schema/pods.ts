/**
 * The parts of OnnxModel's spec that come from a pod: resources of containers, and the pods' template.
 *
 * Owns: their shape and bounds, and rules that refuse values for which the API server would refuse every pod.
 */
import { k, type CelRule } from './builder.ts';
import { objectName, quantity } from './values.ts';

const noMemory = (field: 'requests' | 'limits') => ({
  rule: `!has(self.${field}) || !('memory' in self.${field})`,
  message: `resources.${field} must not contain memory: set spec.memory.limit`,
  fieldPath: `.${field}`,
});
const amount = (of: 'requests' | 'limits'): string => `quantity(string(self.${of}[name]))`;
const isAbove = `name in self.limits && ${amount('requests')}.isGreaterThan(${amount('limits')})`;
const firstAbove =
  `self.requests.filter(name, ${isAbove}).map(name, name + ' request ' + string(self.requests[name]) + ' exceeds its ` +
  `limit ' + string(self.limits[name]))[0]`;

const isDevice = "(name.contains('/') || name.startsWith('hugepages-'))";
const isKnown = `(${isDevice} || name in ['cpu', 'memory', 'ephemeral-storage'])`;

/** CEL rules that repeat the API server's own checks of a pod's resources. */
const requestsFit: readonly CelRule[] = [
  {
    rule: `!has(self.requests) || !has(self.limits) || !self.requests.exists(name, ${isAbove})`,
    messageExpression:
      `${firstAbove} + ', so no pod can be created: lower resources.requests or ` + `raise resources.limits'`,
    message:
      'a request exceeds its limit, so no pod can be created: lower resources.requests or raise resources.limits',
    fieldPath: '.requests',
  },
  {
    rule:
      `!has(self.requests) || self.requests.all(name, !${isDevice} || (has(self.limits) && name in self.limits && ` +
      `${amount('requests')}.compareTo(${amount('limits')}) == 0))`,
    message:
      'devices (a name with "/") and hugepages cannot be overcommitted: set request and limit to the same amount',
    fieldPath: '.requests',
  },
  {
    rule: `!has(self.limits) || self.limits.all(name, !${isDevice} || ${amount('limits')}.isInteger())`,
    message: 'amounts of devices (a name with "/") and hugepages must be integers',
    fieldPath: '.limits',
  },
  ...(['requests', 'limits'] as const).map((field) => ({
    rule: `!has(self.${field}) || self.${field}.all(name, ${isKnown})`,
    message:
      'unknown resource name; allowed: cpu, memory, ephemeral-storage, hugepages-SIZE and devices (a name with "/")',
    fieldPath: `.${field}`,
  })),
];
const requirements = () =>
  k.object({
    requests: k
      .map(quantity(), { max: 16 })
      .doc('Amounts that are reserved on the node, by resource name, such as cpu: 500m.')
      .optional(),
    limits: k
      .map(quantity(), { max: 16 })
      .doc('Maximum amounts that the container may use, by resource name, such as cpu: 2 or nvidia.com/gpu: 1.')
      .optional(),
  });
export const resourcesSchema = requestsFit
  .reduce((schema, rule) => schema.rule(rule), requirements())
  .rule(noMemory('requests'))
  .rule(noMemory('limits'));

/**
 * The lowest memory limit of the sidecar. An idle sidecar uses 51 MB; test inputs (golden set) and kept live requests
 * (samples) need more.
 */
const sidecarMemory = '96Mi';
export const sidecarResourcesSchema = requestsFit
  .reduce((schema, rule) => schema.rule(rule), requirements())
  .rule({
    rule:
      `!has(self.limits) || !('memory' in self.limits) || ` +
      `quantity(string(self.limits['memory'])).compareTo(quantity('${sidecarMemory}')) >= 0`,
    message: `runtime.sidecar.resources.limits.memory must be at least ${sidecarMemory}`,
    messageExpression:
      `'runtime.sidecar.resources.limits.memory must be at least ${sidecarMemory} (given: ' + ` +
      `string(self.limits['memory']) + ')'`,
    fieldPath: '.limits',
  });

const taintText = (): ReturnType<typeof k.string> => k.string({ max: 316 });
const toleration = k.object({
  key: taintText().doc("The taint's key. Absent: every key; operator must then be Exists.").optional(),
  operator: k
    .oneOf(['Exists', 'Equal', 'Lt', 'Gt'])
    .doc(
      "How the taint's value is compared with the field value. Exists: every value is tolerated. Equal: both must be " +
        'the same. Lt and Gt: as numbers, where the cluster supports it.',
    )
    .defaultsTo('Equal'),
  value: taintText().doc("Compared with the taint's value. Leave it out with operator Exists.").optional(),
  effect: k
    .oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .doc("The taint's effect that is tolerated. Absent: every effect.")
    .optional(),
  tolerationSeconds: k
    .integer({ min: -1, max: 2147483647, format: 'int64' })
    .doc(
      'How many seconds a pod may stay on a node after a NoExecute taint was added; 0 or -1: it is evicted at ' +
        'once. Absent: no limit.',
    )
    .optional(),
});

const podMeta = k.object({
  labels: k
    .map(k.string({ max: 63 }), { max: 32 })
    .doc(
      'Added to the labels that the operator sets. Names that begin with onnx-operator.dev/ are ' +
        'refused. Absent: no further labels.',
    )
    .optional(),
  annotations: k
    .map(k.string({ max: 4096 }), { max: 32 })
    .doc('Added to every pod. Absent: no annotations.')
    .optional(),
});
const podSpec = k.object({
  nodeSelector: k
    .map(k.string({ max: 63 }), { max: 32 })
    .doc('Labels that a node must have to run the pods. Absent: any node.')
    .optional(),
  tolerations: k
    .list(toleration, { max: 32 })
    .doc('Taints of nodes that the pods tolerate. Absent: no taint.')
    .optional(),
  affinity: k
    .opaque()
    .doc('Node affinity, pod affinity and pod anti-affinity, as in a pod. Absent: no affinity.')
    .optional(),
  topologySpreadConstraints: k
    .list(k.opaque(), { max: 16 })
    .doc("How the pods are spread over nodes and zones, as in a pod. Absent: the scheduler's default.")
    .optional(),
  serviceAccountName: objectName()
    .doc("ServiceAccount of the pods; its token is not mounted. Absent: the namespace's default " + 'ServiceAccount.')
    .optional(),
  imagePullSecrets: k
    .listMap('name', k.object({ name: objectName().doc("The Secret, in the model's namespace.") }), { max: 16 })
    .doc('Secrets for the registry of the runtime image. Absent: those of the ServiceAccount.')
    .optional(),
  priorityClassName: objectName()
    .doc(
      'PriorityClass of the pods: decides which pods are scheduled first and preempted last. Absent: ' +
        "the cluster's default.",
    )
    .optional(),
});
export const templateSchema = k
  .object({
    metadata: podMeta.doc('Labels and annotations of the pods.').optional(),
    spec: podSpec.doc('Where the pods may run, and their ServiceAccount, image pull secrets and priority.').optional(),
  })
  .rule({
    rule:
      '!has(self.metadata) || !has(self.metadata.labels) || !self.metadata.labels.exists(l, ' +
      "l.startsWith('onnx-operator.dev/'))",
    message: 'template.metadata.labels must not contain onnx-operator.dev/ labels: the operator sets them',
    fieldPath: '.metadata.labels',
  });
