/**
 * The registry of error codes, grouped by the part that raises them. docs/reference/errors.md is generated from it.
 *
 * Owns: the codes (stable, because users and alerts match on them), their kinds and their messages. A message says what
 *       is wrong, with the value at fault, and what to do.
 */
import type { ErrorKind } from './error-kinds.ts';
import type { ReasonFrom } from './reasons.ts';
import { formatBytes } from './units.ts';

type Row = {
  readonly kind: ErrorKind;
  /** The HTTP status of an answer with this code. If absent, the HTTP status of the code's kind is used. */
  readonly http?: number;
  /** The reason of a pod whose container ends with this code. If absent, the reason is PrepareFailed or LoadFailed. */
  readonly reason?: ReasonFrom<'pod'>;
  readonly say: (params: never) => string;
};

export const codes = {
  BAD_FLAG: { kind: 'invalid', say: (p: { flag: string; problem: string }) => `${p.flag}: ${p.problem} (see --help)` },
  BAD_CONFIG: { kind: 'invalid', say: (p: { where: string; problem: string }) => `${p.where}: ${p.problem}` },
  INTENT_REFUSED: {
    kind: 'invalid',
    say: (p: { model: string; intent: string; why: string }) => `${p.model}: ${p.intent} refused: ${p.why}`,
  },
  FILE_UNREADABLE: { kind: 'missing', say: (p: { path: string; why: string }) => `cannot read ${p.path}: ${p.why}` },
  RUN_IN_PROGRESS: {
    kind: 'conflict',
    say: (p: { folder: string; pid: number }) =>
      `process ${p.pid} is already running in ${p.folder}: wait for it or stop it`,
  },
  PORT_TAKEN: {
    kind: 'conflict',
    say: (p: { address: string; port: number }) => `port ${p.port} of ${p.address} is in use by another process`,
  },

  /**
   * The HTTP status decides the kind (kube/client/kube-error.ts). `afterMs` is the Retry-After of the answer, in
   * milliseconds.
   */
  KUBE_STATUS: {
    kind: 'transient',
    say: (p: { status: number; reason: string; message: string; request?: string; afterMs?: number }) =>
      'the API server answered ' +
      `${p.status}${p.reason === '' ? '' : ` ${p.reason}`}${p.request === undefined ? '' : ` to ${p.request}`}: ` +
      `${p.message}`,
  },
  KUBE_ANSWER_UNUSABLE: {
    kind: 'transient',
    say: (p: { request: string; problem: string }) =>
      `the API server's answer to ${p.request} cannot be used: ${p.problem}`,
  },
  KUBE_WATCH_SILENT: {
    kind: 'transient',
    say: (p: { type: string; silentMs: number }) =>
      `the watch of ${p.type} received nothing for ${p.silentMs} ms and is restarted`,
  },
  LEADERSHIP_LOST: { kind: 'waiting', say: () => 'this replica is not the leader any more; the new leader continues' },
  NAME_TAKEN: {
    kind: 'transient',
    say: (p: { kind: string; name: string; owner: string }) =>
      `a ${p.kind} named ${p.name} already exists and ` +
      `${p.owner === '' ? "has neither an owner nor the operator's labels" : `belongs to ${p.owner}`}: delete it or ` +
      'rename the model',
  },
  KIND_UNKNOWN: { kind: 'bug', say: (p: { kind: string }) => `unknown resource type of kind ${p.kind}` },
  KUBE_UNREACHABLE: {
    kind: 'transient',
    say: (p: { server: string; why: string }) => `the API server at ${p.server} cannot be reached: ${p.why}`,
  },

  SOURCE_INVALID: {
    kind: 'invalid',
    reason: 'SourceInvalid',
    say: (p: { uri: string; problem: string }) => `the model URI ${p.uri} cannot be used: ${p.problem}`,
  },
  SOURCE_MISSING: {
    kind: 'missing',
    reason: 'SourceMissing',
    say: (p: { uri: string; why: string }) => `${p.uri} does not exist: ${p.why}`,
  },
  SOURCE_UNAVAILABLE: {
    kind: 'transient',
    reason: 'SourceUnavailable',
    say: (p: { uri: string; why: string }) => `${p.uri} could not be fetched: ${p.why}`,
  },
  SOURCE_TOO_LARGE: {
    kind: 'invalid',
    reason: 'SourceInvalid',
    say: (p: { uri: string; limitBytes: number }) =>
      `${p.uri} is larger than the limit of ${formatBytes(p.limitBytes)}`,
  },
  DIGEST_MISMATCH: {
    kind: 'invalid',
    reason: 'DigestMismatch',
    say: (p: { what: string; want: string; got: string }) =>
      `the digest of ${p.what} is ${p.got}, expected ${p.want}: restore the source or correct the digest in the spec`,
  },
  MODEL_INVALID: {
    kind: 'invalid',
    reason: 'InvalidModel',
    say: (p: { file: string; problem: string }) => `${p.file} is not a model that this runtime can serve: ${p.problem}`,
  },
  MODEL_TOO_LARGE: {
    kind: 'invalid',
    reason: 'ModelTooLarge',
    say: (p: { file: string; needBytes: number; limitBytes: number }) =>
      `${p.file} needs about ${formatBytes(p.needBytes)} of memory, the limit is ${formatBytes(p.limitBytes)}: ` +
      'raise spec.memory.limit',
  },
  PRECISION_MISSING: {
    kind: 'invalid',
    reason: 'PrecisionMissing',
    say: (p: { precision: string }) =>
      `the model has no file of precision ${p.precision}: add it to spec.model.variants`,
  },
  PROVIDER_UNAVAILABLE: {
    kind: 'invalid',
    reason: 'ProviderUnavailable',
    say: (p: { provider: string; why: string }) => `execution provider ${p.provider} cannot be used: ${p.why}`,
  },
  DISK_FULL: { kind: 'transient', say: (p: { path: string }) => `no space left on the disk of ${p.path}` },

  GOLDEN_SET_INVALID: {
    kind: 'invalid',
    say: (p: { where: string; problem: string }) => `golden set, ${p.where}: ${p.problem}`,
  },

  ENGINE_LOAD_FAILED: {
    kind: 'invalid',
    reason: 'LoadFailed',
    say: (p: { file: string; why: string }) => `ONNX Runtime could not load ${p.file}: ${p.why}`,
  },
  ENGINE_FAILED: {
    kind: 'bug',
    say: (p: { model: string; why: string }) => `ONNX Runtime failed on a batch for ${p.model}: ${p.why}`,
  },
  ENGINE_LOST: {
    kind: 'transient',
    say: (p: { model: string }) => `a worker of ${p.model} ended during this request and is being replaced; retry`,
  },
  ENGINE_GAVE_UP: {
    kind: 'bug',
    say: (p: { model: string; failures: number; why: string }) =>
      `the engine process of ${p.model} ended ${p.failures} times in a row without an answered request, last with ` +
      `${p.why}: it is not started again. Restart the pod, or roll back the revision`,
  },
  SEQUENCE_UNKNOWN: {
    kind: 'bug',
    say: (p: { sequence: number }) => `sequence ${p.sequence} is not open: it was closed, or another engine opened it`,
  },
  SEQUENCE_LOST: {
    kind: 'transient',
    say: (p: { model: string; sequence: number }) =>
      `the worker of ${p.model} that held the state of sequence ${p.sequence} ended; start the sequence again`,
  },
  STATE_FULL: {
    kind: 'overloaded',
    say: (p: { needBytes: number; reservedBytes: number; limitBytes: number }) =>
      `the state of a new sequence needs ${formatBytes(p.needBytes)}, and ${formatBytes(p.reservedBytes)} of ` +
      `${formatBytes(p.limitBytes)} are reserved; try again in a moment`,
  },
  WARMUP_TIMEOUT: {
    kind: 'deadline',
    reason: 'WarmupTimeout',
    say: (p: { timeoutMs: number }) =>
      `warm-up did not finish within ${p.timeoutMs} ms: raise spec.warmup.timeout, or check that one run of ` +
      'the model finishes',
  },

  REQUEST_INVALID: { kind: 'invalid', say: (p: { problem: string }) => p.problem },
  FIELD_INVALID: { kind: 'invalid', say: (p: { field: string; problem: string }) => `${p.field}: ${p.problem}` },
  INPUT_TOO_LONG: {
    kind: 'invalid',
    say: (p: { field: string; unit: 'tokens' | 'characters'; length: number; limit: number }) =>
      `${p.field} has ${p.length} ${p.unit}, the limit is ${p.limit}: shorten it, or set ` +
      'spec.model.embedding.onTooLong: Truncate',
  },
  MODEL_UNKNOWN: {
    kind: 'missing',
    say: (p: { asked: string; served: string }) => `unknown model '${p.asked}'; available: '${p.served}'`,
  },
  METHOD_UNKNOWN: {
    kind: 'invalid',
    http: 405,
    say: (p: { method: string; path: string; allowed: string }) =>
      `${p.path} does not support ${p.method}: use ${p.allowed}`,
  },
  TASK_MISSING: {
    kind: 'missing',
    say: (p: { path: string; model: string; task: string }) =>
      `${p.path} needs task ${p.task}, which model '${p.model}' does not have: set spec.model.task: ${p.task} ` +
      `(serve: --config with {"task": "${p.task}"})`,
  },
  PATH_UNKNOWN: {
    kind: 'missing',
    say: (p: { method: string; path: string }) => `unknown endpoint: ${p.method} ${p.path}`,
  },
  REQUEST_TOO_LARGE: {
    kind: 'oversize',
    say: (p: { what: string; limit: number | string; advice?: string }) =>
      `${p.what}, the limit is ${p.limit}${p.advice === undefined ? '' : `: ${p.advice}`}`,
  },
  TOKEN_MISSING: {
    kind: 'invalid',
    say: (p: { what: string }) => `${p.what} require the revision's token in the Authorization header`,
  },
  QUEUE_FULL: {
    kind: 'overloaded',
    say: (p: { what: 'requests' | 'rows' | 'bytes'; limit: number }) =>
      `the queue is full (limit: ${p.what === 'bytes' ? formatBytes(p.limit) : `${p.limit} ${p.what}`}); retry later`,
  },
  WAIT_TOO_LONG: {
    kind: 'overloaded',
    say: (p: { expectedMs: number; leftMs: number }) =>
      `the answer is expected in ${Math.round(p.expectedMs)} ms, the deadline is in ${Math.round(p.leftMs)} ms; ` +
      'retry later, or with a longer deadline',
  },
  NOT_IDLE: {
    kind: 'overloaded',
    say: () => 'sidecar requests are only served while no user request is queued and a worker is free',
  },
  MEMORY_FULL: {
    kind: 'overloaded',
    say: (p: { anonymousBytes: number; limitBytes: number }) =>
      `not enough memory: ${formatBytes(p.anonymousBytes)} of ${formatBytes(p.limitBytes)} are in use; retry later`,
  },
  BODIES_FULL: {
    kind: 'overloaded',
    say: (p: { limitBytes: number }) =>
      `not enough memory for the body: other requests use up the ${formatBytes(p.limitBytes)} that are allowed for ` +
      'bodies and answers; retry later',
  },
  BODY_TOO_SLOW: {
    kind: 'invalid',
    http: 408,
    say: () =>
      'the body arrived too slowly: less than 1 KiB/s for 5 s, or less than 32 KiB/s while other requests waited ' +
      'for memory; send it again',
  },
  REQUEST_EXPIRED: {
    kind: 'deadline',
    say: (p: { waitedMs: number }) => `the deadline passed after ${Math.round(p.waitedMs)} ms in the queue`,
  },
  RUN_STUCK: {
    kind: 'deadline',
    say: (p: { model: string; ranMs: number; limitMs: number }) =>
      `a run of ${p.model} has not ended after ${seconds(p.ranMs)} s, the limit is ${seconds(p.limitMs)} s: the ` +
      'model may loop forever on this input, or the CPU limit is too low',
  },
  NOT_READY: { kind: 'waiting', say: (p: { state: string }) => `the model is not ready: ${p.state}` },
  DRAINING: { kind: 'waiting', say: () => 'the server is shutting down; send the request again' },
  ADDRESSES_EXHAUSTED: {
    kind: 'overloaded',
    say: (p: { first: string; ports: string }) =>
      `no free loopback address from ${p.first} on for a pod with ports ${p.ports}: stop the process that listens on ` +
      'these ports on all addresses',
  },
  DATA_IN_USE: {
    kind: 'conflict',
    say: (p: { dir: string; pid: number }) =>
      `the data folder ${p.dir} is in use by another run of local mode (process ${p.pid}): ` +
      'stop it or use another folder',
  },
  FOLDER_UNUSABLE: {
    kind: 'invalid',
    say: (p: { dir: string; why: string }) => `the folder ${p.dir} cannot be used: ${p.why}`,
  },
  VOLUME_MISSING: {
    kind: 'missing',
    say: (p: { volume: string; why: string }) => `MountVolume.SetUp failed for volume "${p.volume}": ${p.why}`,
  },
} as const satisfies Record<string, Row>;

/** Converts milliseconds to seconds, rounded to one decimal below 10 s and to an integer from 10 s on. */
function seconds(ms: number): number {
  return ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1000);
}

export type ErrorCode = keyof typeof codes;
export type ParamsOf<C extends ErrorCode> = Parameters<(typeof codes)[C]['say']>[0];
