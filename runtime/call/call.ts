/**
 * A request without a transport: what a handler is given, what it answers, and what a client may be told of an error.
 *
 * Owns:  the types that transports, protocols and tasks share. Whoever carries a request makes them; a handler only
 *        reads them.
 */
import type { AppError } from '../../api/errors.ts';
import type { Tier } from '../../api/tiers.ts';
import type { InferenceResult } from '../batching/port.ts';

export type TaskCall = {
  /** Lower-case names; of a repeated header the values joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed and within the body limit; empty for GET. Owned by the handler, its buffer may be transferred. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Pass on to submit, as is `signal`. Absent: the client gave no deadline. */
  readonly deadlineMs?: number;
  readonly signal: AbortSignal;
  /** Pass on to submit, too. */
  readonly tier: Tier;
  readonly trace: Trace;
};

/**
 * Where a request's time goes; the server starts it and reports it (metrics, `Server-Timing`, counters).
 * A handler calls `decoded` when it has its tensors and `inferred` with the result, both exactly once on success.
 */
export interface Trace {
  /** @param elements size of the request: input elements, for text tokens. Decides its size class. */
  decoded(elements: number): void;
  /** With several submits (a request cut into pieces): the sum of one's choice, usually the longest. */
  inferred(result: Pick<InferenceResult, 'queueMs' | 'inferMs' | 'isShared'>): void;
  /** More of a streamed answer was made. @param units in what the task counts its output, such as tokens */
  produced(units: number): void;
}

export type TaskReply = {
  /** 200 unless given. */
  readonly status?: number;
  readonly contentType: string;
  /** As in Answer (answer.ts): whole, or made while it is sent. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
};

export type ClientError = {
  readonly status: number;
  readonly code: AppError['code'] | 'INTERNAL';
  readonly kind: AppError['kind'];
  readonly message: string;
  /** The error's own, for protocols that say which field was at fault. */
  readonly params?: unknown;
};
