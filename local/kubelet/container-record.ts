/**
 * What the kubelet remembers of one container: the run of now, the run before, and what its probes said.
 *
 * Owns:  the states a container passes through. pod-plan.ts decides on them, pod-status.ts prints them,
 *        pod-worker.ts moves them on.
 */
import { toApiTime } from '../workloads/resources.ts';
import type { BackoffEntry } from './backoff.ts';
import type { ContainerStatus, Terminated } from './pod.ts';

export type ContainerPhase =
  /** Not started yet, in this life of the pod. */
  | { readonly kind: 'new' }
  /** Its image or its configuration is missing; tried again at `retryAtMs`. */
  | { readonly kind: 'blocked'; readonly reason: string; readonly message: string; readonly retryAtMs: number }
  | { readonly kind: 'running'; readonly startedMs: number; readonly containerId: string }
  | { readonly kind: 'exited'; readonly end: Terminated; readonly endedMs: number };

export type ContainerRecord = {
  readonly phase: ContainerPhase;
  /** How the run before the one of `phase` ended. */
  readonly last: Terminated | undefined;
  readonly restarts: number;
  readonly backoff: BackoffEntry | undefined;
  /** The startup probe passed, or there is none and it runs. */
  readonly started: boolean;
  /** The readiness probe passes, or there is none and it has started. */
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
 * The record of a container whose machine went down under it: it begins anew, and what ran has ended with a code that
 * nobody saw.
 *
 * @param status what the pod's status said before
 * @param runsAgain false for a container that has ended for good, by its pod's restart policy
 * @param nowMs milliseconds since the epoch
 */
export function recordAfterReboot(
  status: ContainerStatus | undefined,
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

/** As `restartCount` counts: the first run is no restart. */
export function restartsAtStart(record: ContainerRecord): number {
  return record.phase.kind === 'exited' || record.last !== undefined ? record.restarts + 1 : record.restarts;
}

function endBeforeReboot({ state, lastState }: ContainerStatus, at: string): Terminated | undefined {
  if ('terminated' in state) return state.terminated;
  if ('running' in state) {
    return {
      exitCode: 255,
      reason: 'Unknown',
      message: 'the kubelet was restarted; how the container ended is not known',
      startedAt: state.running.startedAt,
      finishedAt: at,
    };
  }
  return 'terminated' in lastState ? lastState.terminated : undefined;
}
