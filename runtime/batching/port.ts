/**
 * The port through which protocols and tasks submit requests to the model. batcher.ts and split.ts implement it.
 *
 * Owns: the form of a request and of its result. Every submit settles exactly once: with a result, an AppError, or the
 *       reason of the caller's abort.
 */
import type { Tier } from '../../api/tiers.ts';
import type { NamedTensors } from '../engine/tensor.ts';

export type InferenceRequest = {
  /** Checked against the signature by the caller. Their buffers are transferred and cannot be used afterwards. */
  readonly inputs: NamedTensors;
  /** Names of the outputs to return. Each costs a copy. */
  readonly outputs: readonly string[];
  /** On the clock's monotonic scale. A request whose run has not begun by then fails with REQUEST_EXPIRED. */
  readonly deadlineMs?: number;
  /** Default: interactive. */
  readonly tier?: Tier;
  /** Reserves memory for outputs, in bytes. Throws when not enough memory is free; the request then fails. */
  readonly hold?: (bytes: number) => void;
  /** Aborted when the client has disconnected. A queued request is dropped; a run cannot be stopped. */
  readonly signal: AbortSignal;
};

export type InferenceResult = {
  readonly outputs: NamedTensors;
  /** From submit to the start of the run. */
  readonly queueMs: number;
  /** Time of the run, which other requests may share. */
  readonly inferMs: number;
  /** Rows of the whole batch. */
  readonly batchRows: number;
  /** True when other requests were in the same run. */
  readonly isShared?: boolean;
};

export interface Inference {
  /** Maximum number of rows of a run, also for callers that split requests. 1 when rows depend on each other. */
  readonly maxRows: number;
  /**
   * @throws AppError QUEUE_FULL, REQUEST_TOO_LARGE, REQUEST_EXPIRED, REQUEST_INVALID, ENGINE_FAILED, ENGINE_LOST,
   *   MEMORY_FULL, DRAINING
   */
  submit(request: InferenceRequest): Promise<InferenceResult>;
}
