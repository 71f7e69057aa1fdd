/**
 * How work reaches the model: the port that protocols and tasks submit to.
 *
 * Owns:  the shape of one request and its result. The batcher implements it (batcher.ts).
 * Ends:  every submit settles exactly once: a result, an AppError, or the reason of the caller's abort.
 */
import type { Tier } from '../../api/tiers.ts';
import type { NamedTensors } from '../engine/tensor.ts';

export type InferenceRequest = {
  /** Already checked against the signature. Their buffers are transferred: the caller must not touch them again. */
  readonly inputs: NamedTensors;
  /** Names of the outputs to fetch; each costs a copy, so no more than needed. */
  readonly outputs: readonly string[];
  /** On the clock's monotonic scale; work that has not begun by then is dropped with REQUEST_EXPIRED. */
  readonly deadlineMs?: number;
  /** Interactive unless given. */
  readonly tier?: Tier;
  /** Told the bytes of outputs as they come. What it throws ends the request: there is no room for them. */
  readonly hold?: (bytes: number) => void;
  /** Aborted when the client is gone; work that has not begun is dropped. A run that began cannot be stopped. */
  readonly signal: AbortSignal;
};

export type InferenceResult = {
  readonly outputs: NamedTensors;
  /** From submit to the start of the run. */
  readonly queueMs: number;
  /** The run itself, shared with the batch's other requests. */
  readonly inferMs: number;
  /** Rows of the whole batch this request ran in; 1 for a model that takes no batches. */
  readonly batchRows: number;
  /** Other requests were in the same run. */
  readonly isShared?: boolean;
};

export interface Inference {
  /**
   * Rows of one run. Who cuts a request into pieces keeps to it: 1 for a model whose rows were found, as it was warmed,
   * to depend on each other.
   */
  readonly maxRows: number;
  /**
   * @throws AppError QUEUE_FULL, REQUEST_TOO_LARGE, REQUEST_EXPIRED, REQUEST_INVALID, ENGINE_FAILED, ENGINE_LOST,
   *   MEMORY_FULL, DRAINING
   */
  submit(request: InferenceRequest): Promise<InferenceResult>;
}
