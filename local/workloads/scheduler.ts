/**
 * Assigns pods to the only node, or reports why a pod does not fit.
 * Owns: comparing the pod's requests with the node's free capacity, node selectors, claims. The messages are the same
 * as in the real scheduler. `planPlacement` is pure.
 * Limits: affinity, topology spread and tolerations are ignored: with one node without taints they rarely exclude a
 * pod.
 */
import { parseQuantity } from '../../api/quantities.ts';
import type { Clock } from '../../lib/clock.ts';
import { isFinished, isSidecar, type Container, type StoredPod, type PodCondition } from '../kubelet/pod.ts';
import type { StoredObject, Objects } from '../objects.ts';
import type { Key } from './controller.ts';
import type { LocalEventRecorder } from './event-recorder.ts';
import { toApiTime } from '../../api/conditions.ts';
import { claimsPath, nodesPath, podsPath, type Labels } from './resources.ts';

export type Amounts = Readonly<Record<string, number>>;

export type PlacementFacts = {
  readonly nodeLabels: Labels;
  /** True after `kubectl cordon`: running pods stay, but new pods are not scheduled. */
  readonly cordoned: boolean;
  readonly allocatable: Amounts;
  /** The sum of the requests of all pods on the node. */
  readonly used: Amounts;
  readonly claimExists: (name: string) => boolean;
};

/** @returns undefined when the pod fits; otherwise the message of the scheduler */
export function planPlacement(pod: StoredPod, facts: PlacementFacts): string | undefined {
  for (const volume of pod.spec.volumes ?? []) {
    const name = volume.persistentVolumeClaim?.claimName;
    if (name !== undefined && !facts.claimExists(name))
      return unschedulable(`persistentvolumeclaim "${name}" not found`, notHelpful);
  }
  if (facts.cordoned) return unschedulable('1 node(s) were unschedulable', notHelpful);
  if (!Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => facts.nodeLabels[key] === value)) {
    return unschedulable("1 node(s) didn't match Pod's node affinity/selector", notHelpful);
  }
  const asked: Amounts = { pods: 1, ...podRequests(pod) };
  // Ignore rounding errors of CPU requests: as floats, 0.1 + 0.2 is greater than 0.3.
  const short = Object.keys(asked).filter(
    (name) => (facts.used[name] ?? 0) + (asked[name] ?? 0) > (facts.allocatable[name] ?? 0) + 1e-9,
  );
  if (short.length === 0) return undefined;
  const reasons = short.map((name) => (name === 'pods' ? '1 Too many pods' : `1 Insufficient ${name}`)).sort();
  return unschedulable(reasons.join(', '), noVictims);
}

const notHelpful = '0/1 nodes are available: 1 Preemption is not helpful for scheduling.';
const noVictims = '0/1 nodes are available: 1 No preemption victims found for incoming pod.';

function unschedulable(why: string, preemption: string): string {
  return `0/1 nodes are available: ${why}. preemption: ${preemption}`;
}

/**
 * For each resource, the larger of two amounts. The first is the sum of the requests of the main containers and all
 * sidecars. The second is the largest request of an init container together with the sidecars that start before it.
 */
export function podRequests(pod: StoredPod): Amounts {
  const total: Record<string, number> = {};
  for (const container of pod.spec.containers) add(total, requestsOf(container));
  const sidecars: Record<string, number> = {};
  const peak: Record<string, number> = {};
  for (const container of pod.spec.initContainers ?? []) {
    const own = requestsOf(container);
    if (isSidecar(container)) add(sidecars, own);
    const now: Record<string, number> = { ...sidecars };
    if (!isSidecar(container)) add(now, own);
    for (const [name, amount] of Object.entries(now)) peak[name] = Math.max(peak[name] ?? 0, amount);
  }
  add(total, sidecars);
  for (const [name, amount] of Object.entries(peak)) total[name] = Math.max(total[name] ?? 0, amount);
  return total;
}

/** The requests of a container. When a request is absent, the limit is used. */
function requestsOf({ resources = {} }: Container): Amounts {
  const entries = Object.entries({ ...resources.limits, ...resources.requests });
  return Object.fromEntries(entries.map(([name, amount]) => [name, parseQuantity(amount) ?? 0]));
}

function add(total: Record<string, number>, amounts: Amounts): void {
  for (const [name, amount] of Object.entries(amounts)) total[name] = (total[name] ?? 0) + amount;
}

export type SchedulerDeps = {
  readonly objects: Objects;
  readonly clock: Clock;
  readonly events: LocalEventRecorder;
  readonly nodeName: string;
};

/** Assigns one pod to the node, or writes why the pod does not fit. */
export function syncPlacement(deps: SchedulerDeps, { namespace, name }: Key): undefined {
  const pod = deps.objects.get({ ...podsPath, namespace, name }) as StoredPod | undefined;
  if (pod === undefined || pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined)
    return undefined;
  const node = deps.objects.get({ ...nodesPath, name: deps.nodeName });
  if (node === undefined) return undefined;
  const problem = planPlacement(pod, placementFacts(deps, node, namespace));
  if (problem !== undefined) return refuse(deps, pod, problem);
  deps.objects.update(podsPath, { ...pod, spec: { ...pod.spec, nodeName: deps.nodeName } } as StoredPod);
  deps.events.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${deps.nodeName}`);
  return undefined;
}

function refuse(deps: SchedulerDeps, pod: StoredPod, problem: string): undefined {
  const before = pod.status?.conditions?.find((one) => one.type === 'PodScheduled');
  const lastTransitionTime = before?.status === 'False' ? before.lastTransitionTime : toApiTime(deps.clock.now());
  const condition: PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message: problem,
    lastProbeTime: null,
    lastTransitionTime,
  };
  deps.objects.updateStatus(podsPath, {
    ...pod,
    status: { ...pod.status, phase: 'Pending', conditions: [condition] },
  });
  if (before?.message !== problem) deps.events.record(pod, 'Warning', 'FailedScheduling', problem);
  return undefined;
}

/**
 * The keys (namespace and name) of the pods that an object affects. A pending pod affects itself. A change that may
 * have freed capacity affects all pending pods.
 */
export function placementKeys(objects: Objects, object: StoredObject): readonly Key[] {
  const pod = object as StoredPod;
  const waits = object.kind === 'Pod' && pod.spec.nodeName === undefined;
  const freesNothing = object.kind === 'Pod' && !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;
  const waiting = waits
    ? [pod]
    : freesNothing
      ? []
      : (objects.list(podsPath) as readonly StoredPod[]).filter((one) => one.spec.nodeName === undefined);
  return waiting.map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name }));
}

function placementFacts({ objects, nodeName }: SchedulerDeps, node: StoredObject, namespace: string): PlacementFacts {
  const there = (objects.list(podsPath) as readonly StoredPod[]).filter(
    (pod) => pod.spec.nodeName === nodeName && !isFinished(pod),
  );
  const used: Record<string, number> = { pods: there.length };
  for (const pod of there) add(used, podRequests(pod));
  const spec = node['spec'] as { unschedulable?: boolean } | undefined;
  const status = node['status'] as { allocatable?: Labels } | undefined;
  const allocatable = Object.fromEntries(
    Object.entries(status?.allocatable ?? {}).map(([name, amount]) => [name, parseQuantity(amount) ?? 0]),
  );
  return {
    nodeLabels: node.metadata.labels ?? {},
    cordoned: spec?.unschedulable === true,
    allocatable,
    used,
    claimExists: (name) => objects.get({ ...claimsPath, namespace, name }) !== undefined,
  };
}
