/**
 * Derives the problem of a pod from its status: a reason, a sentence, and whether the problem is fatal.
 *
 * Owns: how container states, termination messages and scheduling map to a Trouble. A problem is fatal when a retry of
 * the same revision cannot succeed.
 * Pure. Reasons of kubelet and scheduler are the same as in Kubernetes 1.35; error codes are in api/error-codes.ts.
 */
import { codes, type ErrorCode } from '../../api/error-codes.ts';
import { parseLastWords } from '../../api/last-words.ts';
import { containers } from '../../api/names.ts';
import { ownValue } from '../../api/record.ts';
import { cut } from '../../api/text.ts';
import type { ContainerStatus, Pod, Terminated } from '../../kube/kinds.ts';
import type { Trouble } from '../rollout/state.ts';

/** A container that is not ready and has ended this many times without an error code is not expected to start. */
const crashesThatAreFatal = 3;
/**
 * An OOM kill is fatal once the container has ended this many times, whatever the causes of the other terminations: the
 * pod's status does not contain the causes of all terminations. A single OOM kill may be a coincidence.
 */
const endsThatMakeOomFatal = 2;
const messageLimit = 1000;

/** Maps words of the API server's refusal to advice about the spec fields that the user can change. */
const whatToChange: readonly { readonly words: RegExp; readonly advice: string }[] = [
  {
    words: / per (Container|Pod) is /,
    advice:
      'set by a LimitRange of the namespace; spec.resources and spec.memory.limit set the resources of the ' +
      'containers prepare and runtime; spec.runtime.sidecar.resources sets the resources of container sidecar',
  },
  {
    words: /exceeded quota|failed quota/,
    advice:
      'set by a ResourceQuota of the namespace; lower spec.resources, spec.memory.limit, ' +
      'spec.runtime.sidecar.resources or spec.replicas, or raise the quota',
  },
];

/**
 * The trouble of pods that could not be created. It is not fatal, because a limit of the namespace can be changed.
 *
 * @param message from the Deployment's ReplicaFailure condition
 */
export function podsRefused(message: string): Trouble {
  const found = whatToChange.find(({ words }) => words.test(message));
  return {
    reason: 'PodsNotCreated',
    message: cut(found === undefined ? message : `${cut(message, messageLimit - 250)} (${found.advice})`, messageLimit),
    fatal: false,
  };
}

export function troubleOf(pod: Pod): Trouble | undefined {
  for (const look of [evicted, unschedulable, containerInTrouble]) {
    const trouble = look(pod);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/**
 * Selects the latest fatal trouble, because an older fatal trouble may be from an earlier try of the revision. Without
 * a fatal trouble, it selects the first trouble.
 */
export function worstTrouble(troubles: readonly (Trouble | undefined)[]): Trouble | undefined {
  const found = troubles.filter((trouble) => trouble !== undefined);
  const fatal = found
    .filter((trouble) => trouble.fatal)
    .toSorted((one, other) => (other.at ?? Infinity) - (one.at ?? Infinity) || 0);
  const worst = fatal[0] ?? found[0];
  // Cut the message: messages of schedulers, registries and admission can have any length, but the status field is
  // limited.
  return worst === undefined ? undefined : { ...worst, message: cut(worst.message, messageLimit) };
}

function evicted(pod: Pod): Trouble | undefined {
  if (pod.status?.phase !== 'Failed') return undefined;
  const why = pod.status.message ?? pod.status.reason ?? 'no reason was reported';
  return { reason: 'PodFailed', message: `the pod failed: ${why}`, fatal: false };
}

function unschedulable(pod: Pod): Trouble | undefined {
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  return { reason: 'Unschedulable', message: scheduled.message ?? 'no node fits the pod', fatal: false };
}

function containerInTrouble(pod: Pod): Trouble | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return worstTrouble(statuses.map(troubleOfContainer));
}

function troubleOfContainer(status: ContainerStatus): Trouble | undefined {
  const { reason, message } = status.state?.waiting ?? {};
  const known = reason === undefined ? undefined : ownValue(waitingTroubles, reason);
  if (known !== undefined)
    return { reason: known.reason, message: sentence(status.name, message ?? known.reason), fatal: known.fatal };
  const ended = lastEndOf(status);
  if (ended === undefined) return undefined;
  if (ended.exitCode !== 0) return { ...troubleOfEnd(status, ended), ...timeOf(ended) };
  return reason === 'CrashLoopBackOff' ? endedTooSoon(status) : undefined;
}

/**
 * The trouble of a container that exited with 0 before it was ready. Usually its startup probe failed, so the kubelet
 * ended it.
 */
function endedTooSoon(status: ContainerStatus): Trouble {
  const ends = endsOf(status);
  const message =
    `${status.name} exited with code 0 before it was ready; ${terminations(ends)}. The startup probe probably ` +
    'failed; it allows spec.warmup.timeout plus one minute';
  return { reason: 'CrashLoopBackOff', message, fatal: ends >= crashesThatAreFatal };
}

const waitingTroubles: Readonly<Record<string, { readonly reason: Trouble['reason']; readonly fatal: boolean }>> = {
  ErrImagePull: { reason: 'ImagePullBackOff', fatal: false },
  ImagePullBackOff: { reason: 'ImagePullBackOff', fatal: false },
  ErrImageNeverPull: { reason: 'ImagePullBackOff', fatal: false },
  InvalidImageName: { reason: 'InvalidImageName', fatal: true },
  CreateContainerConfigError: { reason: 'ContainerConfigError', fatal: false },
  CreateContainerError: { reason: 'ContainerConfigError', fatal: false },
  RunContainerError: { reason: 'ContainerConfigError', fatal: false },
};

/** The latest termination of a container that is not ready; undefined once the container is ready again. */
function lastEndOf(status: ContainerStatus): Terminated | undefined {
  return status.ready ? undefined : (status.state?.terminated ?? status.lastState?.terminated);
}

function timeOf({ finishedAt }: Terminated): { readonly at?: number } {
  const at = Date.parse(finishedAt ?? '');
  return Number.isNaN(at) ? {} : { at };
}

/** The field of the spec that sets a container's memory limit. */
function limitOf(container: string): string {
  return container === containers.sidecar ? 'spec.runtime.sidecar.resources' : 'spec.memory.limit';
}

function troubleOfEnd(status: ContainerStatus, ended: Terminated): Trouble {
  const ends = endsOf(status);
  if (ended.reason === 'OOMKilled') {
    const limit = limitOf(status.name);
    return {
      reason: 'OOMKilled',
      message: `${status.name} was killed for using more memory than its limit (${limit}); ${terminations(ends)}`,
      fatal: ends >= endsThatMakeOomFatal,
    };
  }
  const words = parseLastWords(ended.message ?? '');
  if (words?.kind !== 'failed') return troubleWithoutCode(status, ended, lastLine(ended.message));
  // RUN_STUCK can occur under load, so one exit does not prove that the revision is bad. These exits count as crashes.
  return Object.hasOwn(codes, words.code) && words.code !== 'RUN_STUCK'
    ? troubleOfCode(status.name, words.code as ErrorCode, words.message)
    : troubleWithoutCode(status, ended, words.message);
}

/** How many times a container has ended. It is called only for a container whose latest termination is known. */
function endsOf({ restartCount, state }: ContainerStatus): number {
  // restartCount does not include the latest termination until a restart has followed it. In back-off the state is
  // `waiting`, and the latest termination is in lastState.
  return restartCount + (state?.running === undefined ? 1 : 0);
}

function troubleWithoutCode(status: ContainerStatus, ended: Terminated, said: string): Trouble {
  const how =
    (ended.signal ?? 0) === 0 ? `exited with code ${ended.exitCode}` : `was terminated by signal ${ended.signal}`;
  const reason = status.name === containers.prepare ? 'PrepareFailed' : 'CrashLoopBackOff';
  const ends = endsOf(status);
  return {
    reason,
    message: `${status.name} ${how}; ${terminations(ends)}${said === '' ? '' : `; last message: ${said}`}`,
    fatal: ends >= crashesThatAreFatal,
  };
}

/**
 * The trouble of a container that ended with an error code. It is fatal when the user has to change the spec or the
 * model. It is not fatal when an outage caused the error.
 */
function troubleOfCode(container: string, code: ErrorCode, message: string): Trouble {
  const row = codes[code];
  const other = container === containers.prepare ? 'PrepareFailed' : 'LoadFailed';
  return {
    reason: 'reason' in row ? row.reason : other,
    message: sentence(container, message),
    fatal: row.kind === 'invalid',
  };
}

function sentence(container: string, message: string): string {
  return `${container}: ${message}`;
}

/** The number of terminations of any cause. */
function terminations(ends: number): string {
  return `terminations so far: ${ends}`;
}

/** With FallbackToLogsOnError the message is the end of the log, usually JSON lines. */
function lastLine(message: string | undefined): string {
  return cut(message?.trim().split('\n').at(-1) ?? '', 400);
}
