/**
 * The port through which the batcher uses the engine: slots that run batches, and that hold the state of sequences.
 *
 * Owns:  the port. pool.ts implements it with worker threads, process/process-engine.ts with processes. Tests also use
 *        a fake without threads; test/conformance/engine runs the same tests against all of them.
 * Ends:  every run settles. If a part fails, the other parts of its batch still get their results.
 */
import type { NamedTensors } from './tensor.ts';

/**
 * Requests to run together. Their inputs have the same names, the same types, and the same dimensions except the first.
 * A batch of one request may have any shape.
 */
export type EngineBatch = {
  /** The inputs of each request. Their buffers are transferred to the worker. */
  readonly parts: readonly NamedTensors[];
  readonly outputs: readonly string[];
  /**
   * Ends the run when it is aborted: `run` then rejects with the signal's reason. An engine that cannot end a run
   * ignores the signal.
   */
  readonly signal?: AbortSignal;
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

/** One use of the model over many runs, such as one answer of a language model. `open` returns it. */
export type Sequence = {
  readonly id: number;
  /** The slot that holds the state until the sequence is closed. Only sequences of one slot can be in one step. */
  readonly slot: number;
};

/** One run of the model for one sequence. */
export type SequenceStep = {
  readonly sequence: Sequence;
  /**
   * The inputs that are not in the state. The first step has all inputs, such as an empty past. If an input is also in
   * the state, the value given here is used. The buffers of the inputs are transferred to the worker.
   */
  readonly inputs: NamedTensors;
  /**
   * Outputs that stay in the worker, each with the input that it becomes in the next step:
   * `{ 'present.0.key': 'past_key_values.0.key' }`. State that no output replaces is kept as it is.
   */
  readonly keep: Readonly<Record<string, string>>;
  /** Outputs that are returned. An output that is also kept is copied. */
  readonly outputs: readonly string[];
};

/**
 * `parts` has one result for each step, in the caller's order. A part that is not `Done` leaves the state of its
 * sequence as it was. `Refused` may also mean that the new state is larger than the sequence's `maxBytes`.
 */
export type StepResult = EngineResult & {
  /** Bytes of each sequence's state after the step, in the order of the steps. */
  readonly stateBytes: readonly number[];
};

/**
 * How much state the open sequences have. Only bytes of tensors are counted. During a step, the old and the new state
 * of its sequences are both in memory.
 */
export type StateUsage = {
  readonly sequences: number;
  /** Sum of `maxBytes` of all open sequences; at most `limitBytes`. */
  readonly reservedBytes: number;
  /** Bytes of all state after the latest steps. */
  readonly heldBytes: number;
  readonly limitBytes: number;
};

/** Sequences of one engine. Every sequence that was opened must be closed, even after its state was lost. */
export interface Sequences {
  readonly usage: StateUsage;
  /** True when a step can start in this slot at once. `onFree` of the engine reports when a slot becomes free. */
  isFree(slot: number): boolean;
  /**
   * The listener receives the sequences whose state was lost with their worker. There is one listener; a later call
   * replaces it.
   */
  onLost(listener: (sequences: readonly Sequence[]) => void): void;
  /**
   * Reserves `maxBytes` for the state of a sequence, in the slot with the fewest reserved bytes.
   * @throws AppError REQUEST_TOO_LARGE when `maxBytes` is over the limit, STATE_FULL when `maxBytes` plus the bytes
   *   reserved by open sequences is over the limit, NOT_READY without a ready worker
   */
  open(needs: { readonly maxBytes: number }): Sequence;
  /**
   * Runs the model once for each step, in the slot that holds the steps' sequences. Steps are joined row by row into
   * one run when they name the same outputs and all their inputs, state included, have the same types and the same
   * dimensions except the first. The caller guarantees that the rows of joined steps are independent. Other steps, such
   * as steps with different past lengths, run one after the other: joining them needs padding or a model that takes
   * ragged rows.
   * @throws AppError SEQUENCE_UNKNOWN, SEQUENCE_LOST, NOT_READY when the slot is not free or the engine is closed,
   *   ENGINE_LOST when the worker ended during the step; ENGINE_FAILED when the worker could not answer; the sequences
   *   of the step are then lost. TypeError when the steps belong to several slots or name a sequence twice.
   */
  step(steps: readonly SequenceStep[]): Promise<StepResult>;
  /** Frees the state, after the step in progress if there is one. Closing a sequence again does nothing. */
  close(sequence: Sequence): void;
}

export interface Engine {
  /** Number of batches that `run` would start at once. */
  readonly freeSlots: number;
  /** `ready`: number of workers with a loaded model. `wanted`: configured number of workers. */
  readonly workers: { readonly ready: number; readonly wanted: number };
  /** The listener is called whenever a slot becomes free. There is one listener; a later call replaces it. */
  onFree(listener: () => void): void;
  /**
   * Runs one batch in a free slot.
   * @throws AppError ENGINE_LOST when the worker ended during the run, NOT_READY without a free slot or after close
   */
  run(batch: EngineBatch): Promise<EngineResult>;
  readonly sequences: Sequences;
  /**
   * Frees a worker's memory by replacing it between runs. Does nothing while another worker is being replaced, or when
   * every worker holds sequences.
   */
  recycle(): void;
  /**
   * Waits for all runs and steps, releases every session and ends every worker. A worker is never ended during a run.
   * When a worker ends, the state of its sequences is lost.
   */
  close(): Promise<void>;
}
