/**
 * The kinds that the controllers, the kubelet and the gateway of local mode read and write, with the fields that they
 * use. Local mode is a Kubernetes cluster in one process.
 * Owns: the paths and types of these kinds. Fields that the API server defaults are still optional, so a controller
 * states the default where it reads such a field.
 * Why: the types of the client library are mutable classes with dates, but stored objects are frozen JSON.
 */
import type { Condition } from '../../api/conditions.ts';
import type { ObjectMeta } from '../../api/kube-object.ts';
import type { ServicePort } from '../../kube/kinds.ts';
import type { StoredObject, ResourcePath } from '../objects.ts';

export const podsPath = { apiVersion: 'v1', plural: 'pods' } as const satisfies ResourcePath;
export const servicesPath = { apiVersion: 'v1', plural: 'services' } as const satisfies ResourcePath;
export const endpointsPath = { apiVersion: 'v1', plural: 'endpoints' } as const satisfies ResourcePath;
export const eventsPath = { apiVersion: 'v1', plural: 'events' } as const satisfies ResourcePath;
export const nodesPath = { apiVersion: 'v1', plural: 'nodes' } as const satisfies ResourcePath;
export const namespacesPath = { apiVersion: 'v1', plural: 'namespaces' } as const satisfies ResourcePath;
export const configMapsPath = { apiVersion: 'v1', plural: 'configmaps' } as const satisfies ResourcePath;
export const claimsPath = { apiVersion: 'v1', plural: 'persistentvolumeclaims' } as const satisfies ResourcePath;
export const deploymentsPath = { apiVersion: 'apps/v1', plural: 'deployments' } as const satisfies ResourcePath;
export const replicaSetsPath = { apiVersion: 'apps/v1', plural: 'replicasets' } as const satisfies ResourcePath;
export const endpointSlicesPath = {
  apiVersion: 'discovery.k8s.io/v1',
  plural: 'endpointslices',
} as const satisfies ResourcePath;
export const definitionsPath = {
  apiVersion: 'apiextensions.k8s.io/v1',
  plural: 'customresourcedefinitions',
} as const satisfies ResourcePath;

/** A label of the Service that provides a Gateway's address. */
export const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';

export type IntOrPercent = number | string;
export type Labels = Readonly<Record<string, string>>;
export type LabelSelector = { readonly matchLabels?: Labels };
export type PodTemplate = {
  readonly metadata?: Pick<ObjectMeta, 'labels' | 'annotations'>;
  readonly spec: Readonly<Record<string, unknown>>;
};

export type WorkloadCondition = Omit<Condition, 'observedGeneration'> & { readonly lastUpdateTime?: string };

export type StoredDeployment = StoredObject & {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly strategy?: {
      readonly type?: 'RollingUpdate' | 'Recreate';
      readonly rollingUpdate?: { readonly maxSurge?: IntOrPercent; readonly maxUnavailable?: IntOrPercent };
    };
    readonly minReadySeconds?: number;
    readonly revisionHistoryLimit?: number;
    readonly progressDeadlineSeconds?: number;
    readonly paused?: boolean;
  };
  readonly status?: DeploymentStatus;
};

export type DeploymentStatus = {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly unavailableReplicas?: number;
  readonly conditions?: readonly WorkloadCondition[];
};

export type ReplicaSet = StoredObject & {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly minReadySeconds?: number;
  };
  readonly status?: ReplicaSetStatus;
};

export type ReplicaSetStatus = {
  readonly replicas: number;
  readonly fullyLabeledReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly observedGeneration?: number;
  readonly conditions?: readonly Omit<WorkloadCondition, 'lastUpdateTime'>[];
};

export type StoredService = StoredObject & {
  readonly spec: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly selector?: Labels;
    readonly ports?: readonly ServicePort[];
    readonly publishNotReadyAddresses?: boolean;
  };
};

export type Endpoint = {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly nodeName?: string;
  readonly targetRef?: {
    readonly kind: 'Pod';
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
};
export type EndpointPort = { readonly name?: string; readonly port: number; readonly protocol: string };
export type EndpointSlice = StoredObject & {
  readonly addressType: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
};

export type VolumeClaim = StoredObject & {
  readonly spec: {
    readonly accessModes?: readonly string[];
    readonly volumeName?: string;
    readonly resources?: { readonly requests?: Labels };
  };
  readonly status?: { readonly phase?: string };
};

/**
 * True when the labels contain every label of the selector. An empty selector matches nothing, as in a ReplicaSet or a
 * Service.
 */
export function selects(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value);
}
