/**
 * The port through which protocols and tasks submit requests to the model. batcher.ts and split.ts implement it.
 *
 * Owns: the form of a request and of its result. Every submit settles exactly once: with a result, an AppError, or the
 *       reason of the caller's abort.
 */
import type { Tier } from '../../api/tiers.ts';
import type { NamedTensors } from '../engine/tensor.ts';

export type InferenceRequest = {
  /**
   * The caller has checked the inputs against the signature. Their buffers are transferred to a worker and cannot be
   * used afterwards.
   */
  readonly inputs: NamedTensors;
  /** Names of the outputs to return. Each returned output costs a copy. */
  readonly outputs: readonly string[];
  /**
   * Deadline on the clock's monotonic scale. A request whose run has not begun by this time fails with REQUEST_EXPIRED.
   */
  readonly deadlineMs?: number | undefined;
  /** Default: interactive. */
  readonly tier?: Tier;
  /** Who sent the request. When requests of several clients wait, they take turns; absent: one client. */
  readonly client?: string | undefined;
  /** True for a later run of a request that is split: the bounds of the queue count it, but do not refuse it. */
  readonly isRest?: boolean;
  /** Reserves memory for outputs, in bytes. Throws when not enough memory is free; the request then fails. */
  readonly hold?: (bytes: number) => void;
  /**
   * Aborted when the result is not needed any more: the client disconnected, the deadline passed, or another part of
   * the same request failed. A queued request is then dropped; a run cannot be stopped.
   */
  readonly signal: AbortSignal;
};

export type InferenceResult = {
  readonly outputs: NamedTensors;
  /** Milliseconds from submit to the start of the run. */
  readonly queueMs: number;
  /** Milliseconds that the run took. Other requests may have shared the run. */
  readonly inferMs: number;
  /** Rows of all requests in the run. */
  readonly batchRows: number;
  /** True when other requests were in the same run. */
  readonly isShared?: boolean;
};

export interface Inference {
  /**
   * Maximum number of rows of a run; 1 when rows depend on each other. Callers that split requests use this limit too.
   */
  readonly maxRows: number;
  /**
   * @throws AppError QUEUE_FULL, WAIT_TOO_LONG, REQUEST_TOO_LARGE, REQUEST_EXPIRED, REQUEST_INVALID, ENGINE_FAILED,
   *   ENGINE_LOST, NOT_READY, RUN_STUCK; the errors of `hold`; the abort reason of `signal`
   */
  submit(request: InferenceRequest): Promise<InferenceResult>;
}
