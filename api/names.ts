/**
 * Names that several programs must spell alike: group and kind, labels, annotations, ports, mount paths.
 *
 * Terms:  A child is an object that the operator makes for a model. The entry Service is the Service that clients use;
 *         it has the model's name. `prepare` is the init container, which fetches and checks the model.
 * Owns:   every name that the operator writes and another program reads.
 * Limits: the name of a child has at most 51 characters: 40 for the model's name (a CEL rule of the CRD), one for a
 *         dash, and 10 for the revision.
 */

import packageJson from '../package.json' with { type: 'json' };

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
  /** metadata.name of the OnnxModel; set on every child and pod. */
  model: 'onnx-operator.dev/model',
  /** Ten hex digits; set on every child of one revision and on its pods. */
  revision: 'onnx-operator.dev/revision',
  managedBy: 'app.kubernetes.io/managed-by',
  /**
   * `true` on ready pods that get traffic while two revisions share it by pods (router Service). The operator sets it
   * on pods; pod templates do not contain it.
   */
  serving: 'onnx-operator.dev/serving',
} as const;

export const annotations = {
  /** The result of `prepare` in the first pod (api/last-words.ts); set on the ControllerRevision. */
  resolved: 'onnx-operator.dev/resolved',
  /** Hash of the manifest that the operator applied last; set on every child. */
  applied: 'onnx-operator.dev/applied',
  /** The stable revision; set on the entry Service while its selector does not contain the stable revision. */
  stable: 'onnx-operator.dev/stable',
  /**
   * Number of the attempt (try of the revision) for which its golden set (test inputs) was copied; set on the
   * revision's ConfigMap.
   */
  goldenAttempt: 'onnx-operator.dev/golden-attempt',
} as const;

/** Field manager of every object that the operator applies, and value of the managed-by label. */
export const fieldManager = 'onnx-operator';

/** Ports of a pod; the entry Service and each revision's Service use `runtime` too. */
export const ports = { runtime: 8080, sidecar: 8081, metrics: 8082, grpc: 9000 } as const;

/**
 * terminationGracePeriodSeconds of every pod. After SIGTERM, a pod waits until no request has arrived for 5 s. The rest
 * of the time is for the requests in progress.
 */
export const terminationGraceSeconds = 60;

/** Container names of a pod. */
export const containers = { prepare: 'prepare', runtime: 'runtime', sidecar: 'sidecar' } as const;

/**
 * Paths inside a pod. Programs of a pod take them from `args` and `env`, never from this table: local mode has no mount
 * namespaces, so its kubelet replaces the paths in `args` and `env` by the folders that it uses as volumes.
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

/** Name of the runtime's image in local mode, which has a table of images in place of a registry. */
export const localRuntimeImage = `onnx-operator/runtime:${packageJson.version}`;

/** Environment variables that the pod template sets and the runtime image reads. */
export const env = {
  podIp: 'POD_IP',
  podName: 'POD_NAME',
  configDir: 'ONNX_CONFIG_DIR',
  cacheDir: 'ONNX_CACHE_DIR',
  /** Where the volume claim of a `pvc://` URI is mounted, read-only. Absent for other URIs. */
  sourceDir: 'ONNX_SOURCE_DIR',
  terminationLog: 'ONNX_TERMINATION_LOG',
  /** `true` when `file:///` URIs may be served: in local mode only, because such a URI names a file of the node. */
  allowFile: 'ONNX_ALLOW_FILE',
} as const;

/**
 * Environment that native code reads when its process starts, before JavaScript runs.
 *
 * It sets two thresholds of glibc's malloc to 4 MiB. With glibc's defaults, much of the memory that ONNX Runtime frees
 * is never returned to the machine. With thresholds of a few hundred KiB, every run gets the memory of its intermediate
 * results from the kernel page by page, which doubled the run time of an encoder. Results above 4 MiB still have this
 * cost; for models with such results, `prepare` chooses ONNX Runtime's memory arena or higher thresholds
 * (runtime/config/allocation.ts).
 */
export const nativeEnvironment = {
  MALLOC_TRIM_THRESHOLD_: '4194304',
  MALLOC_MMAP_THRESHOLD_: '4194304',
  ORT_DISABLE_TELEMETRY: '1',
} as const;

/** The name of the Deployment, Service and ConfigMap of one revision. */
export function childName(model: string, revision: string): string {
  return `${model}-${revision}`;
}

const childNamePattern = /.-([0-9a-f]{10})$/;

/**
 * The revision in the name of a child. The name is more reliable than the label, because a name cannot be changed.
 * @returns undefined when `childName` does not make this name for this model
 */
export function revisionInName(model: string, name: string): string | undefined {
  return name.startsWith(`${model}-`) && name.length === model.length + 11 ? revisionAtEnd(name) : undefined;
}

/** The revision at the end of the name of a child of any model; undefined when the name does not end in one. */
export function revisionAtEnd(name: string): string | undefined {
  return childNamePattern.exec(name)?.[1];
}
