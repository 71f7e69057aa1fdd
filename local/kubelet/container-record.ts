/**
 * The kubelet's record of one container: the current run, the previous run, and the results of its probes.
 * Owns: the states of a container. pod-plan.ts uses the states to decide, pod-status.ts prints them, and
 * container-runner.ts changes them.
 */
import { toApiTime } from '../../api/conditions.ts';
import type { BackoffEntry } from './backoff.ts';
import type { StoredContainerStatus, TerminatedState } from './pod.ts';

export type ContainerPhase =
  /** The container has not been started since the pod was started on this node. */
  | { readonly kind: 'new' }
  /**
   * The container could not be started, for example because its image is missing. The start is tried again at
   * `retryAtMs`.
   */
  | { readonly kind: 'blocked'; readonly reason: string; readonly message: string; readonly retryAtMs: number }
  | { readonly kind: 'running'; readonly startedMs: number; readonly containerId: string }
  | { readonly kind: 'exited'; readonly end: TerminatedState; readonly endedMs: number };

export type ContainerRecord = {
  readonly phase: ContainerPhase;
  /** How the previous run ended, before the run that `phase` describes. */
  readonly last: TerminatedState | undefined;
  readonly restarts: number;
  readonly backoff: BackoffEntry | undefined;
  /** True when the startup probe has passed, or when the container runs and has no startup probe. */
  readonly started: boolean;
  /** True while the readiness probe passes, or when the container has started and has no readiness probe. */
  readonly ready: boolean;
};

export const newRecord: ContainerRecord = {
  phase: { kind: 'new' },
  last: undefined,
  restarts: 0,
  backoff: undefined,
  started: false,
  ready: false,
};

/**
 * The record of a container after the kubelet was restarted. The container starts again, unless it has ended and
 * `runsAgain` is false. A run that was interrupted counts as ended, with exit code 255 (unknown).
 *
 * @param status the container's status before the restart
 * @param runsAgain false when the pod's restart policy does not restart a container that has ended
 * @param nowMs milliseconds since the epoch
 */
export function recordAfterReboot(
  status: StoredContainerStatus | undefined,
  runsAgain: boolean,
  nowMs: number,
): ContainerRecord {
  if (status === undefined) return newRecord;
  if (!runsAgain && 'terminated' in status.state)
    return {
      ...newRecord,
      phase: { kind: 'exited', end: status.state.terminated, endedMs: nowMs },
      restarts: status.restartCount,
    };
  return { ...newRecord, last: endBeforeReboot(status, toApiTime(nowMs)), restarts: status.restartCount };
}

/** The `restartCount` of the next run. The first run is not a restart. */
export function restartsAtStart(record: ContainerRecord): number {
  return record.phase.kind === 'exited' || record.last !== undefined ? record.restarts + 1 : record.restarts;
}

function endBeforeReboot({ state, lastState }: StoredContainerStatus, at: string): TerminatedState | undefined {
  if ('terminated' in state) return state.terminated;
  if ('running' in state) {
    return {
      exitCode: 255,
      reason: 'Unknown',
      message: 'the kubelet was restarted; the exit code of the container is unknown',
      startedAt: state.running.startedAt,
      finishedAt: at,
    };
  }
  return 'terminated' in lastState ? lastState.terminated : undefined;
}
