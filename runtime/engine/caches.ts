/**
 * The port to caches of keys and values that a model reads and writes in place, for token-by-token generation.
 *
 * Owns:   the port. A model can use such a cache when each present output may be the same memory as its past input, as
 *         with the operator GroupQueryAttention. For other models there are sequences (port.ts).
 * Layout: for each layer and for keys and values one tensor [slots, heads, maxContext, headSize]. A row of
 *         it is a cache slot. A request owns one slot; a run reads and writes neighbouring slots.
 * Limits: the caller says how many positions of a slot are valid, by the model's inputs. The engine does not know it;
 *         GroupQueryAttention refuses more positions than the slot has.
 */
import type { NamedTensors } from './tensor.ts';

export type CacheTensor = {
  /** The input of earlier keys or values, and the output that is written to the same memory. */
  readonly input: string;
  readonly output: string;
  readonly type: 'float32' | 'float16';
  readonly heads: number;
  readonly headSize: number;
};

export type CacheShape = {
  readonly slots: number;
  /** Positions in each slot. */
  readonly maxContext: number;
  readonly tensors: readonly CacheTensor[];
};

export type SlotRun = {
  /** The run uses the slots `from` to `from + count - 1`; its inputs have `count` rows. */
  readonly from: number;
  readonly count: number;
  /** Inputs that are not in the cache. */
  readonly inputs: NamedTensors;
  /** Outputs that are returned; none of the cache. */
  readonly outputs: readonly string[];
  /** Ends the run when it is aborted. What the run already wrote to its slots stays. */
  readonly signal?: AbortSignal;
};

export type SlotRunResult = { readonly outputs: NamedTensors; readonly inferMs: number };

/** A place in the cache, the same in all its tensors. */
export type CachePlace = { readonly slot: number; readonly position: number };

/** One cache. It is lost when its engine process ends; then every call rejects. */
export interface KeyValueCache {
  readonly shape: CacheShape;
  readonly bytes: number;
  /**
   * Runs the model once. One run or copy of a cache at a time.
   * @throws AppError ENGINE_LOST when the process ends during the run, SEQUENCE_LOST when it ended before, RUN_STUCK,
   *   REQUEST_INVALID when the model does not accept the inputs, ENGINE_FAILED for any other error of the run, and the
   *   signal's reason
   */
  run(run: SlotRun): Promise<SlotRunResult>;
  /** Copies positions within the cache, such as a kept prefix into a slot. @throws AppError as `run` */
  copy(from: CachePlace, to: CachePlace, length: number): Promise<void>;
  /** Frees the memory, after the run in progress if there is one. */
  close(): void;
}

export interface KeyValueCaches {
  /**
   * Allocates a cache, filled with zeros.
   * @throws AppError REQUEST_TOO_LARGE when it is larger than the limit, STATE_FULL when it does not fit beside open
   *   caches and sequences, NOT_READY without a ready process
   */
  open(shape: CacheShape): Promise<KeyValueCache>;
}

/** Bytes of a whole cache. */
export function cacheBytes({ slots, maxContext, tensors }: CacheShape): number {
  return tensors.reduce((sum, tensor) => sum + slots * slotBytes(tensor, maxContext), 0);
}

/** Bytes of one slot of one tensor. */
export function slotBytes({ type, heads, headSize }: CacheTensor, maxContext: number): number {
  return heads * maxContext * headSize * (type === 'float16' ? 2 : 4);
}
