/**
 * Decides which containers of a pod to start now.
 * Owns: the order, the restart policy, and the back-off. Init containers start one after the other, then all other
 * containers start. An init container that is a sidecar (restartPolicy Always) keeps running. A container's record has
 * its current and its previous run.
 * Pure: `nowMs` is passed in; pod-worker.ts carries out the plan.
 */
import { nextStart, type BackoffLimits } from './backoff.ts';
import type { ContainerRecord } from './container-record.ts';
import { isSidecar, type Container, type PodSpec, type RestartPolicy } from './pod.ts';

export type Records = ReadonlyMap<string, ContainerRecord>;

export type PodPlan = {
  readonly start: readonly Container[];
  /** The next time at which the plan changes without an event; undefined when only an event can change the plan. */
  readonly recheckAtMs: number | undefined;
};

export function planPod(spec: PodSpec, records: Records, nowMs: number, limits: BackoffLimits): PodPlan {
  const candidates = dueContainers(spec, records);
  const waits = candidates.map((container) => ({ container, atMs: startsAt(records.get(container.name), limits) }));
  const later = waits.filter(({ atMs }) => atMs > nowMs).map(({ atMs }) => atMs);
  return {
    start: waits.filter(({ atMs }) => atMs <= nowMs).map(({ container }) => container),
    recheckAtMs: later.length === 0 ? undefined : Math.min(...later),
  };
}

/** All containers that should run and are not running. The back-off is not considered. */
function dueContainers(spec: PodSpec, records: Records): readonly Container[] {
  if (hasFailed(spec, records)) return [];
  const due: Container[] = [];
  for (const container of spec.initContainers ?? []) {
    const record = records.get(container.name);
    if (isIdle(record) && (isSidecar(container) || !hasSucceeded(record))) due.push(container);
    if (!mayFollow(container, record) && !hasBegun(spec, records)) return due;
  }
  const policy = spec.restartPolicy ?? 'Always';
  return [...due, ...spec.containers.filter((container) => wantsToRun(records.get(container.name), policy))];
}

/** True when containers that come after this init container may start. */
function mayFollow(container: Container, record: ContainerRecord | undefined): boolean {
  return isSidecar(container) ? isStarted(record) : hasSucceeded(record);
}

/**
 * Whether the kubelet has tried to start a main container. From then on, a sidecar that ends does not keep other
 * containers from starting.
 */
function hasBegun(spec: PodSpec, records: Records): boolean {
  return spec.containers.some((container) => (records.get(container.name)?.phase.kind ?? 'new') !== 'new');
}

function wantsToRun(record: ContainerRecord | undefined, policy: RestartPolicy): boolean {
  if (!isIdle(record)) return false;
  if (record?.phase.kind !== 'exited' || policy === 'Always') return true;
  return policy === 'OnFailure' && record.phase.end.exitCode !== 0;
}

/**
 * Whether the pod has failed in an init container: with restartPolicy Never, one failed init container fails the pod.
 */
export function hasFailed(spec: PodSpec, records: Records): boolean {
  if (spec.restartPolicy !== 'Never') return false;
  return (spec.initContainers ?? []).some((container) => {
    const phase = records.get(container.name)?.phase;
    return !isSidecar(container) && phase?.kind === 'exited' && phase.end.exitCode !== 0;
  });
}

/** True when every init container has succeeded and every sidecar has started. */
export function isInitialized(spec: PodSpec, records: Records): boolean {
  return (
    hasBegun(spec, records) ||
    (spec.initContainers ?? []).every((container) => mayFollow(container, records.get(container.name)))
  );
}

/** When the container may start, as milliseconds since the epoch. A time in the past means at once. */
export function startsAt(record: ContainerRecord | undefined, limits: BackoffLimits): number {
  if (record === undefined || record.phase.kind === 'new' || record.phase.kind === 'running') return 0;
  return record.phase.kind === 'blocked'
    ? record.phase.retryAtMs
    : nextStart(record.backoff, record.phase.endedMs, limits).atMs;
}

function isIdle(record: ContainerRecord | undefined): boolean {
  return record?.phase.kind !== 'running';
}

function isStarted(record: ContainerRecord | undefined): boolean {
  return record?.phase.kind === 'running' && record.started;
}

function hasSucceeded(record: ContainerRecord | undefined): boolean {
  return record?.phase.kind === 'exited' && record.phase.end.exitCode === 0;
}
