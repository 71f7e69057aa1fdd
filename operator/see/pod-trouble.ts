/**
 * What is wrong with a pod, in one word and one sentence.
 *
 * Owns:   how container states, last words and scheduling turn into a Trouble, and which of them are fatal:
 *         trying the same revision again cannot help.
 * Pure:   a pod's status in, a Trouble or nothing out.
 * Source: the words of kubelet and scheduler are those of Kubernetes 1.35; codes are api/error-codes.ts.
 */
import { codes, type ErrorCode } from '../../api/error-codes.ts';
import { parseLastWords } from '../../api/last-words.ts';
import { containers } from '../../api/names.ts';
import { ownValue } from '../../api/record.ts';
import { cut } from '../../api/text.ts';
import type { ContainerStatus, Pod, Terminated } from '../../kube/kinds.ts';
import type { Trouble } from '../rollout/state.ts';

/** A container that dies this often on its way up, without saying why, is not going to come up. */
const crashesThatAreFatal = 3;
/** The kernel's first kill may have met an unlucky moment; the second was the limit. */
const oomKillsThatAreFatal = 2;
const messageLimit = 1000;

/** What a refusal of the API server asks for, in fields of the spec. */
const whatToChange: readonly { readonly words: RegExp; readonly advice: string }[] = [
  {
    words: / per (Container|Pod) is /,
    advice:
      'a LimitRange of the namespace; the containers prepare and runtime have what spec.resources and ' +
      'spec.memory.limit say, sidecar what spec.runtime.sidecar.resources says',
  },
  {
    words: /exceeded quota|failed quota/,
    advice:
      'a ResourceQuota of the namespace; lower spec.resources, spec.memory.limit, spec.runtime.sidecar.resources ' +
      'or spec.replicas, or raise the quota',
  },
];

/**
 * No pod could be made. Not fatal: a limit of the namespace may be changed. @param message of the Deployment's
 * controller
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

/** The worst of several: the latest fatal one first, for an older may be of an earlier attempt; else the first. */
export function worstTrouble(troubles: readonly (Trouble | undefined)[]): Trouble | undefined {
  const found = troubles.filter((trouble) => trouble !== undefined);
  const fatal = found
    .filter((trouble) => trouble.fatal)
    .toSorted((one, other) => (other.at ?? Infinity) - (one.at ?? Infinity) || 0);
  const worst = fatal[0] ?? found[0];
  // Of schedulers, registries and admission comes text of any length; a status has room for some of it.
  return worst === undefined ? undefined : { ...worst, message: cut(worst.message, messageLimit) };
}

function evicted(pod: Pod): Trouble | undefined {
  if (pod.status?.phase !== 'Failed') return undefined;
  const why = pod.status.message ?? pod.status.reason ?? 'no reason given';
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

/** It was told to end, and did in good order: by its startup probe, mostly. */
function endedTooSoon(status: ContainerStatus): Trouble {
  const ends = endsOf(status);
  const message =
    `${status.name} ended with 0 before it was ready, ${times(ends)}: the startup probe allows ` +
    'spec.warmup.timeout and a minute for loading';
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

/** How a container that is not up ended last. One that is up again, and ready, is no trouble any more. */
function lastEndOf(status: ContainerStatus): Terminated | undefined {
  return status.ready ? undefined : (status.state?.terminated ?? status.lastState?.terminated);
}

function timeOf({ finishedAt }: Terminated): { readonly at?: number } {
  const at = Date.parse(finishedAt ?? '');
  return Number.isNaN(at) ? {} : { at };
}

function troubleOfEnd(status: ContainerStatus, ended: Terminated): Trouble {
  const ends = endsOf(status);
  if (ended.reason === 'OOMKilled') {
    return {
      reason: 'OOMKilled',
      message: `${status.name} was killed for using more memory than its limit (spec.memory.limit), ${times(ends)}`,
      fatal: ends >= oomKillsThatAreFatal,
    };
  }
  const words = parseLastWords(ended.message ?? '');
  if (words?.kind !== 'failed') return troubleWithoutCode(status, ended, lastLine(ended.message));
  // Found only while it runs: it is the end that counts, and how often.
  return Object.hasOwn(codes, words.code) && words.code !== 'RUN_STUCK'
    ? troubleOfCode(status.name, words.code as ErrorCode, words.message)
    : troubleWithoutCode(status, ended, words.message);
}

function endsOf(status: ContainerStatus): number {
  // The count of restarts is that of ends, less the one that has not been followed by a restart yet.
  return status.restartCount + (status.state?.terminated === undefined ? 0 : 1);
}

function troubleWithoutCode(status: ContainerStatus, ended: Terminated, said: string): Trouble {
  const how = (ended.signal ?? 0) === 0 ? `exited with ${ended.exitCode}` : `was ended by signal ${ended.signal}`;
  const reason = status.name === containers.prepare ? 'PrepareFailed' : 'CrashLoopBackOff';
  const ends = endsOf(status);
  return {
    reason,
    message: `${status.name} ${how}, ${times(ends)}${said === '' ? '' : `; its last words: ${said}`}`,
    fatal: ends >= crashesThatAreFatal,
  };
}

/** What the user has to change is fatal; what may come back is not. */
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

function times(ends: number): string {
  return ends === 1 ? 'once' : `${ends} times`;
}

/** With FallbackToLogsOnError the message is the log's end, JSON lines mostly. */
function lastLine(message: string | undefined): string {
  return cut(message?.trim().split('\n').at(-1) ?? '', 400);
}
