/**
 * Caches of keys and values, on the side of the server (caches.ts): which are open, in which process, and their bytes.
 *
 * Owns:   the handles, the limit of bytes, and the checks of places before the engine process writes to them.
 * Limits: the bytes of all caches and the reserved bytes of all sequences together are at most `limitBytes`.
 */
import { AppError } from '../../../api/errors.ts';
import {
  cacheBytes,
  type KeyValueCache,
  type CachePlace,
  type CacheShape,
  type KeyValueCaches,
  type SlotRun,
  type SlotRunResult,
} from '../caches.ts';
import type { EngineAnswer } from './engine-process.ts';
import { LanePlaces } from './lane.ts';
import type { EngineWork } from './messages.ts';

/** The parts of the engine that ProcessCaches uses. A slot here is a process. */
export type ProcessCachesDeps = {
  readonly model: string;
  readonly limitBytes: number;
  /** Bytes that sequences reserve. */
  readonly usedBytes: () => number;
  readonly openSlots: () => readonly number[];
  /** One such request at a time in a process. */
  readonly exclusive: (
    slot: number,
    places: LanePlaces,
    work: EngineWork,
    signal?: AbortSignal,
  ) => Promise<EngineAnswer>;
  readonly close: (slot: number, cache: number) => void;
};

class ProcessCache implements KeyValueCache {
  readonly shape: CacheShape;
  readonly bytes: number;
  readonly id: number;
  readonly slot: number;
  readonly #deps: ProcessCachesDeps;
  readonly #onClose: (cache: ProcessCache) => void;
  state: 'Open' | 'Closed' | 'Lost' = 'Open';
  /** Runs and copies in progress. The memory is freed when they have ended. */
  #uses = 0;

  constructor(
    place: { readonly id: number; readonly slot: number; readonly shape: CacheShape },
    deps: ProcessCachesDeps,
    onClose: (cache: ProcessCache) => void,
  ) {
    this.id = place.id;
    this.slot = place.slot;
    this.shape = place.shape;
    this.bytes = cacheBytes(place.shape);
    this.#deps = deps;
    this.#onClose = onClose;
  }

  async run({ from, count, inputs, outputs, signal }: SlotRun): Promise<SlotRunResult> {
    this.#check();
    checkRange('slots', from, count, this.shape.slots);
    if (count < 1) throw new RangeError('a run needs at least one slot');
    const places = new LanePlaces();
    const wired = places.placeAll(inputs);
    const work = { kind: 'runCache', cache: this.id, from, count, inputs: wired, outputs } as const;
    const { parts, inferMs } = await this.#use(places, work, signal);
    const [part] = parts;
    if (part?.kind === 'Done') return { outputs: part.outputs, inferMs };
    const why = part?.why ?? 'the run has no result';
    if (part?.kind === 'Refused') throw new AppError('REQUEST_INVALID', { problem: why });
    throw new AppError('ENGINE_FAILED', { model: this.#deps.model, why });
  }

  async copy(from: CachePlace, to: CachePlace, length: number): Promise<void> {
    this.#check();
    for (const { slot, position } of [from, to]) {
      checkRange('slots', slot, 1, this.shape.slots);
      checkRange('positions', position, length, this.shape.maxContext);
    }
    await this.#use(new LanePlaces(), { kind: 'copyCache', cache: this.id, from, to, length });
  }

  close(): void {
    if (this.state !== 'Open') return;
    this.state = 'Closed';
    this.#freeIfUnused();
  }

  async #use(places: LanePlaces, work: EngineWork, signal?: AbortSignal): Promise<EngineAnswer> {
    this.#uses += 1;
    try {
      return await this.#deps.exclusive(this.slot, places, work, signal);
    } finally {
      this.#uses -= 1;
      this.#freeIfUnused();
    }
  }

  #freeIfUnused(): void {
    if (this.state !== 'Closed' || this.#uses > 0) return;
    this.#deps.close(this.slot, this.id);
    this.#onClose(this);
  }

  #check(): void {
    if (this.state === 'Lost') throw new AppError('SEQUENCE_LOST', { model: this.#deps.model, sequence: this.id });
    if (this.state === 'Closed') throw new AppError('SEQUENCE_UNKNOWN', { sequence: this.id });
  }
}

export class ProcessCaches implements KeyValueCaches {
  readonly #deps: ProcessCachesDeps;
  readonly #open = new Set<ProcessCache>();
  #lastId = 0;

  constructor(deps: ProcessCachesDeps) {
    this.#deps = deps;
  }

  /** Bytes of all open caches. */
  get bytes(): number {
    return [...this.#open].reduce((sum, { bytes, state }) => sum + (state === 'Lost' ? 0 : bytes), 0);
  }

  async open(shape: CacheShape): Promise<KeyValueCache> {
    const { limitBytes, usedBytes } = this.#deps;
    checkShape(shape);
    const needBytes = cacheBytes(shape);
    if (needBytes > limitBytes)
      throw new AppError('REQUEST_TOO_LARGE', { what: `the cache needs ${needBytes} bytes`, limit: limitBytes });
    const reservedBytes = this.bytes + usedBytes();
    if (reservedBytes + needBytes > limitBytes)
      throw new AppError('STATE_FULL', { needBytes, reservedBytes, limitBytes });
    const [slot] = this.#deps.openSlots();
    if (slot === undefined) throw new AppError('NOT_READY', { state: 'no engine process is ready' });
    const id = (this.#lastId += 1);
    const cache = new ProcessCache({ id, slot, shape }, this.#deps, (closed) => this.#open.delete(closed));
    this.#open.add(cache);
    try {
      await this.#deps.exclusive(slot, new LanePlaces(), { kind: 'openCache', cache: id, shape });
      return cache;
    } catch (error) {
      this.#open.delete(cache);
      throw error;
    }
  }

  /** True while a process has a cache. */
  holds(slot: number): boolean {
    return [...this.#open].some((cache) => cache.slot === slot);
  }

  /** Call this when the process of a slot has ended. */
  loseSlot(slot: number): void {
    for (const cache of this.#open) {
      if (cache.slot !== slot) continue;
      cache.state = 'Lost';
      this.#open.delete(cache);
    }
  }
}

/** @throws RangeError: the engine process would write outside the cache */
function checkRange(what: string, from: number, count: number, limit: number): void {
  if (!Number.isInteger(from) || !Number.isInteger(count) || from < 0 || count < 0 || from + count > limit)
    throw new RangeError(`${what} ${from} to ${from + count} are not within 0 to ${limit}`);
}

function checkShape({ slots, maxContext, tensors }: CacheShape): void {
  const sizes = [slots, maxContext, ...tensors.flatMap(({ heads, headSize }) => [heads, headSize])];
  if (tensors.length === 0 || sizes.some((size) => !Number.isInteger(size) || size < 1))
    throw new RangeError('a cache needs tensors, and sizes of at least 1');
}
