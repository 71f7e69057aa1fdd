/**
 * A request independent of its transport: a handler's input, its reply, and the error that a client may see.
 *
 * Owns:  the types that transports, protocols and tasks share. A transport creates the values; a handler only reads
 *        them.
 */
import type { AppError } from '../../api/errors.ts';
import type { Tier } from '../../api/tiers.ts';
import type { InferenceResult } from '../batching/port.ts';

export type TaskCall = {
  /** Names in lower case; the values of a repeated header are joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed and within the body limit; empty for GET. The handler owns it and may transfer its buffer. */
  readonly body: Uint8Array<ArrayBuffer>;
  /**
   * Deadline on the clock's monotonic scale; absent when the client set no deadline. The handler passes the deadline on
   * to submit, together with `signal` and `tier`.
   */
  readonly deadlineMs?: number;
  readonly signal: AbortSignal;
  readonly tier: Tier;
  /** The handler passes it on to submit, like `tier`; absent: not known. */
  readonly client?: string | undefined;
  readonly trace: Trace;
};

/**
 * The time that a request spends in each stage. The server starts the trace and reports it (metrics, `Server-Timing`,
 * counters). For a successful request a handler calls `decoded` once its tensors are decoded, and then `inferred`.
 */
export interface Trace {
  /** @param elements size of the request, which decides its size class: tokens for text, otherwise input elements */
  decoded(elements: number): void;
  /**
   * Called once for each request. For a request with several submits, `queueMs` is the longest time in the queue.
   * `inferMs` is the time from the first submit to the end of the last run, minus `queueMs`.
   */
  inferred(result: Pick<InferenceResult, 'queueMs' | 'inferMs' | 'isShared'>): void;
  /** Counts output of a streamed answer. @param units amount of new output in the task's unit, such as tokens */
  produced(units: number): void;
}

export type TaskReply = {
  /** Default 200. */
  readonly status?: number;
  readonly contentType: string;
  /** Complete in memory, or a stream that is produced while it is sent; the rules of Answer.body apply. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
};

export type ClientError = {
  readonly status: number;
  readonly code: AppError['code'] | 'INTERNAL';
  readonly kind: AppError['kind'];
  readonly message: string;
  /** The parameters of the AppError, for protocols that report which field was invalid. */
  readonly params?: unknown;
};
