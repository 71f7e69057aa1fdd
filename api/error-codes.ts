/**
 * The registry of error codes: each with its kind and its wording.
 *
 * Owns:  the codes (UPPER_SNAKE, stable: users and alerts match on them) and their sentences. A sentence
 *        says what is wrong, with the value at fault, and where it helps what to do about it.
 * Rule:  grouped by the part that raises them; docs/reference/errors.md is generated from here.
 */
import type { ErrorKind } from './error-kinds.ts';
import type { ReasonFrom } from './reasons.ts';
import { formatBytes } from './units.ts';

type Row = {
  readonly kind: ErrorKind;
  /** Absent: the kind's. */
  readonly http?: number;
  /** Of a pod whose container ends with it; absent: PrepareFailed or LoadFailed. */
  readonly reason?: ReasonFrom<'pod'>;
  readonly say: (params: never) => string;
};

export const codes = {
  // ── commands ──
  BAD_FLAG: { kind: 'invalid', say: (p: { flag: string; problem: string }) => `${p.flag}: ${p.problem} (see --help)` },
  BAD_CONFIG: { kind: 'invalid', say: (p: { where: string; problem: string }) => `${p.where}: ${p.problem}` },
  INTENT_REFUSED: {
    kind: 'invalid',
    say: (p: { model: string; intent: string; why: string }) => `${p.model}: ${p.intent} is refused: ${p.why}`,
  },
  FILE_UNREADABLE: { kind: 'missing', say: (p: { path: string; why: string }) => `cannot read ${p.path}: ${p.why}` },
  RUN_IN_PROGRESS: {
    kind: 'conflict',
    say: (p: { folder: string; pid: number }) =>
      `another run (process ${p.pid}) is at work in ${p.folder}: wait for it or end it`,
  },
  PORT_TAKEN: {
    kind: 'conflict',
    say: (p: { address: string; port: number }) => `port ${p.port} of ${p.address} is taken by another process`,
  },

  // ── the Kubernetes API, as a client sees it ──
  /** The kind is that of the status (kube/client/kube-error.ts); `afterMs` is what the server asked to wait. */
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
      `the watch of ${p.type} said nothing for ${p.silentMs} ms and is taken for dead`,
  },
  LEADERSHIP_LOST: { kind: 'waiting', say: () => 'this replica no longer leads; the one that does will go on' },
  NAME_TAKEN: {
    kind: 'transient',
    say: (p: { kind: string; name: string; owner: string }) =>
      `a ${p.kind} named ${p.name} exists and ` +
      `${p.owner === '' ? "has no owner and not the operator's labels" : `belongs to ${p.owner}`}: delete it or ` +
      'give the model another name',
  },
  KIND_UNKNOWN: { kind: 'bug', say: (p: { kind: string }) => `no resource type is known for kind ${p.kind}` },
  KUBE_UNREACHABLE: {
    kind: 'transient',
    say: (p: { server: string; why: string }) => `the API server at ${p.server} cannot be reached: ${p.why}`,
  },

  // ── artifact: fetching and checking a model ──
  SOURCE_INVALID: {
    kind: 'invalid',
    reason: 'SourceInvalid',
    say: (p: { uri: string; problem: string }) => `the model URI ${p.uri} is not usable: ${p.problem}`,
  },
  SOURCE_MISSING: {
    kind: 'missing',
    reason: 'SourceMissing',
    say: (p: { uri: string; why: string }) => `nothing is at ${p.uri}: ${p.why}`,
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
      `the digest of ${p.what} is ${p.got}, expected ${p.want}: the source changed or the spec is wrong`,
  },
  MODEL_INVALID: {
    kind: 'invalid',
    reason: 'InvalidModel',
    say: (p: { file: string; problem: string }) => `${p.file} is not a model this runtime can serve: ${p.problem}`,
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
    say: (p: { precision: string }) => `no file of precision ${p.precision}: list it in spec.model.variants`,
  },
  PROVIDER_UNAVAILABLE: {
    kind: 'invalid',
    reason: 'ProviderUnavailable',
    say: (p: { provider: string; why: string }) => `execution provider ${p.provider} cannot be used here: ${p.why}`,
  },
  DISK_FULL: { kind: 'transient', say: (p: { path: string }) => `no space is left at ${p.path}` },

  // ── golden sets ──
  GOLDEN_SET_INVALID: {
    kind: 'invalid',
    say: (p: { where: string; problem: string }) => `golden set, ${p.where}: ${p.problem}`,
  },

  // ── the engine ──
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
    say: (p: { model: string }) => `a worker of ${p.model} ended while it ran this request; it is being replaced`,
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
      `warm-up did not finish within ${p.timeoutMs} ms: raise spec.warmup.timeout, or check whether a run of the ` +
      'model ends',
  },

  // ── requests ──
  REQUEST_INVALID: { kind: 'invalid', say: (p: { problem: string }) => p.problem },
  FIELD_INVALID: { kind: 'invalid', say: (p: { field: string; problem: string }) => `${p.field}: ${p.problem}` },
  INPUT_TOO_LONG: {
    kind: 'invalid',
    say: (p: { field: string; unit: 'tokens' | 'characters'; length: number; limit: number }) =>
      `${p.field} has ${p.length} ${p.unit}, the limit is ${p.limit}: shorten it (or let the server cut: ` +
      'spec.model.embedding.onTooLong: Truncate)',
  },
  MODEL_UNKNOWN: {
    kind: 'missing',
    say: (p: { asked: string; served: string }) => `unknown model '${p.asked}': this server serves '${p.served}'`,
  },
  METHOD_UNKNOWN: {
    kind: 'invalid',
    http: 405,
    say: (p: { method: string; path: string; allowed: string }) =>
      `${p.path} does not take ${p.method}: use ${p.allowed}`,
  },
  TASK_MISSING: {
    kind: 'missing',
    say: (p: { path: string; model: string; task: string }) =>
      `model '${p.model}' is not served for ${p.path}: set spec.model.task: ${p.task} (serve: --config with ` +
      `{"task": "${p.task}"})`,
  },
  PATH_UNKNOWN: {
    kind: 'missing',
    say: (p: { method: string; path: string }) => `no such endpoint: ${p.method} ${p.path}`,
  },
  REQUEST_TOO_LARGE: {
    kind: 'oversize',
    say: (p: { what: string; limit: number | string; advice?: string }) =>
      `${p.what} is over the limit of ${p.limit}${p.advice === undefined ? '' : `: ${p.advice}`}`,
  },
  TOKEN_MISSING: {
    kind: 'invalid',
    say: (p: { what: string }) =>
      `${p.what} are only given to requests with the token of the model's revision in the header authorization`,
  },
  QUEUE_FULL: { kind: 'overloaded', say: (p: { limit: number }) => `the queue holds its limit of ${p.limit} requests` },
  NOT_IDLE: {
    kind: 'overloaded',
    say: () => 'requests of users are under way; what a sidecar asks runs only while there is room beside them',
  },
  MEMORY_FULL: {
    kind: 'overloaded',
    say: (p: { anonymousBytes: number; limitBytes: number }) =>
      `memory is short: ${p.anonymousBytes} of ${p.limitBytes} bytes are in use; try again in a moment`,
  },
  BODIES_FULL: {
    kind: 'overloaded',
    say: (p: { limitBytes: number }) =>
      `the bodies and answers of requests under way hold their limit of ${formatBytes(p.limitBytes)}; try again ` +
      'in a moment',
  },
  BODY_TOO_SLOW: {
    kind: 'invalid',
    http: 408,
    say: () =>
      'the body came too slowly: less than 1 KiB a second for 5 s, or less than 32 KiB a second while other ' +
      'requests waited for memory; send it again',
  },
  REQUEST_EXPIRED: {
    kind: 'deadline',
    say: (p: { waitedMs: number }) => `the request waited ${Math.round(p.waitedMs)} ms, past its deadline`,
  },
  RUN_STUCK: {
    kind: 'deadline',
    say: (p: { model: string; ranMs: number; limitMs: number }) =>
      `a run of ${p.model} has not ended after ${seconds(p.ranMs)} s, the limit is ${seconds(p.limitMs)} s: the ` +
      'model may never end for this input (a Loop without an end), or the CPU limit is too small for it',
  },
  NOT_READY: { kind: 'waiting', say: (p: { state: string }) => `the model is not ready: ${p.state}` },
  DRAINING: { kind: 'waiting', say: () => 'the server is shutting down; another replica will answer' },
  // ── local mode ──
  ADDRESSES_EXHAUSTED: {
    kind: 'overloaded',
    say: (p: { first: string; ports: string }) =>
      `no free loopback address was found from ${p.first} on for a pod with ports ${p.ports}: another process ` +
      'listens on them on all addresses',
  },
  DATA_IN_USE: {
    kind: 'conflict',
    say: (p: { dir: string; pid: number }) =>
      `the data folder ${p.dir} is used by process ${p.pid}, another local mode: end it or take another folder`,
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

/** Whole seconds, short times with one decimal. */
function seconds(ms: number): number {
  return ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1000);
}

export type ErrorCode = keyof typeof codes;
export type ParamsOf<C extends ErrorCode> = Parameters<(typeof codes)[C]['say']>[0];
