/**
 * What the pool and its workers say to each other.
 *
 * Owns: the two unions, and which buffers a message hands over.
 */
import type { EngineBatch, EngineResult } from './port.ts';
import type { SessionOptions } from './session-options.ts';
import type { NamedTensors } from './tensor.ts';

export type WorkerTask = {
  readonly graphPath: string;
  readonly options: SessionOptions;
  /** Scheduling priority below the HTTP thread's, 0 (same) to 19. */
  readonly nice: number;
};

export type ToWorker = { readonly say: 'run'; readonly batch: EngineBatch } | { readonly say: 'release' };

export type FromWorker =
  | { readonly say: 'loaded'; readonly loadMs: number }
  | { readonly say: 'loadFailed'; readonly why: string }
  | { readonly say: 'ran'; readonly result: EngineResult }
  | { readonly say: 'broke'; readonly why: string };

/** Every buffer behind these tensors, once: moved to the other thread instead of copied. */
export function buffersOf(sets: readonly NamedTensors[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const tensors of sets) {
    for (const tensor of Object.values(tensors)) {
      if (tensor.type !== 'string' && tensor.data.buffer instanceof ArrayBuffer) buffers.add(tensor.data.buffer);
    }
  }
  return [...buffers];
}
