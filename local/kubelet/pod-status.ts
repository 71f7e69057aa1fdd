/**
 * Builds a pod's status from the kubelet's records.
 * Owns: phase, conditions and container statuses. The texts are the same as in Kubernetes, because the operator and
 * people read them.
 * Pure: `nowMs` is passed in. A condition keeps its transition time while its status is the same. A status without
 * changes therefore gives equal JSON and is not written.
 */
import { toApiTime, type ConditionStatus } from '../../api/conditions.ts';
import { formatWait, nextStart, type BackoffLimits } from './backoff.ts';
import { newRecord, type ContainerRecord } from './container-record.ts';
import { hasFailed, isInitialized, type Records } from './pod-plan.ts';
import {
  isSidecar,
  type Container,
  type ContainerState,
  type StoredContainerStatus,
  type StoredPod,
  type PodCondition,
  type PodPhase,
  type PodSpec,
  type PodStatus,
} from './pod.ts';

export type PodStatusInputs = {
  readonly pod: StoredPod;
  readonly records: Records;
  /** Undefined while the pod has no address yet. */
  readonly podIp: string | undefined;
  readonly hostIp: string;
  readonly startedMs: number;
  readonly nowMs: number;
  /**
   * True while the kubelet stops the pod, so no container starts again. Readiness still follows the probes. The
   * endpoints controller recognises a stopping pod by its deletionTimestamp.
   */
  readonly stopping: boolean;
  readonly limits: BackoffLimits;
  /** The imageID of an image name; empty when the image is unknown. */
  readonly imageId: (image: string) => string;
};

export function describePod(inputs: PodStatusInputs): PodStatus {
  const { pod, records, podIp } = inputs;
  const { spec } = pod;
  const initialized = isInitialized(spec, records);
  const inits = (spec.initContainers ?? []).map((container, index) =>
    describeContainer(inputs, container, index > 0 ? 'PodInitializing' : 'ContainerCreating'),
  );
  const mains = spec.containers.map((container) =>
    describeContainer(inputs, container, initialized ? 'ContainerCreating' : 'PodInitializing'),
  );
  return {
    ...pod.status,
    phase: phaseOf(inputs, initialized),
    hostIP: inputs.hostIp,
    startTime: pod.status?.startTime ?? toApiTime(inputs.startedMs),
    qosClass: pod.status?.qosClass ?? qosOf(spec),
    ...(podIp === undefined ? {} : { podIP: podIp, podIPs: [{ ip: podIp }] }),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits }),
    containerStatuses: mains,
    conditions: conditionsOf(inputs, initialized),
  };
}

function describeContainer(
  inputs: PodStatusInputs,
  container: Container,
  waitingReason: string,
): StoredContainerStatus {
  const record = inputs.records.get(container.name) ?? newRecord;
  const { state, last } = stateOf(inputs, container, record, waitingReason);
  const main = inputs.pod.spec.containers.includes(container);
  const containerId =
    record.phase.kind === 'running'
      ? record.phase.containerId
      : record.phase.kind === 'exited'
        ? record.phase.end.containerID
        : undefined;
  return {
    name: container.name,
    state,
    lastState: last === undefined ? {} : { terminated: last },
    ready:
      main || isSidecar(container) ? record.ready : record.phase.kind === 'exited' && record.phase.end.exitCode === 0,
    started: record.phase.kind === 'running' && record.started,
    restartCount: record.restarts,
    image: container.image,
    imageID: inputs.imageId(container.image),
    ...(containerId === undefined ? {} : { containerID: containerId }),
  };
}

function stateOf(
  inputs: PodStatusInputs,
  container: Container,
  record: ContainerRecord,
  waitingReason: string,
): { state: ContainerState; last: ContainerRecord['last'] } {
  const { phase, last } = record;
  if (phase.kind === 'new') return { state: { waiting: { reason: waitingReason } }, last };
  if (phase.kind === 'blocked') return { state: { waiting: { reason: phase.reason, message: phase.message } }, last };
  if (phase.kind === 'running') return { state: { running: { startedAt: toApiTime(phase.startedMs) } }, last };
  const { waitMs } = nextStart(record.backoff, phase.endedMs, inputs.limits);
  if (waitMs === 0 || inputs.stopping || !restarts(inputs.pod.spec, container, phase.end.exitCode))
    return { state: { terminated: phase.end }, last };
  return {
    state: { waiting: { reason: 'CrashLoopBackOff', message: crashMessage(inputs.pod, container, waitMs) } },
    last: phase.end,
  };
}

function restarts(spec: PodSpec, container: Container, exitCode: number): boolean {
  if (isSidecar(container)) return true;
  const policy = spec.restartPolicy ?? 'Always';
  const always = policy === 'Always' && spec.containers.includes(container);
  return always || (exitCode !== 0 && policy !== 'Never');
}

export function crashMessage(pod: StoredPod, container: Container, waitMs: number): string {
  const { name, namespace, uid } = pod.metadata;
  const failed = `container=${container.name} pod=${name}_${namespace}(${uid})`;
  return `back-off ${formatWait(waitMs)} restarting failed ${failed}`;
}

function phaseOf({ pod: { spec }, records, stopping }: PodStatusInputs, initialized: boolean): PodPhase {
  if (hasFailed(spec, records)) return 'Failed';
  const seen = spec.containers.map((container) => records.get(container.name) ?? newRecord);
  const ends = seen.flatMap((record) => (record.phase.kind === 'exited' ? [record.phase.end.exitCode] : []));
  const allEnded = ends.length === seen.length;
  const failed = ends.some((code) => code !== 0);
  if (stopping && allEnded) return failed ? 'Failed' : 'Succeeded';
  if (!initialized || seen.some(neverRan)) return 'Pending';
  return allEnded ? phaseAtEnd(spec, failed) : 'Running';
}

function phaseAtEnd({ restartPolicy = 'Always' }: PodSpec, failed: boolean): PodPhase {
  if (restartPolicy === 'Always') return 'Running';
  if (!failed) return 'Succeeded';
  return restartPolicy === 'Never' ? 'Failed' : 'Running';
}

function neverRan({ phase, last }: ContainerRecord): boolean {
  return (phase.kind === 'new' || phase.kind === 'blocked') && last === undefined;
}

function conditionsOf(inputs: PodStatusInputs, initialized: boolean): readonly PodCondition[] {
  const {
    pod: { spec },
    records,
  } = inputs;
  const notDone = (spec.initContainers ?? []).filter(
    (container) => !isInitialized({ containers: [], initContainers: [container] }, records),
  );
  const watched = [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
  const notReady = watched.filter((container) => records.get(container.name)?.ready !== true);
  const unready =
    notReady.length === 0 && initialized
      ? undefined
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${namesOf(notReady)}]` };
  return [
    settle(inputs, 'PodReadyToStartContainers', inputs.podIp !== undefined),
    settle(inputs, 'Initialized', initialized, {
      reason: 'ContainersNotInitialized',
      message: `containers with incomplete status: [${namesOf(notDone)}]`,
    }),
    settle(inputs, 'Ready', unready === undefined, unready),
    settle(inputs, 'ContainersReady', unready === undefined, unready),
    settle(inputs, 'PodScheduled', true),
  ];
}

function namesOf(containers: readonly Container[]): string {
  return containers.map((container) => container.name).join(' ');
}

function settle(
  { pod, nowMs }: PodStatusInputs,
  type: string,
  holds: boolean,
  why?: { reason: string; message: string },
): PodCondition {
  const status: ConditionStatus = holds ? 'True' : 'False';
  const previous = pod.status?.conditions?.find((one) => one.type === type);
  const lastTransitionTime = previous?.status === status ? previous.lastTransitionTime : toApiTime(nowMs);
  return { type, status, ...(holds ? {} : why), lastProbeTime: null, lastTransitionTime };
}

/**
 * Guaranteed: every container has limits for cpu and memory, and its requests are equal or absent. BestEffort: no
 * container has limits or requests for cpu or memory. Burstable: any other pod.
 */
export function qosOf(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = [...(spec.initContainers ?? []), ...spec.containers].map((container) => container.resources ?? {});
  const names = ['cpu', 'memory'];
  if (
    all.every(({ requests = {}, limits = {} }) =>
      names.every((name) => requests[name] === undefined && limits[name] === undefined),
    )
  )
    return 'BestEffort';
  const equal = all.every(({ requests = {}, limits = {} }) =>
    names.every((name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name]),
  );
  return equal ? 'Guaranteed' : 'Burstable';
}
