/**
 * The status of a Deployment: counts and the conditions Available, Progressing and ReplicaFailure.
 * Owns: when a Deployment is complete, and when its progress deadline has passed.
 * Pure: `nowMs` is passed in. The same inputs give the same status, so a status without changes is not written.
 */
import { toApiTime } from '../../api/conditions.ts';
import { type StoredDeployment, type DeploymentStatus, type ReplicaSet, type WorkloadCondition } from './resources.ts';

export type DeploymentStatusInputs = {
  readonly deployment: StoredDeployment;
  readonly current: ReplicaSet | undefined;
  readonly sets: readonly ReplicaSet[];
  readonly maxUnavailable: number;
  readonly nowMs: number;
};

/** @returns the status, and milliseconds until the progress deadline; undefined when no deadline is running */
export function describeDeployment(inputs: DeploymentStatusInputs): {
  readonly status: DeploymentStatus;
  readonly recheckMs: number | undefined;
} {
  const { deployment, current, sets, nowMs } = inputs;
  const counts = countPods(inputs);
  const before = deployment.status ?? {};
  const conditions = [
    settle(before, judgeAvailability(inputs, counts.availableReplicas), nowMs),
    settle(before, judgeProgress(inputs, counts), nowMs),
    ...failures(sets).map((failure) => settle(before, failure, nowMs)),
  ];
  const status: DeploymentStatus = { observedGeneration: deployment.metadata.generation ?? 0, ...counts, conditions };
  return { status, recheckMs: current === undefined ? undefined : untilDeadline(deployment, conditions, nowMs) };
}

type Counts = Required<
  Pick<DeploymentStatus, 'replicas' | 'updatedReplicas' | 'readyReplicas' | 'availableReplicas' | 'unavailableReplicas'>
>;

function countPods({ current, sets }: DeploymentStatusInputs): Counts {
  const total = (of: (set: ReplicaSet) => number | undefined): number =>
    sets.reduce((sum, set) => sum + (of(set) ?? 0), 0);
  const availableReplicas = total((set) => set.status?.availableReplicas);
  return {
    replicas: total((set) => set.status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total((set) => set.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, total((set) => set.spec.replicas ?? 1) - availableReplicas),
  };
}

type Claim = Pick<WorkloadCondition, 'type' | 'status' | 'reason' | 'message'> & {
  /** True when there was progress, so the progress deadline starts again. */
  readonly moved?: boolean;
};

function judgeAvailability({ deployment, maxUnavailable }: DeploymentStatusInputs, available: number): Claim {
  return available >= (deployment.spec.replicas ?? 1) - maxUnavailable
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
}

function judgeProgress(inputs: DeploymentStatusInputs, counts: Counts): Claim {
  const { deployment, nowMs } = inputs;
  const before = deployment.status ?? {};
  const previous = before.conditions?.find((one) => one.type === 'Progressing');
  const who = subject(inputs);
  if (isComplete(deployment, counts)) {
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `${who} has successfully progressed.`,
    };
  }
  if (previous === undefined)
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetCreated',
      message: `${who} was created.`,
      moved: true,
    };
  if (isNewTemplate(deployment, counts) || hasMoved(before, counts)) {
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${who} is progressing.`,
      moved: true,
    };
  }
  // When the Deployment was complete and then lost a pod, no rollout is in progress, so the deadline does not apply.
  if (previous.reason === 'NewReplicaSetAvailable' || !isLate(deployment, previous, nowMs)) return previous;
  return {
    type: 'Progressing',
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message: `${who} has timed out progressing.`,
  };
}

function subject({ deployment, current }: DeploymentStatusInputs): string {
  return current === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${current.metadata.name}"`;
}

function isNewTemplate(deployment: StoredDeployment, counts: Counts): boolean {
  return deployment.status?.observedGeneration !== deployment.metadata.generation && counts.updatedReplicas === 0;
}

function isComplete(deployment: StoredDeployment, counts: Counts): boolean {
  const desired = deployment.spec.replicas ?? 1;
  return counts.updatedReplicas === desired && counts.replicas === desired && counts.availableReplicas === desired;
}

function hasMoved(before: DeploymentStatus, now: Counts): boolean {
  const oldBefore = (before.replicas ?? 0) - (before.updatedReplicas ?? 0);
  return (
    now.updatedReplicas > (before.updatedReplicas ?? 0) ||
    now.replicas - now.updatedReplicas < oldBefore ||
    now.readyReplicas > (before.readyReplicas ?? 0) ||
    now.availableReplicas > (before.availableReplicas ?? 0)
  );
}

function deadlineMs(deployment: StoredDeployment, progressing: WorkloadCondition): number {
  return (
    Date.parse(progressing.lastUpdateTime ?? progressing.lastTransitionTime) +
    (deployment.spec.progressDeadlineSeconds ?? 600) * 1000
  );
}

function isLate(deployment: StoredDeployment, progressing: WorkloadCondition, nowMs: number): boolean {
  return progressing.reason === 'ProgressDeadlineExceeded' || nowMs >= deadlineMs(deployment, progressing);
}

function untilDeadline(
  deployment: StoredDeployment,
  conditions: readonly WorkloadCondition[],
  nowMs: number,
): number | undefined {
  const progressing = conditions.find((one) => one.type === 'Progressing');
  if (progressing === undefined || progressing.reason === 'NewReplicaSetAvailable' || progressing.status === 'False')
    return undefined;
  return Math.max(0, deadlineMs(deployment, progressing) - nowMs);
}

function failures(sets: readonly ReplicaSet[]): readonly Claim[] {
  const failure = sets
    .flatMap((set) => set.status?.conditions ?? [])
    .find((one) => one.type === 'ReplicaFailure' && one.status === 'True');
  return failure === undefined
    ? []
    : [{ type: 'ReplicaFailure', status: 'True', reason: failure.reason, message: failure.message }];
}

function settle(before: DeploymentStatus, claim: Claim, nowMs: number): WorkloadCondition {
  const previous = before.conditions?.find((one) => one.type === claim.type);
  const { moved: restart = false, type, status, reason, message } = claim;
  const same = previous?.status === status && previous.reason === reason && previous.message === message;
  if (same && !restart) return previous;
  const lastTransitionTime = previous?.status === status ? previous.lastTransitionTime : toApiTime(nowMs);
  return { type, status, reason, message, lastUpdateTime: toApiTime(nowMs), lastTransitionTime };
}
