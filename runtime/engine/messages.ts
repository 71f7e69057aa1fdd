/**
 * Messages between the pool and its workers.
 *
 * Owns: the messages in both directions, the list of buffers that a message transfers, and how many outputs use each
 *       buffer of a result.
 */
import { shareBuffer } from '../../lib/free-bytes.ts';
import type { EngineBatch, EngineResult, PartResult, SequenceStep, StepResult } from './port.ts';
import type { SessionOptions } from './session-options.ts';
import type { NamedTensors } from './tensor.ts';

export type WorkerTask = {
  readonly graphPath: string;
  readonly options: SessionOptions;
  /** Scheduling priority: 0 (same as the HTTP thread) to 19 (lowest). */
  readonly nice: number;
  /** Memory for batches of few bytes (mailbox.ts); absent when all batches cross as messages. */
  readonly mailbox?: SharedArrayBuffer;
};

/** The worker's message when the result of a batch is in the mailbox. A number costs less than an object. */
export const resultInMailbox = 1;

/** A step that names its sequence by an id. */
export type WorkerStep = Omit<SequenceStep, 'sequence'> & { readonly id: number };

/** Messages that create and free a sequence's state in a worker. */
export type SequenceNews =
  | { readonly kind: 'open'; readonly id: number; readonly maxBytes: number }
  | { readonly kind: 'close'; readonly id: number };

export type ToWorker =
  | { readonly kind: 'run'; readonly batch: EngineBatch }
  | { readonly kind: 'step'; readonly steps: readonly WorkerStep[] }
  | SequenceNews
  | { readonly kind: 'release' };

export type FromWorker =
  | typeof resultInMailbox
  /** `mailbox` is true when the worker waits for batches in the mailbox. */
  | { readonly kind: 'loaded'; readonly loadMs: number; readonly mailbox?: boolean }
  | { readonly kind: 'loadFailed'; readonly why: string }
  | { readonly kind: 'ran'; readonly result: EngineResult | StepResult }
  | { readonly kind: 'broke'; readonly why: string };

/**
 * The buffers of these tensors, each listed once. postMessage transfers them to the other thread instead of copying.
 */
export function buffersOf(sets: readonly NamedTensors[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const tensors of sets) {
    for (const tensor of Object.values(tensors)) {
      if (tensor.type !== 'string' && tensor.data.buffer instanceof ArrayBuffer) buffers.add(tensor.data.buffer);
    }
  }
  return [...buffers];
}

/** Declares how many outputs lie in each buffer, so that it is freed after the last of them (lib/free-bytes.ts). */
export function shareOutputs(parts: readonly PartResult[]): void {
  const counts = new Map<ArrayBufferLike, number>();
  for (const part of parts) {
    if (part.kind !== 'Done') continue;
    for (const { type, data } of Object.values(part.outputs))
      if (type !== 'string') counts.set(data.buffer, (counts.get(data.buffer) ?? 0) + 1);
  }
  for (const [buffer, count] of counts) if (count > 1) shareBuffer(buffer, count);
}
