/**
 * Caches of keys and values in the engine process (caches.ts): one block of memory for each tensor, which runs read and
 * write in place.
 *
 * Owns:   the memory, and the values over the slots of a run. The same value is the past input and the present output
 *         of a run, so ONNX Runtime writes new keys and values behind the earlier ones without a copy.
 * Limits: one run or copy of a cache at a time; the server sees to it.
 */
import type { Address } from '../capi/library.ts';
import type { OrtValues } from '../capi/values.ts';
import { allocateBlock, copyBytes, freeBlock } from '../capi/shared-memory.ts';
import { slotBytes, type CacheShape, type CacheTensor } from '../caches.ts';
import { failedPart } from '../rows.ts';
import type { CacheCopy, CacheRun, WirePart, WireResult } from './messages.ts';
import type { NativeRequest } from './native-request.ts';

/** Views of slots are kept for the next run. A long list would only hold views of groups that do not come again. */
const maxViews = 64;

type Block = { readonly tensor: CacheTensor; readonly address: Address; readonly slotBytes: number };
/** Values over the same slots of all tensors, in the order of the blocks. */
type Views = readonly Address[];
type NativeCache = {
  readonly shape: CacheShape;
  readonly blocks: readonly Block[];
  readonly views: Map<string, Views>;
};

export class NativeCaches {
  readonly #values: OrtValues;
  readonly #caches = new Map<number, NativeCache>();

  constructor(values: OrtValues) {
    this.#values = values;
  }

  /** @throws Error when there is not enough memory */
  open(cache: number, shape: CacheShape): void {
    const blocks: Block[] = [];
    try {
      for (const tensor of shape.tensors) {
        const bytes = slotBytes(tensor, shape.maxContext);
        blocks.push({ tensor, slotBytes: bytes, address: allocateBlock(bytes * shape.slots) });
      }
    } catch (error) {
      for (const block of blocks) freeBlock(block.address, block.slotBytes * shape.slots);
      throw error;
    }
    this.#caches.set(cache, { shape, blocks, views: new Map() });
  }

  /** One run in place. The result has one part. */
  async run(request: NativeRequest, { cache, from, count, inputs, outputs }: CacheRun): Promise<WireResult> {
    const began = performance.now();
    const found = this.#of(cache);
    const own = this.#viewsOf(found, from, count);
    const tensors = found.blocks.map(({ tensor }, index) => [tensor, own[index] as Address] as const);
    const past = new Map(tensors.map(([{ input }, value]) => [input, value] as const));
    const present = new Map(tensors.map(([{ output }, value]) => [output, value] as const));
    try {
      const made = await request.once(request.feedsOf(inputs), outputs, { past, present });
      const wired = request.wireAll(made);
      return { parts: [{ kind: 'Done', outputs: wired }], inferMs: performance.now() - began, together: true };
    } catch (error) {
      return { parts: [failedPart(error) as WirePart], inferMs: performance.now() - began, together: true };
    } finally {
      if (found.views.size > maxViews) this.#forgetViews(found.views);
    }
  }

  /** Copies positions of one slot to another place, in every tensor and head. */
  copy({ cache, from, to, length }: CacheCopy): void {
    const { blocks, shape } = this.#of(cache);
    for (const { tensor, address, slotBytes: bytes } of blocks) {
      const headBytes = bytes / tensor.heads;
      const positionBytes = headBytes / shape.maxContext;
      const at = (place: CacheCopy['from'], head: number): Address =>
        address + BigInt(place.slot * bytes + head * headBytes + place.position * positionBytes);
      for (let head = 0; head < tensor.heads; head += 1)
        copyBytes(at(from, head), at(to, head), length * positionBytes);
    }
  }

  close(cache: number): void {
    const found = this.#caches.get(cache);
    if (found === undefined) return;
    this.#caches.delete(cache);
    this.#forgetViews(found.views);
    for (const { address, slotBytes: bytes } of found.blocks) freeBlock(address, bytes * found.shape.slots);
  }

  /** Call this before the session is released. */
  closeAll(): void {
    for (const cache of this.#caches.keys()) this.close(cache);
  }

  #of(cache: number): NativeCache {
    const found = this.#caches.get(cache);
    if (found === undefined) throw new Error(`cache ${cache} is not open in this process`);
    return found;
  }

  #viewsOf({ blocks, shape, views }: NativeCache, from: number, count: number): Views {
    const key = `${from} ${count}`;
    const known = views.get(key);
    if (known !== undefined) return known;
    const made = blocks.map(({ tensor, address, slotBytes: bytes }) =>
      this.#values.over(address + BigInt(from * bytes), {
        type: tensor.type,
        dims: [count, tensor.heads, shape.maxContext, tensor.headSize],
      }),
    );
    views.set(key, made);
    return made;
  }

  #forgetViews(views: Map<string, Views>): void {
    for (const values of views.values()) for (const value of values) this.#values.release(value);
    views.clear();
  }
}
