/**
 * The Kubernetes objects that the operator reads, and their resource types.
 * Owns: which fields of other controllers' objects the operator relies on. Every field that a server may omit is
 * optional. Objects are plain JSON with times as strings.
 */
import { AppError } from '../api/errors.ts';
import { api } from '../api/names.ts';
import type { OnnxModel } from '../api/onnxmodel.ts';
import type { KubeObject } from '../api/kube-object.ts';
import type { ResourceType } from './client/resource-type.ts';

export type Terminated = {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly finishedAt?: string;
};
type ContainerState = {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: Terminated;
};
export type ContainerStatus = {
  readonly name: string;
  readonly ready: boolean;
  readonly started?: boolean;
  readonly restartCount: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
};
type PodCondition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
};

export type Pod = KubeObject & {
  /** `nodeName` is absent until the pod is scheduled. */
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly PodCondition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
};

export type Deployment = KubeObject & {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly spec?: { readonly containers?: readonly { readonly name: string; readonly image?: string }[] };
    };
  };
  readonly status?: { readonly conditions?: readonly PodCondition[] };
};
export type ServicePort = {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly protocol?: string;
};
export type Service = KubeObject & {
  readonly spec?: {
    readonly type?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly clusterIP?: string;
    readonly ports?: readonly ServicePort[];
  };
};
export type ConfigMap = KubeObject & {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
};

/** Types of the Gateway API, with the fields that the operator reads. */
export type ParentRef = {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
};
export type RouteCondition = PodCondition & { readonly observedGeneration?: number };
export type HttpRoute = KubeObject & {
  readonly spec?: {
    readonly parentRefs?: readonly ParentRef[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly {
      readonly backendRefs?: readonly { readonly name: string; readonly weight?: number }[];
    }[];
  };
  readonly status?: {
    readonly parents?: readonly { readonly parentRef: ParentRef; readonly conditions?: readonly RouteCondition[] }[];
  };
};
export type Gateway = KubeObject & {
  readonly spec?: {
    readonly listeners?: readonly {
      readonly name: string;
      readonly port: number;
      readonly protocol: string;
      readonly hostname?: string;
    }[];
  };
  readonly status?: { readonly addresses?: readonly { readonly value?: string }[] };
};

export type ControllerRevision = KubeObject & { readonly revision?: number; readonly data?: unknown };

export const onnxModels: ResourceType<OnnxModel> = {
  group: api.group,
  version: api.version,
  plural: api.plural,
  kind: api.kind,
  namespaced: true,
};
export const pods: ResourceType<Pod> = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
export const services: ResourceType<Service> = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
};
export const configMaps: ResourceType<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
export const deployments: ResourceType<Deployment> = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};
export const controllerRevisions: ResourceType<ControllerRevision> = {
  group: 'apps',
  version: 'v1',
  plural: 'controllerrevisions',
  kind: 'ControllerRevision',
  namespaced: true,
};
export const httpRoutes: ResourceType<HttpRoute> = {
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  plural: 'httproutes',
  kind: 'HTTPRoute',
  namespaced: true,
};
export const gateways: ResourceType<Gateway> = {
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  plural: 'gateways',
  kind: 'Gateway',
  namespaced: true,
};

/** Types of the objects that the operator creates for a model. */
export const childTypes = [httpRoutes, services, deployments, configMaps, controllerRevisions] as const;

/** @throws AppError KIND_UNKNOWN for a kind that is not in `childTypes` */
export function typeOfChild(kind: string): ResourceType {
  const type = childTypes.find((one) => one.kind === kind);
  if (type === undefined) throw new AppError('KIND_UNKNOWN', { kind });
  return type;
}

/**
 * Compares pods for a sort: the oldest first. Creation times are in whole seconds, so pods of the same second are
 * compared by name.
 */
export function byAge({ metadata: one }: Pod, { metadata: other }: Pod): number {
  const [born, otherBorn] = [one.creationTimestamp ?? '', other.creationTimestamp ?? ''];
  if (born !== otherBorn) return born < otherBorn ? -1 : 1;
  return one.name < other.name ? -1 : 1;
}

export function isReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}
