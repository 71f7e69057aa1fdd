/**
 * Decides the next step of a Deployment: which ReplicaSets to create, scale up, scale down or delete.
 * Owns: RollingUpdate and Recreate. One step per pass: the status of the ReplicaSets shows when the next step is
 * possible.
 * Pure: it works on numbers only; deployment.ts reads and writes the objects.
 * Limits: when a Deployment is scaled during a rollout, its ReplicaSets are not scaled in proportion. The rollout
 * continues with the new size and ends in the same state.
 */
import type { StoredDeployment, IntOrPercent } from './resources.ts';

/** One ReplicaSet in numbers. */
export type SetSeen = {
  readonly name: string;
  /** True when the pod template of this ReplicaSet equals the template of the Deployment. */
  readonly current: boolean;
  readonly createdMs: number;
  /** The value of spec.replicas. */
  readonly wanted: number;
  /** The value of status.replicas. */
  readonly replicas: number;
  readonly available: number;
};

export type DeploymentSeen = {
  readonly desired: number;
  readonly strategy: 'RollingUpdate' | 'Recreate';
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly paused: boolean;
  readonly historyLimit: number;
  readonly sets: readonly SetSeen[];
  /** True while a pod of an older ReplicaSet still runs. A pod that is being deleted counts, too. */
  readonly oldPodsLeft: boolean;
};

export type DeploymentStep =
  | { readonly kind: 'create'; readonly replicas: number }
  | { readonly kind: 'scale'; readonly set: string; readonly from: number; readonly to: number }
  | { readonly kind: 'forget'; readonly set: string };

/**
 * @returns the steps to take now, which do not depend on each other. Empty when the rollout is complete, or when the
 * ReplicaSets need time for the last step
 */
export function planDeployment(seen: DeploymentSeen): readonly DeploymentStep[] {
  const current = seen.sets.find((set) => set.current);
  const old = seen.sets.filter((set) => !set.current).sort((a, b) => a.createdMs - b.createdMs);
  if (seen.paused) return planPaused(seen, current, old);
  const steps = seen.strategy === 'Recreate' ? planRecreate(seen, current, old) : planRollingUpdate(seen, current, old);
  return steps.length > 0 ? steps : forgetOldest(seen, current, old);
}

/** A paused Deployment gets no new ReplicaSet. It is scaled only when at most one of its ReplicaSets has replicas. */
function planPaused(
  seen: DeploymentSeen,
  current: SetSeen | undefined,
  old: readonly SetSeen[],
): readonly DeploymentStep[] {
  const active = seen.sets.filter((set) => set.wanted > 0);
  const only = active.length === 1 ? active[0] : active.length === 0 ? (current ?? old.at(-1)) : undefined;
  return only === undefined ? [] : scale(only, seen.desired);
}

function planRecreate(
  seen: DeploymentSeen,
  current: SetSeen | undefined,
  old: readonly SetSeen[],
): readonly DeploymentStep[] {
  const shrink = old.flatMap((set) => scale(set, 0));
  if (shrink.length > 0) return shrink;
  if (seen.oldPodsLeft) return [];
  return current === undefined ? [{ kind: 'create', replicas: seen.desired }] : scale(current, seen.desired);
}

function planRollingUpdate(
  seen: DeploymentSeen,
  current: SetSeen | undefined,
  old: readonly SetSeen[],
): readonly DeploymentStep[] {
  const room = seen.desired + seen.maxSurge - sum(seen.sets, (set) => set.wanted);
  if (current === undefined) return [{ kind: 'create', replicas: clamp(room, 0, seen.desired) }];
  // Scale up first. When the new pods are available, the next pass can remove old pods.
  const grown =
    current.wanted > seen.desired ? seen.desired : Math.min(seen.desired, current.wanted + Math.max(0, room));
  const grow = scale(current, grown);
  return grow.length > 0 ? grow : shrinkOld(seen, current, old);
}

/**
 * Scales old ReplicaSets down. The number of available pods never falls below desired - maxUnavailable. Example:
 * desired 3, maxUnavailable 1, 3 old pods and 1 new pod that is not available yet. Of these 4 pods, 2 must stay
 * available (3 - 1), and the new pod is not one of them. So 4 - 2 - 1 = 1 old pod may be removed.
 */
function shrinkOld(seen: DeploymentSeen, current: SetSeen, old: readonly SetSeen[]): readonly DeploymentStep[] {
  const floor = seen.desired - seen.maxUnavailable;
  const newUnavailable = Math.max(0, current.wanted - current.available);
  const mayGo = sum(seen.sets, (set) => set.wanted) - floor - newUnavailable;
  if (mayGo <= 0) return [];
  // First remove pods that are not available: this does not lower the number of available pods.
  const afterBroken = take(old, mayGo, (set) => set.wanted - set.available);
  const available = sum(seen.sets, (set) => set.available);
  const after = take(afterBroken, Math.max(0, available - floor), (set) => set.wanted);
  return old.flatMap((set, index) => scale(set, after[index]?.wanted ?? set.wanted));
}

/** Removes up to `count` pods in total, oldest set first, and at most `takeable(set)` pods from each set. */
function take(sets: readonly SetSeen[], count: number, takeable: (set: SetSeen) => number): readonly SetSeen[] {
  let left = count;
  return sets.map((set) => {
    const taken = clamp(takeable(set), 0, Math.min(left, set.wanted));
    left -= taken;
    return { ...set, wanted: set.wanted - taken };
  });
}

/** When the rollout is complete, deletes empty sets beyond the history limit, oldest first. */
function forgetOldest(
  seen: DeploymentSeen,
  current: SetSeen | undefined,
  old: readonly SetSeen[],
): readonly DeploymentStep[] {
  if (current === undefined || current.available < seen.desired) return [];
  const empty = old.filter((set) => set.wanted === 0 && set.replicas === 0);
  return empty
    .slice(0, Math.max(0, empty.length - seen.historyLimit))
    .map((set) => ({ kind: 'forget', set: set.name }));
}

function scale(set: SetSeen, to: number): readonly DeploymentStep[] {
  return set.wanted === to ? [] : [{ kind: 'scale', set: set.name, from: set.wanted, to }];
}

/**
 * The numbers of a rolling update. A percentage in maxSurge is rounded up; a percentage in maxUnavailable is rounded
 * down. When maxSurge and maxUnavailable are both 0, one pod may be unavailable: otherwise the rollout could not
 * proceed.
 */
export function resolveRollingUpdate(spec: StoredDeployment['spec']): {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
} {
  if (spec.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  const desired = spec.replicas ?? 1;
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, desired, Math.ceil);
  const unavailable = Math.min(countOf(maxUnavailable, desired, Math.floor), desired);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function countOf(value: IntOrPercent, of: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  return value.endsWith('%') ? round((Number.parseInt(value, 10) * of) / 100) : Number.parseInt(value, 10);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
