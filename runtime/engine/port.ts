/**
 * The engine as the batcher sees it: slots that run batches.
 *
 * Owns:  the port. pool.ts implements it with worker threads and ONNX Runtime, the tests' fake without them;
 *        test/conformance/engine runs the same tests against both.
 * Ends:  every run settles. A part that fails does not fail the other parts of its batch.
 */
import type { NamedTensors } from './tensor.ts';

/**
 * Requests to run together: same input names and types, same dimensions except the first. A batch of one may have any
 * shape.
 */
export type EngineBatch = {
  /** The inputs of each request. Their buffers are transferred to the worker. */
  readonly parts: readonly NamedTensors[];
  readonly outputs: readonly string[];
};

/** `Refused`: the model does not accept this input. `Failed`: any other error in the run. */
export type PartResult =
  | { readonly kind: 'Done'; readonly outputs: NamedTensors }
  | { readonly kind: 'Refused' | 'Failed'; readonly why: string };

export type EngineResult = {
  /** One result for each part, in the batch's order. */
  readonly parts: readonly PartResult[];
  /** Milliseconds inside ONNX Runtime. */
  readonly inferMs: number;
  /** True if the parts ran as one batch; false if the batch failed and each part ran alone. */
  readonly together: boolean;
};

export interface Engine {
  /** Number of batches that `run` would start at once. */
  readonly freeSlots: number;
  /** Threads with a loaded model, and their intended number. */
  readonly workers: { readonly ready: number; readonly wanted: number };
  /** The listener is called whenever a slot becomes free. There is one listener; a later call replaces it. */
  onFree(listener: () => void): void;
  /**
   * Runs one batch in a free slot.
   * @throws AppError ENGINE_LOST when the worker ended during the run, NOT_READY without a free slot or after close
   */
  run(batch: EngineBatch): Promise<EngineResult>;
  /** Frees a worker's memory by replacing it between runs. Does nothing while another worker is being replaced. */
  recycle(): void;
  /** Waits for all runs, releases every session and ends every worker. A worker is never ended during a run. */
  close(): Promise<void>;
}
