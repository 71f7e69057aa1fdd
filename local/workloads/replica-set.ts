/**
 * The ReplicaSet controller: keeps the desired number of pods, and counts them.
 * Owns: which pod is deleted first when the ReplicaSet has too many pods, the ready and available counts, and the
 * condition ReplicaFailure. `planReplicas` and `describeReplicaSet` are pure; the other functions read and write
 * objects.
 */
import { controllerOf } from '../../api/kube-object.ts';
import { messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { condition, isActive, isPodReady, type StoredPod } from '../kubelet/pod.ts';
import type { StoredObject, Objects } from '../objects.ts';
import type { Key } from './controller.ts';
import type { LocalEventRecorder } from './event-recorder.ts';
import { toApiTime } from '../../api/conditions.ts';
import { podsPath, replicaSetsPath, type ReplicaSet, type ReplicaSetStatus } from './resources.ts';

export type ReplicaSetDeps = { readonly objects: Objects; readonly clock: Clock; readonly events: LocalEventRecorder };

/** @returns how many pods to create, or which pods to delete */
export function planReplicas(
  wanted: number,
  active: readonly StoredPod[],
): { readonly create: number; readonly remove: readonly StoredPod[] } {
  const surplus = active.length - wanted;
  if (surplus <= 0) return { create: wanted - active.length, remove: [] };
  return { create: 0, remove: [...active].sort(byUsefulness).slice(0, surplus) };
}

/**
 * The order in which pods are deleted: pods without a node, then pods that do not run, then pods that are not ready,
 * then the youngest pods. The least work is lost in this order.
 */
function byUsefulness(a: StoredPod, b: StoredPod): number {
  return rank(a) - rank(b) || Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp);
}

function rank(pod: StoredPod): number {
  if (pod.spec.nodeName === undefined) return 0;
  if (pod.status?.phase !== 'Running') return 1;
  return isPodReady(pod) ? 3 : 2;
}

/**
 * @param failure why the last pod could not be created
 * @returns the status, and milliseconds until the next ready pod becomes available; undefined when no pod waits
 */
export function describeReplicaSet(
  set: ReplicaSet,
  active: readonly StoredPod[],
  nowMs: number,
  failure?: string,
): { readonly status: ReplicaSetStatus; readonly recheckMs: number | undefined } {
  const waits = active.filter(isPodReady).map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, nowMs));
  const before = set.status?.conditions?.find((one) => one.type === 'ReplicaFailure');
  const conditions =
    failure === undefined
      ? []
      : [
          {
            type: 'ReplicaFailure',
            status: 'True' as const,
            reason: 'FailedCreate',
            message: failure,
            lastTransitionTime: before?.lastTransitionTime ?? toApiTime(nowMs),
          },
        ];
  const later = waits.filter((wait) => wait > 0);
  return {
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.length,
      readyReplicas: waits.length,
      availableReplicas: waits.length - later.length,
      observedGeneration: set.metadata.generation ?? 0,
      ...(conditions.length === 0 ? {} : { conditions }),
    },
    recheckMs: later.length === 0 ? undefined : Math.min(...later),
  };
}

function untilAvailable(pod: StoredPod, minReadySeconds: number, nowMs: number): number {
  const since = Date.parse(condition(pod, 'Ready')?.lastTransitionTime ?? '') || nowMs;
  return Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

/**
 * Creates or deletes the pods of one ReplicaSet and updates its status.
 * @returns milliseconds until a ready pod becomes available; undefined when no pod waits for that
 */
export function syncReplicaSet(deps: ReplicaSetDeps, { namespace, name }: Key): number | undefined {
  const set = deps.objects.get({ ...replicaSetsPath, namespace, name }) as ReplicaSet | undefined;
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return undefined;
  const plan = planReplicas(set.spec.replicas ?? 1, activePods(deps.objects, set));
  for (const pod of plan.remove) {
    deps.objects.delete({ ...podsPath, namespace, name: pod.metadata.name });
    deps.events.record(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
  }
  const failure = createPods(deps, set, plan.create);
  const latest = deps.objects.get({ ...replicaSetsPath, namespace, name }) as ReplicaSet | undefined;
  if (latest === undefined) return undefined;
  const { status, recheckMs } = describeReplicaSet(
    latest,
    activePods(deps.objects, latest),
    deps.clock.now(),
    failure?.message,
  );
  deps.objects.updateStatus(replicaSetsPath, { ...latest, status });
  // Throw the error only after the status was written. The loop then retries with back-off.
  if (failure !== undefined) throw failure;
  return recheckMs;
}

export function replicaSetKeys(object: StoredObject): readonly Key[] {
  const namespace = object.metadata.namespace ?? '';
  if (object.kind === 'ReplicaSet') return [{ namespace, name: object.metadata.name }];
  const owner = object.metadata.ownerReferences?.find((one) => one.controller === true && one.kind === 'ReplicaSet');
  return owner === undefined ? [] : [{ namespace, name: owner.name }];
}

function activePods(objects: Objects, set: ReplicaSet): readonly StoredPod[] {
  const all = objects.list(podsPath, { namespace: set.metadata.namespace ?? '' }) as readonly StoredPod[];
  return all.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && isActive(pod));
}

function createPods(deps: ReplicaSetDeps, set: ReplicaSet, count: number): Error | undefined {
  for (let made = 0; made < count; made += 1) {
    try {
      const pod = deps.objects.create(podsPath, newPod(set));
      deps.events.record(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
    } catch (error) {
      deps.events.record(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      return error instanceof Error ? error : new Error(messageOf(error));
    }
  }
  return undefined;
}

function newPod(set: ReplicaSet): Parameters<Objects['create']>[1] {
  const { metadata, spec } = set;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${metadata.name}-`,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      ...(spec.template.metadata?.labels === undefined ? {} : { labels: spec.template.metadata.labels }),
      ...(spec.template.metadata?.annotations === undefined ? {} : { annotations: spec.template.metadata.annotations }),
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: spec.template.spec,
  };
}
