/**
 * The engine as the batcher sees it: slots that run batches.
 *
 * Owns:  the port. pool.ts implements it with worker threads and ONNX Runtime, the tests' fake without;
 *        test/conformance/engine holds both to the same promises.
 * Ends:  every run settles; a part's failure never fails another part of its batch.
 */
import type { NamedTensors } from './tensor.ts';

/** Requests to run together: same inputs, types and dimensions but the first. A batch of one may have any shape. */
export type EngineBatch = {
  /** The inputs of each request. Their buffers are transferred to the worker. */
  readonly parts: readonly NamedTensors[];
  readonly outputs: readonly string[];
};

/** `Refused`: the model would not take this input. `Failed`: anything else that went wrong in the run. */
export type PartResult =
  { readonly is: 'Done'; readonly outputs: NamedTensors } | { readonly is: 'Refused' | 'Failed'; readonly why: string };

export type EngineResult = {
  /** One for each part, in the batch's order. */
  readonly parts: readonly PartResult[];
  /** Time inside ONNX Runtime. */
  readonly inferMs: number;
  /** Whether the parts ran as one; false when the batch failed as a whole and each part was run alone. */
  readonly together: boolean;
};

export interface Engine {
  /** Batches that `run` would begin at once. */
  readonly freeSlots: number;
  /** Threads that hold a loaded model, and how many there should be. */
  readonly workers: { readonly ready: number; readonly wanted: number };
  /** Called whenever a slot has become free. One listener; a later call replaces it. */
  onFree(listener: () => void): void;
  /**
   * Runs one batch in a free slot.
   * @throws AppError ENGINE_LOST when the worker ended meanwhile, NOT_READY without a free slot or after close
   */
  run(batch: EngineBatch): Promise<EngineResult>;
  /** Gives a worker's memory back: it is released between runs and replaced. No-op while one is being replaced. */
  recycle(): void;
  /** Waits for what runs, releases every session and ends every worker. No worker is ever ended in mid-run. */
  close(): Promise<void>;
}
