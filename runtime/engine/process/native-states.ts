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
import type { WirePart, WireResult, WireStep, WireTensor } from './messages.ts';
import { bytesOfShape, feedRows, type Feed, type Feeds, type LaneWriter, type NativeOutput } from './native-runs.ts';
import type { NativeRuns } from './native-runs.ts';

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

export class NativeStates {
  readonly #runs: NativeRuns;
  readonly #states = new Map<number, State>();

  constructor(runs: NativeRuns) {
    this.#runs = runs;
  }

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
  async step(id: number, steps: readonly WireStep[], writer: LaneWriter): Promise<WireResult> {
    const began = performance.now();
    const feeds = steps.map((step) => this.#feedsOf(step, writer));
    const left = new Set<Held>();
    const joined = steps.length > 1 ? await this.#together(id, steps, feeds, writer, left) : undefined;
    const parts: WirePart[] = [...(joined ?? [])];
    if (joined === undefined)
      for (const [index, step] of steps.entries())
        parts.push(await this.#alone(id, step, feeds[index] ?? new Map<string, Feed>(), writer, left));
    separate(left);
    return {
      parts,
      inferMs: performance.now() - began,
      together: joined !== undefined || steps.length === 1,
      stateBytes: steps.map((step) => this.#bytesOf(step.id)),
    };
  }

  #feedsOf(step: WireStep, writer: LaneWriter): Feeds {
    const state = this.#states.get(step.id);
    if (state === undefined) throw new Error(`sequence ${step.id} is not open in this process`);
    return new Map([...[...state.tensors].map(([name, { feed }]) => [name, feed] as const), ...writer.feedsOf(step.inputs)]);
  }

  async #alone(id: number, step: WireStep, feeds: Feeds, writer: LaneWriter, left: Set<Held>): Promise<WirePart> {
    try {
      const outputs = await this.#runs.once(id, feeds, namesOf(step));
      const whole: Cut = (output) => ({ ...output, address: this.#runs.dataOf(output) });
      return this.#store([step], outputs, [whole], writer, left)[0] as WirePart;
    } catch (error) {
      return failedPart(error) as WirePart;
    }
  }

  /** @returns undefined when the steps cannot be joined, or the joint run failed */
  async #together(
    id: number,
    steps: readonly WireStep[],
    feeds: readonly Feeds[],
    writer: LaneWriter,
    left: Set<Held>,
  ): Promise<readonly WirePart[] | undefined> {
    const rows = feeds.map(rowsOfFeeds);
    if (new Set(steps.map((step) => namesOf(step).join('\0'))).size > 1) return undefined;
    if (!rows.every((count) => count !== undefined) || new Set(feeds.map(restOfFeeds)).size > 1) return undefined;
    const blocks: [Address, number][] = [];
    try {
      const joint = new Map([...(feeds[0] as Feeds).keys()].map((name) => [name, joinFeeds(feeds, name, blocks)] as const));
      const outputs = await this.#runs.once(id, joint, namesOf(steps[0] as WireStep));
      const total = rows.reduce((sum, count) => sum + count, 0);
      if ([...outputs.values()].some(({ dims, type }) => dims[0] !== total || type === 'string')) {
        for (const output of outputs.values()) this.#runs.release(output);
        return undefined;
      }
      let from = 0;
      const cuts = rows.map((count): Cut => {
        const begin = from;
        from += count;
        return (output) => feedRows({ ...output, address: this.#runs.dataOf(output) }, begin, count);
      });
      return this.#store(steps, outputs, cuts, writer, left);
    } catch {
      return undefined;
    } finally {
      for (const [address, bytes] of blocks) freeBlock(address, bytes);
    }
  }

  /** Returns and keeps the outputs of a run, in the order of its steps. Releases what no sequence keeps. */
  #store(
    steps: readonly WireStep[],
    outputs: Outputs,
    cuts: readonly Cut[],
    writer: LaneWriter,
    left: Set<Held>,
  ): readonly WirePart[] {
    const held = new Map(
      [...outputs].map(([name, output]) => [name, new Held(() => this.#runs.release(output))] as const),
    );
    const parts = steps.map((step, index) => {
      const cut = cuts[index] as Cut;
      try {
        return this.#storeOne(step, outputs, cut, held, writer, left);
      } catch (error) {
        return failedPart(error) as WirePart;
      }
    });
    for (const [name, memory] of held)
      if (memory.holders.size === 0) this.#runs.release(outputs.get(name) as NativeOutput);
      else if (memory.holders.size < steps.length) left.add(memory);
    return parts;
  }

  #storeOne(
    step: WireStep,
    outputs: Outputs,
    cut: Cut,
    held: ReadonlyMap<string, Held>,
    writer: LaneWriter,
    left: Set<Held>,
  ): WirePart {
    const state = this.#states.get(step.id);
    if (state === undefined) return { kind: 'Failed', why: `sequence ${step.id} was closed during the step` };
    const next = new Map<string, Kept>();
    for (const [name, input] of Object.entries(step.keep)) {
      const output = outputs.get(name) as NativeOutput;
      if (output.type === 'string') return { kind: 'Failed', why: `output '${name}' has texts, which cannot be kept` };
      next.set(input, { feed: cut(output), held: held.get(name) as Held });
    }
    const all = new Map([...state.tensors, ...next]);
    const bytes = [...all.values()].reduce((sum, { feed }) => sum + bytesOfShape(feed), 0);
    if (bytes > state.maxBytes)
      return { kind: 'Refused', why: `the state of the sequence has ${bytes} bytes; its limit is ${state.maxBytes}` };
    const returned = step.outputs.map((name) => this.#returned(name, outputs.get(name) as NativeOutput, cut, writer));
    for (const [input, kept] of next) {
      const before = state.tensors.get(input);
      if (before !== undefined) dropInto(left, before);
      kept.held.holders.add(kept);
      state.tensors.set(input, kept);
    }
    return { kind: 'Done', outputs: returned };
  }

  #returned(name: string, output: NativeOutput, cut: Cut, writer: LaneWriter): WireTensor {
    if (output.type === 'string') return this.#runs.wire(writer, name, output);
    const rows = cut(output);
    return writer.put(name, rows, rows.address);
  }

  #bytesOf(id: number): number {
    return [...(this.#states.get(id)?.tensors.values() ?? [])].reduce((sum, { feed }) => sum + bytesOfShape(feed), 0);
  }
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
      const bytes = bytesOfShape(kept.feed);
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
  const sizes = feeds.map(bytesOfShape);
  let end = first.address;
  const adjoin = feeds.every(({ address }, index) => {
    const follows = address === end;
    end = address + BigInt(sizes[index] ?? 0);
    return follows;
  });
  const joint = { type: first.type, dims };
  if (adjoin) return { ...joint, address: first.address };
  const bytes = bytesOfShape(joint);
  const address = allocateBlock(bytes);
  blocks.push([address, bytes]);
  let to = address;
  for (const [index, feed] of feeds.entries()) {
    copyBytes(feed.address, to, sizes[index] ?? 0);
    to += BigInt(sizes[index] ?? 0);
  }
  return { ...joint, address };
}
