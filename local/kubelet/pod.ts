/**
 * A pod as the kubelet sees it: the supported part of the spec, and the complete status.
 * Owns: these types, and predicates that several parts use.
 * Limits: when a container uses an unsupported volume, envFrom or a secret, it does not start and its status has a
 * message. Lifecycle hooks, security contexts, host networking and ephemeral containers are ignored.
 */
import type { StoredObject } from '../objects.ts';
import type { Terminated } from '../../kube/kinds.ts';
import type { ConditionStatus } from '../../api/conditions.ts';
import type { Labels } from '../workloads/resources.ts';

export type EnvVar = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: {
      readonly containerName?: string;
      readonly resource: string;
      readonly divisor?: string;
    };
    readonly configMapKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
  };
};

export type Probe = {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number | string;
    readonly host?: string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string };
  readonly exec?: { readonly command?: readonly string[] };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
  readonly terminationGracePeriodSeconds?: number;
};

export type ResourceList = Readonly<Record<string, string | number>>;

export type Container = {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly unknown[];
  readonly workingDir?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: { readonly requests?: ResourceList; readonly limits?: ResourceList };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
    readonly readOnly?: boolean;
  }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly terminationMessagePath?: string;
  readonly terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError';
  /** Only for an init container: `Always` means that it keeps running while the containers after it start and run. */
  readonly restartPolicy?: 'Always';
};

export type Volume = {
  readonly name: string;
  readonly emptyDir?: Readonly<Record<string, unknown>>;
  readonly configMap?: {
    readonly name: string;
    readonly optional?: boolean;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
};

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export type PodSpec = {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly restartPolicy?: RestartPolicy;
  readonly nodeName?: string;
  readonly nodeSelector?: Labels;
  readonly terminationGracePeriodSeconds?: number;
};

export type TerminatedState = Terminated & {
  readonly reason: string;
  readonly startedAt?: string;
  readonly containerID?: string;
};

export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | { readonly terminated: TerminatedState };

export type StoredContainerStatus = {
  readonly name: string;
  readonly state: ContainerState;
  readonly lastState: ContainerState | Readonly<Record<string, never>>;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly image: string;
  readonly imageID: string;
  readonly containerID?: string;
};

export type PodCondition = {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason?: string;
  readonly message?: string;
  readonly lastProbeTime: null;
  readonly lastTransitionTime: string;
};

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

export type PodStatus = {
  readonly phase?: PodPhase;
  readonly reason?: string;
  readonly message?: string;
  readonly hostIP?: string;
  readonly podIP?: string;
  readonly podIPs?: readonly { readonly ip: string }[];
  readonly startTime?: string;
  readonly qosClass?: string;
  readonly conditions?: readonly PodCondition[];
  readonly initContainerStatuses?: readonly StoredContainerStatus[];
  readonly containerStatuses?: readonly StoredContainerStatus[];
};

export type StoredPod = StoredObject & { readonly spec: PodSpec; readonly status?: PodStatus };

export const defaultGraceSeconds = 30;
export const defaultTerminationLog = '/dev/termination-log';

/** True for a pod that has neither finished nor is being deleted. A ReplicaSet counts such pods. */
export function isActive(pod: StoredPod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod);
}

export function isFinished(pod: StoredPod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function condition(pod: StoredPod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((one) => one.type === type);
}

export function isPodReady(pod: StoredPod): boolean {
  return condition(pod, 'Ready')?.status === 'True';
}

/** True for an init container that keeps running while the containers after it start and run. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/**
 * @param port a number or the name of a container port
 * @returns undefined when the pod has no container port of that name
 */
export function portNumber(containers: readonly Container[], port: number | string): number | undefined {
  if (typeof port === 'number') return port;
  if (/^[0-9]+$/.test(port)) return Number(port);
  for (const container of containers) {
    const found = container.ports?.find((one) => one.name === port);
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}
