/**
 * The state of sequences in the engine process: outputs of ONNX Runtime that become inputs of the next step where they
 * are.
 *
 * Owns:   each sequence's kept values, and when they are released. Sequences that step together share one value with a
 *         row range each, and use it in the next step without a copy if they step together again. When some of them go
 *         on without the others, the others' rows are copied once, so that no sequence keeps the memory of another.
 * Limits: new state that is larger than a sequence's `maxBytes` is refused, and the sequence keeps the state from
 *         before the step. Texts cannot be kept.
 */
import type { Address } from '../capi/library.ts';
import { allocateBlock, copyBytes, freeBlock } from '../capi/shared-memory.ts';
import type { SequenceNews } from '../messages.ts';
import { failedPart } from '../rows.ts';
import { shapeBytes } from '../tensor.ts';
import type { WirePart, WireResult, WireStep, WireTensor } from './messages.ts';
import { feedRows, type Feed, type Feeds, type NativeOutput, type NativeRequest } from './native-request.ts';

/** Memory of one or more sequences. */
class Held {
  readonly #free: () => void;
  readonly holders = new Set<Kept>();

  constructor(free: () => void) {
    this.#free = free;
  }

  drop(kept: Kept): void {
    this.holders.delete(kept);
    if (this.holders.size === 0) this.#free();
  }
}

/** One kept tensor of one sequence: rows of a Held. */
type Kept = { feed: Feed; held: Held };
type State = { readonly maxBytes: number; readonly tensors: Map<string, Kept> };
type Outputs = ReadonlyMap<string, NativeOutput>;
/** The part of an output that belongs to one sequence. */
type Cut = (output: NativeOutput) => Feed;
type Made = ReadonlyMap<string, { readonly output: NativeOutput; readonly held: Held }>;

/** One call of `step`: the request, and memory that a sequence stopped using during the call. */
type StepCall = { readonly request: NativeRequest; readonly left: Set<Held> };

export class NativeStates {
  readonly #states = new Map<number, State>();

  hear(news: SequenceNews): void {
    if (news.kind === 'open') {
      this.#states.set(news.id, { maxBytes: news.maxBytes, tensors: new Map() });
      return;
    }
    const left = new Set<Held>();
    for (const kept of this.#states.get(news.id)?.tensors.values() ?? []) dropInto(left, kept);
    this.#states.delete(news.id);
    separate(left);
  }

  /** Runs the steps, together if they can be joined. Replaces the state of each sequence whose step succeeded. */
  async step(request: NativeRequest, steps: readonly WireStep[]): Promise<WireResult> {
    const began = performance.now();
    const call: StepCall = { request, left: new Set() };
    const feeds = steps.map((step) => this.#feedsOf(step, request));
    const joined = steps.length > 1 ? await this.#together(call, steps, feeds) : undefined;
    const parts: WirePart[] = [...(joined ?? [])];
    if (joined === undefined)
      for (const [index, step] of steps.entries()) parts.push(await this.#alone(call, step, feeds[index] as Feeds));
    separate(call.left);
    return {
      parts,
      inferMs: performance.now() - began,
      together: joined !== undefined || steps.length === 1,
      stateBytes: steps.map((step) => this.#bytesOf(step.id)),
    };
  }

  #feedsOf(step: WireStep, request: NativeRequest): Feeds {
    const state = this.#states.get(step.id);
    if (state === undefined) throw new Error(`sequence ${step.id} is not open in this process`);
    const kept = [...state.tensors].map(([name, { feed }]) => [name, feed] as const);
    return new Map([...kept, ...request.feedsOf(step.inputs)]);
  }

  async #alone(call: StepCall, step: WireStep, feeds: Feeds): Promise<WirePart> {
    const { request } = call;
    try {
      const outputs = await request.once(feeds, namesOf(step));
      return this.#store(call, [step], outputs, [(output) => wholeFeed(request, output)])[0] as WirePart;
    } catch (error) {
      return failedPart(error) as WirePart;
    }
  }

  /** @returns undefined when the steps cannot be joined, or the joint run failed */
  async #together(
    call: StepCall,
    steps: readonly WireStep[],
    feeds: readonly Feeds[],
  ): Promise<readonly WirePart[] | undefined> {
    const { request } = call;
    const rows = feeds.map(rowsOfFeeds);
    if (new Set(steps.map((step) => namesOf(step).join('\0'))).size > 1) return undefined;
    if (!rows.every((count) => count !== undefined) || new Set(feeds.map(restOfFeeds)).size > 1) return undefined;
    const blocks: [Address, number][] = [];
    try {
      const names = [...(feeds[0] as Feeds).keys()];
      const joint = new Map(names.map((name) => [name, joinFeeds(feeds, name, blocks)] as const));
      const outputs = await request.once(joint, namesOf(steps[0] as WireStep));
      const total = rows.reduce((sum, count) => sum + count, 0);
      if ([...outputs.values()].every(({ dims, type }) => dims[0] === total && type !== 'string'))
        return this.#store(call, steps, outputs, cutsOf(request, rows));
      for (const output of outputs.values()) request.release(output);
      return undefined;
    } catch {
      return undefined;
    } finally {
      for (const [address, bytes] of blocks) freeBlock(address, bytes);
    }
  }

  /** Returns and keeps the outputs of a run, in the order of its steps. Releases what no sequence keeps. */
  #store(call: StepCall, steps: readonly WireStep[], outputs: Outputs, cuts: readonly Cut[]): readonly WirePart[] {
    const { request, left } = call;
    const made = new Map(
      [...outputs].map(([name, output]) => [name, { output, held: new Held(() => request.release(output)) }] as const),
    );
    const parts = steps.map((step, index) => {
      try {
        return this.#storeOne(call, step, made, cuts[index] as Cut);
      } catch (error) {
        return failedPart(error) as WirePart;
      }
    });
    for (const { held, output } of made.values())
      if (held.holders.size === 0) request.release(output);
      else if (held.holders.size < steps.length) left.add(held);
    return parts;
  }

  #storeOne({ request, left }: StepCall, step: WireStep, made: Made, cut: Cut): WirePart {
    const state = this.#states.get(step.id);
    if (state === undefined) return { kind: 'Failed', why: `sequence ${step.id} was closed during the step` };
    const next = new Map<string, Kept>();
    for (const [name, input] of Object.entries(step.keep)) {
      const { output, held } = madeOf(made, name);
      if (output.type === 'string') return { kind: 'Failed', why: `output '${name}' has texts, which cannot be kept` };
      next.set(input, { feed: cut(output), held });
    }
    const all = new Map([...state.tensors, ...next]);
    const bytes = [...all.values()].reduce((sum, { feed }) => sum + shapeBytes(feed), 0);
    if (bytes > state.maxBytes)
      return { kind: 'Refused', why: `the state of the sequence has ${bytes} bytes; its limit is ${state.maxBytes}` };
    const outputs = step.outputs.map((name): WireTensor => {
      const { output } = madeOf(made, name);
      if (output.type === 'string') return request.wire(name, output);
      const rows = cut(output);
      return request.put(name, rows, rows.address);
    });
    for (const [input, kept] of next) {
      const before = state.tensors.get(input);
      if (before !== undefined) dropInto(left, before);
      kept.held.holders.add(kept);
      state.tensors.set(input, kept);
    }
    return { kind: 'Done', outputs };
  }

  #bytesOf(id: number): number {
    return [...(this.#states.get(id)?.tensors.values() ?? [])].reduce((sum, { feed }) => sum + shapeBytes(feed), 0);
  }
}

function madeOf(made: Made, name: string): { readonly output: NativeOutput; readonly held: Held } {
  const found = made.get(name);
  if (found === undefined) throw new Error(`output '${name}' was not produced`);
  return found;
}

function wholeFeed(request: NativeRequest, output: NativeOutput): Feed {
  const isEmpty = shapeBytes(output) === 0;
  return { type: output.type, dims: output.dims, address: isEmpty ? 0n : request.dataOf(output) };
}

/** For each step of a joint run, its rows of an output. */
function cutsOf(request: NativeRequest, rows: readonly number[]): readonly Cut[] {
  let from = 0;
  return rows.map((count) => {
    const begin = from;
    from += count;
    return (output) => feedRows(wholeFeed(request, output), begin, count);
  });
}

/** A sequence does not use this memory any more. Others may. */
function dropInto(left: Set<Held>, kept: Kept): void {
  kept.held.drop(kept);
  if (kept.held.holders.size > 0) left.add(kept.held);
}

/**
 * Copies the rows of memory that some of its sequences have left. Memory that all its sequences still use together is
 * not copied.
 */
function separate(left: ReadonlySet<Held>): void {
  for (const held of left) {
    const kepts = [...held.holders];
    for (const kept of kepts) {
      const bytes = shapeBytes(kept.feed);
      const address = allocateBlock(bytes);
      copyBytes(kept.feed.address, address, bytes);
      const own = new Held(() => freeBlock(address, bytes));
      own.holders.add(kept);
      held.drop(kept);
      Object.assign(kept, { feed: { ...kept.feed, address }, held: own });
    }
  }
}

/** The names of all outputs that a step returns or keeps, without duplicates. */
function namesOf(step: WireStep): readonly string[] {
  return [...new Set([...step.outputs, ...Object.keys(step.keep)])];
}

/** The number of rows, if all feeds have the same and none has texts. */
function rowsOfFeeds(feeds: Feeds): number | undefined {
  const rows = new Set([...feeds.values()].map(({ dims, texts }) => (texts === undefined ? dims[0] : undefined)));
  return rows.size === 1 ? [...rows][0] : undefined;
}

/** A text of what all steps of a joint run must have in common: names, types, and dimensions except the first. */
function restOfFeeds(feeds: Feeds): string {
  return [...feeds]
    .map(([name, { type, dims }]) => JSON.stringify([name, type, dims.slice(1)]))
    .sort((a, b) => (a < b ? -1 : 1))
    .join();
}

/**
 * The rows of one input of all steps, one after the other: where they are, if they already lie so, or copied.
 * @param blocks receives the memory to free after the run
 */
function joinFeeds(all: readonly Feeds[], name: string, blocks: [Address, number][]): Feed {
  const feeds = all.map((feeds) => feeds.get(name) as Feed);
  const [first] = feeds as [Feed];
  const dims = [feeds.reduce((sum, feed) => sum + (feed.dims[0] ?? 0), 0), ...first.dims.slice(1)];
  const sizes = feeds.map(shapeBytes);
  let end = first.address;
  const adjoin = feeds.every(({ address }, index) => {
    const follows = address === end;
    end = address + BigInt(sizes[index] ?? 0);
    return follows;
  });
  const joint = { type: first.type, dims };
  if (adjoin) return { ...joint, address: first.address };
  const bytes = shapeBytes(joint);
  const address = allocateBlock(bytes);
  blocks.push([address, bytes]);
  let to = address;
  for (const [index, feed] of feeds.entries()) {
    copyBytes(feed.address, to, sizes[index] ?? 0);
    to += BigInt(sizes[index] ?? 0);
  }
  return { ...joint, address };
}
