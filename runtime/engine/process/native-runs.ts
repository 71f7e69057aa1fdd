/**
 * Runs of the engine process on native memory: inputs in a lane or in kept state, outputs copied to the lane.
 *
 * Owns:   the life of the values of a run, the rule that a request alone tells whose fault a failed batch is, and
 *         cancelling.
 * Limits: several runs may be in progress, each on a thread of its own.
 */
import { NativeSession, RunOptions, type OrtEnvironment } from '../capi/session.ts';
import { copyBytes, growLane, type Lane } from '../capi/shared-memory.ts';
import type { Address } from '../capi/library.ts';
import type { ValueShape } from '../capi/values.ts';
import { failedPart } from '../rows.ts';
import { bytesPerElement, elementCount, type TensorType } from '../tensor.ts';
import { alignedByte } from './lane.ts';
import type { EngineWork, WirePart, WireResult, WireTensor } from './messages.ts';

/** An input of a run: numbers in native memory, or texts. */
export type Feed = ValueShape & { readonly address: Address; readonly texts?: readonly string[] };
export type Feeds = ReadonlyMap<string, Feed>;

/** Values that live longer than a run, by the names of inputs (`past`) and outputs (`present`). */
export type KeptValues = { readonly past: ReadonlyMap<string, Address>; readonly present: ReadonlyMap<string, Address> };

/** An output of a run. Whoever has it releases it. */
export type NativeOutput = ValueShape & { readonly value: Address };

export function bytesOfShape({ type, dims }: { readonly type: TensorType; readonly dims: readonly number[] }): number {
  return elementCount(dims) * (bytesPerElement(type) ?? 0);
}

/** The lane of one request, and the next free byte in it. */
export class LaneWriter {
  readonly #lane: Lane;
  #end: number;

  /** @param end the first byte behind the inputs */
  constructor(lane: Lane, end: number) {
    this.#lane = lane;
    this.#end = end;
  }

  feedsOf(tensors: readonly WireTensor[]): Feeds {
    const { address } = this.#lane;
    return new Map(
      tensors.map(({ name, type, dims, at, texts }) => [
        name,
        { type, dims, address: address + BigInt(at), ...(texts === undefined ? {} : { texts }) },
      ]),
    );
  }

  /** Copies numbers into the lane. @throws Error when the lane is full */
  put(name: string, shape: ValueShape, from: Address): WireTensor {
    const at = alignedByte(this.#end);
    const bytes = bytesOfShape(shape);
    growLane(this.#lane, at + bytes);
    copyBytes(from, this.#lane.address + BigInt(at), bytes);
    this.#end = at + bytes;
    return { name, type: shape.type, dims: shape.dims, at };
  }
}

export class NativeRuns {
  readonly #environment: OrtEnvironment;
  readonly #session: NativeSession;
  /** The requests in progress, by their ids. */
  readonly #active = new Map<number, { cancelled: boolean; options: RunOptions | undefined }>();
  #shrink = false;

  constructor(environment: OrtEnvironment, session: NativeSession) {
    this.#environment = environment;
    this.#session = session;
  }

  /** Call this when a request begins. */
  begin(id: number): void {
    this.#active.set(id, { cancelled: false, options: undefined });
  }

  /** Ends the run of this request before its next node, and does not begin another one. */
  cancel(id: number): void {
    const request = this.#active.get(id);
    if (request === undefined) return;
    request.cancelled = true;
    request.options?.terminate();
  }

  /** Call this when the request is answered. */
  end(id: number): void {
    this.#active.delete(id);
  }

  /** The next run frees the unused memory of the arena when it ends. */
  shrinkNext(): void {
    this.#shrink = true;
  }

  /**
   * One run of the model.
   * @param kept values of the caller: inputs in addition to `feeds`, and outputs that are written in place
   * @returns the outputs that were not written in place
   * @throws OrtError, or Error
   */
  async once(
    id: number,
    feeds: Feeds,
    outputs: readonly string[],
    kept: KeptValues = { past: new Map(), present: new Map() },
  ): Promise<ReadonlyMap<string, NativeOutput>> {
    const { ort, values } = this.#environment;
    const { past, present } = kept;
    const own = new Map<string, Address>();
    const options = new RunOptions(ort, { shrink: this.#shrink });
    this.#shrink = false;
    const request = this.#active.get(id);
    if (request !== undefined) request.options = options;
    if (request?.cancelled === true) options.terminate();
    try {
      for (const [name, feed] of feeds) own.set(name, this.#valueOf(feed));
      const wanted = new Map<string, Address | null>([...outputs.map((name) => [name, null] as const), ...present]);
      const results = await this.#session.run(new Map([...own, ...past]), wanted, options);
      const made = [...wanted.keys()].flatMap((name, index) =>
        present.has(name) ? [] : ([[name, results[index] as Address]] as const),
      );
      return this.#shaped(made);
    } finally {
      for (const value of own.values()) values.release(value);
      if (request !== undefined) request.options = undefined;
      options.release();
    }
  }

  /** Copies an output to the lane. Does not release it. */
  wire(writer: LaneWriter, name: string, output: NativeOutput): WireTensor {
    const { values } = this.#environment;
    const { type, dims, value } = output;
    if (type !== 'string') return writer.put(name, output, bytesOfShape(output) === 0 ? 0n : values.dataOf(value));
    return { name, type, dims, at: 0, texts: values.stringsOf(value, elementCount(dims)) };
  }

  /** The address of the numbers of an output. */
  dataOf({ value }: NativeOutput): Address {
    return this.#environment.values.dataOf(value);
  }

  release(output: NativeOutput): void {
    this.#environment.values.release(output.value);
  }

  /** Runs a batch: the joined rows of all requests, or one request after the other. */
  async batch(id: number, work: EngineWork & { kind: 'run' }, writer: LaneWriter): Promise<WireResult> {
    const began = performance.now();
    const { sets, rows = [], outputs } = work;
    const joined = sets.length === 1 ? writer.feedsOf(sets[0] ?? []) : undefined;
    if (joined !== undefined && rows.length > 1) {
      const whole = await this.#together(id, joined, rows, outputs, writer);
      const inferMs = performance.now() - began;
      if (whole !== undefined) return { whole, parts: [], inferMs, together: true };
    }
    const apart = rows.length > 1 && joined !== undefined ? cutFeeds(joined, rows) : sets.map((set) => writer.feedsOf(set));
    const parts: WirePart[] = [];
    for (const feeds of apart) parts.push(await this.#alone(id, feeds, outputs, writer));
    return { parts, inferMs: performance.now() - began, together: parts.length === 1 };
  }

  async #together(
    id: number,
    feeds: Feeds,
    rows: readonly number[],
    outputs: readonly string[],
    writer: LaneWriter,
  ): Promise<readonly WireTensor[] | undefined> {
    const total = rows.reduce((sum, count) => sum + count, 0);
    try {
      const made = await this.once(id, feeds, outputs);
      try {
        const splits = [...made.values()].every(({ dims }) => dims[0] === total);
        return splits ? [...made].map(([name, output]) => this.wire(writer, name, output)) : undefined;
      } finally {
        for (const output of made.values()) this.release(output);
      }
    } catch (error) {
      if (this.#active.get(id)?.cancelled === true) throw error;
      return undefined;
    }
  }

  async #alone(id: number, feeds: Feeds, outputs: readonly string[], writer: LaneWriter): Promise<WirePart> {
    try {
      const made = await this.once(id, feeds, outputs);
      try {
        return { kind: 'Done', outputs: [...made].map(([name, output]) => this.wire(writer, name, output)) };
      } finally {
        for (const output of made.values()) this.release(output);
      }
    } catch (error) {
      if (this.#active.get(id)?.cancelled === true) throw error;
      return failedPart(error) as WirePart;
    }
  }

  #valueOf({ texts, ...feed }: Feed): Address {
    const { values } = this.#environment;
    return texts === undefined ? values.over(feed.address, feed) : values.ofStrings(feed.dims, texts);
  }

  /** Reads the shapes of outputs. Releases them all when one of them is not a tensor. */
  #shaped(made: readonly (readonly [string, Address])[]): ReadonlyMap<string, NativeOutput> {
    const { values } = this.#environment;
    try {
      return new Map(made.map(([name, value]) => [name, { ...values.shapeOf(value), value }]));
    } catch (error) {
      for (const [, value] of made) values.release(value);
      throw error;
    }
  }
}

/** The feeds of each request of a batch, in place. */
function cutFeeds(feeds: Feeds, rows: readonly number[]): readonly Feeds[] {
  let row = 0;
  return rows.map((count) => {
    const own = new Map([...feeds].map(([name, feed]) => [name, feedRows(feed, row, count)] as const));
    row += count;
    return own;
  });
}

/** `count` rows of a feed of numbers, beginning at row `from`, in place. */
export function feedRows({ type, dims, address }: Feed, from: number, count: number): Feed {
  const rest = dims.slice(1);
  const rowBytes = bytesOfShape({ type, dims: rest });
  return { type, dims: [count, ...rest], address: address + BigInt(from * rowBytes) };
}
