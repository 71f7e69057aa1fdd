/**
 * Names that both sides have to spell alike: group and kind, labels, annotations, ports, mount paths.
 *
 * Owns:  every string that the operator writes and somebody else reads. Child names fit in 63 characters
 *        because a model's name has at most 40 (the CRD's CEL rule) and a revision 10.
 */

export const api = {
  group: 'onnx-operator.dev',
  version: 'v1alpha1',
  groupVersion: 'onnx-operator.dev/v1alpha1',
  kind: 'OnnxModel',
  plural: 'onnxmodels',
  singular: 'onnxmodel',
  shortName: 'om',
} as const;

export const labels = {
  /** metadata.name of the OnnxModel; on every child and pod. */
  model: 'onnx-operator.dev/model',
  /** Ten hex digits; on every child of one revision and its pods. */
  revision: 'onnx-operator.dev/revision',
  managedBy: 'app.kubernetes.io/managed-by',
  /**
   * `true` on ready pods that get traffic while two revisions share it by pods (router Service). Set by the operator,
   * never in a template.
   */
  serving: 'onnx-operator.dev/serving',
} as const;

export const annotations = {
  /** What the first pod's `prepare` learned (api/last-words.ts), on the ControllerRevision. */
  resolved: 'onnx-operator.dev/resolved',
  /** Hash of what the operator applied last, on every child. */
  applied: 'onnx-operator.dev/applied',
  /** The stable revision, on an entry Service whose selector does not say it. */
  stable: 'onnx-operator.dev/stable',
  /** Attempt of the rollout for which the golden set was frozen, on the revision's ConfigMap. */
  goldenAttempt: 'onnx-operator.dev/golden-attempt',
} as const;

/** Field manager of everything the operator applies, and value of the managed-by label. */
export const fieldManager = 'onnx-operator';

/** Ports of a pod; the entry Service and each revision's Service use `runtime` too. */
export const ports = { runtime: 8080, sidecar: 8081, metrics: 8082, grpc: 9000 } as const;

/** terminationGracePeriodSeconds of every pod: 5 s without a request, then what is under way. */
export const terminationGraceSeconds = 60;

/** Container names of a pod. */
export const containers = { prepare: 'prepare', runtime: 'runtime', sidecar: 'sidecar' } as const;

/**
 * Where a pod finds things. In local mode there is no mount namespace: the kubelet rewrites these
 * paths in `args` and `env` to the folders that stand for the volumes, so programs take them from
 * there and never from this table.
 */
export const paths = {
  configDir: '/etc/onnx-operator',
  configFile: 'runtime.json',
  resolvedFile: 'resolved.json',
  accessFile: 'access.json',
  cacheDir: '/var/cache/onnx-operator',
  sourceDir: '/mnt/source',
  terminationLog: '/dev/termination-log',
} as const;

/** Environment variables that the pod template sets and the runtime image reads. */
export const env = {
  podIp: 'POD_IP',
  podName: 'POD_NAME',
  configDir: 'ONNX_CONFIG_DIR',
  cacheDir: 'ONNX_CACHE_DIR',
  /** Where the claim of a `pvc://` URI is mounted, read-only. Absent without one. */
  sourceDir: 'ONNX_SOURCE_DIR',
  terminationLog: 'ONNX_TERMINATION_LOG',
  /** `true` where the node's own files may be served by `file:///` URIs: local mode only. */
  allowFile: 'ONNX_ALLOW_FILE',
} as const;

/**
 * What native code reads as its process starts, before a line of ours runs.
 *
 * glibc's two thresholds: memory that ONNX Runtime gives back returns to the machine once 4 MiB are free. At its own
 * values much of it stays with the process for good; at a few hundred KiB each run fetches its intermediate results
 * from the kernel anew, page by page, which costs an encoder as much time again as the arithmetic.
 */
export const nativeEnvironment = {
  MALLOC_TRIM_THRESHOLD_: '4194304',
  MALLOC_MMAP_THRESHOLD_: '4194304',
  ORT_DISABLE_TELEMETRY: '1',
} as const;

/** Name of the Deployment, Service and ConfigMap of one revision. */
export function childName(model: string, revision: string): string {
  return `${model}-${revision}`;
}

const childNamePattern = /.-([0-9a-f]{10})$/;

/**
 * The revision that a child's name tells. Names never change, labels may be changed by anybody.
 * @returns undefined when the name is not one that `childName` makes for this model
 */
export function revisionInName(model: string, name: string): string | undefined {
  return name.startsWith(`${model}-`) && name.length === model.length + 11 ? revisionAtEnd(name) : undefined;
}

/** The revision that the name of any model's child ends in; undefined when it ends in none. */
export function revisionAtEnd(name: string): string | undefined {
  return childNamePattern.exec(name)?.[1];
}
