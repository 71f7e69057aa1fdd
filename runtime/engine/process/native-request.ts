/**
 * One request in the engine process: its lane, its runs of the model on native memory, and cancelling.
 *
 * Owns:   the life of the values of a run, and the places of outputs in the lane.
 * Limits: requests of several lanes may be in progress, each with one run at a time on a thread of its own.
 */
import { RunOptions, type NativeSession, type OrtEnvironment } from '../capi/session.ts';
import { copyBytes, growLane, type Lane } from '../capi/shared-memory.ts';
import type { Address } from '../capi/library.ts';
import type { ValueShape } from '../capi/values.ts';
import { elementCount, shapeBytes } from '../tensor.ts';
import { alignedByte } from './lane.ts';
import type { WireTensor } from './messages.ts';

/** An input of a run: numbers in native memory, or texts. */
export type Feed = ValueShape & { readonly address: Address; readonly texts?: readonly string[] };
export type Feeds = ReadonlyMap<string, Feed>;

/** Values that live longer than a run, by the names of inputs (`past`) and outputs (`present`). */
export type KeptValues = {
  readonly past: ReadonlyMap<string, Address>;
  readonly present: ReadonlyMap<string, Address>;
};

/** An output of a run. It must be released. */
export type NativeOutput = ValueShape & { readonly value: Address };

/** The session that all requests use. */
export type NativeModel = { readonly environment: OrtEnvironment; readonly session: NativeSession };

export class NativeRequest {
  readonly #model: NativeModel;
  readonly #lane: Lane;
  /** The first byte behind what is in the lane. */
  #end: number;
  #options: RunOptions | undefined;
  #shrink: boolean;
  isCancelled = false;

  /**
   * @param end the first byte behind the inputs in the lane
   * @param shrink whether the next run frees the unused memory of the arena when it ends
   */
  constructor(model: NativeModel, lane: Lane, { end, shrink }: { readonly end: number; readonly shrink: boolean }) {
    this.#model = model;
    this.#lane = lane;
    this.#end = end;
    this.#shrink = shrink;
  }

  /** Ends the run in progress before its next node. Later runs of the request end at once. */
  cancel(): void {
    this.isCancelled = true;
    this.#options?.terminate();
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

  /**
   * One run of the model.
   * @param kept values of the caller: inputs in addition to `feeds`, and outputs that are written in place
   * @returns the outputs that were not written in place
   * @throws OrtError, or Error
   */
  async once(
    feeds: Feeds,
    outputs: readonly string[],
    { past, present }: KeptValues = { past: new Map(), present: new Map() },
  ): Promise<ReadonlyMap<string, NativeOutput>> {
    const { environment, session } = this.#model;
    const own = new Map<string, Address>();
    const options = new RunOptions(environment.ort, { shrink: this.#shrink });
    this.#shrink = false;
    this.#options = options;
    if (this.isCancelled) options.terminate();
    try {
      for (const [name, feed] of feeds) own.set(name, this.#valueOf(feed));
      const wanted = new Map<string, Address | null>([...outputs.map((name) => [name, null] as const), ...present]);
      const results = await session.run(new Map([...own, ...past]), wanted, options);
      const made = [...wanted.keys()].flatMap((name, index) =>
        present.has(name) ? [] : ([[name, results[index] as Address]] as const),
      );
      return this.#shaped(made);
    } finally {
      for (const value of own.values()) environment.values.release(value);
      this.#options = undefined;
      options.release();
    }
  }

  /** Copies numbers into the lane. @throws Error when the lane is full */
  put(name: string, { type, dims }: ValueShape, from: Address): WireTensor {
    const at = alignedByte(this.#end);
    const bytes = shapeBytes({ type, dims });
    growLane(this.#lane, at + bytes);
    copyBytes(from, this.#lane.address + BigInt(at), bytes);
    this.#end = at + bytes;
    return { name, type, dims, at };
  }

  /** Copies an output to the lane. Does not release it. */
  wire(name: string, output: NativeOutput): WireTensor {
    const { type, dims, value } = output;
    if (type !== 'string') return this.put(name, output, shapeBytes(output) === 0 ? 0n : this.dataOf(output));
    return { name, type, dims, at: 0, texts: this.#model.environment.values.stringsOf(value, elementCount(dims)) };
  }

  /** Copies outputs to the lane, and releases them. */
  wireAll(outputs: ReadonlyMap<string, NativeOutput>): readonly WireTensor[] {
    try {
      return [...outputs].map(([name, output]) => this.wire(name, output));
    } finally {
      for (const output of outputs.values()) this.release(output);
    }
  }

  /** The address of the numbers of an output. */
  dataOf({ value }: NativeOutput): Address {
    return this.#model.environment.values.dataOf(value);
  }

  release({ value }: NativeOutput): void {
    this.#model.environment.values.release(value);
  }

  #valueOf({ texts, ...feed }: Feed): Address {
    const { values } = this.#model.environment;
    return texts === undefined ? values.over(feed.address, feed) : values.ofStrings(feed.dims, texts);
  }

  /** Reads the shapes of outputs. Releases them all when one of them is not a tensor. */
  #shaped(made: readonly (readonly [string, Address])[]): ReadonlyMap<string, NativeOutput> {
    const { values } = this.#model.environment;
    try {
      return new Map(made.map(([name, value]) => [name, { ...values.shapeOf(value), value }]));
    } catch (error) {
      for (const [, value] of made) values.release(value);
      throw error;
    }
  }
}

/** `count` rows of a feed of numbers, beginning at row `from`, in place. */
export function feedRows({ type, dims, address }: Feed, from: number, count: number): Feed {
  const rest = dims.slice(1);
  const rowBytes = shapeBytes({ type, dims: rest });
  return { type, dims: [count, ...rest], address: address + BigInt(from * rowBytes) };
}
