/**
 * Memory that the pool shares with one worker: batches of few bytes and their results cross in it, without messages.
 *
 * Owns:   the layout of this memory. The pool copies the rows of a batch one after the other, so the worker runs them
 *         where they lie. The worker writes the outputs behind them.
 * Limits: `partBytes` of inputs and of outputs, `maxParts` requests. What does not fit crosses as a message.
 * Why:    a message with the buffers of eight requests costs both threads about 90 µs of CPU; this costs less than 10.
 */
import { leastFreedBytes } from '../../lib/free-bytes.ts';
import { layoutKey, layoutOf, type FlatLayout, type FlatTensor } from './flat-layout.ts';
import { shareOutputs } from './messages.ts';
import type { EngineBatch, EngineResult } from './port.ts';
import {
  elementCount,
  arrayOf,
  makeTensor,
  tensorRecord,
  type NamedTensors,
  type Tensor,
  type TypedData,
} from './tensor.ts';

/** Bytes for the inputs of a batch, and as many for its outputs. */
const partBytes = 256 * 1024;
const maxParts = 256;
const maxOutputs = 16;
const maxRank = 8;
/** Layouts that a worker remembers. The next layout replaces the oldest. */
const maxLayouts = 64;

/** Positions of the 32-bit words at the start of the memory. */
const at = {
  bell: 0,
  batch: 1,
  layout: 2,
  layoutBytes: 3,
  parts: 4,
  messages: 5,
  rows: 16,
  shapes: 16 + maxParts,
};
/** The largest number in a word. */
const maxWord = 2 ** 31 - 1;
/** Words of one output's shape: its type, its rank, its place and its dimensions. */
const shapeWords = 3 + maxRank;
const wordCount = at.shapes + maxOutputs * shapeWords;
const clockByte = Math.ceil((wordCount * 4) / 8) * 8;
const inputByte = clockByte + 8;
const outputByte = inputByte + partBytes;
export const mailboxBytes = outputByte + partBytes;

const types = Object.keys(arrayOf) as readonly (keyof typeof arrayOf)[];

/** The words and bytes of a mailbox, which both sides use. */
class Shared {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly time: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, wordCount);
    this.bytes = new Uint8Array(memory);
    this.time = new Float64Array(memory, clockByte, 1);
  }

  word(index: number): number {
    return this.words[index] as number;
  }
}

/** The pool's end of the mailbox. */
export class MailboxSender {
  readonly memory = new SharedArrayBuffer(mailboxBytes);
  readonly #shared = new Shared(this.memory);
  /** The layouts that the worker knows, by their keys; a layout's position is its number. */
  readonly #known = new Map<string, number>();
  #next = 0;
  #rows: readonly number[] = [];

  /**
   * Writes the batch and wakes the worker.
   * @returns false when the batch must cross as a message
   */
  send(batch: EngineBatch): boolean {
    const layout = layoutOf(batch);
    if (layout === undefined || layout.rows.length > maxParts || layout.rows.some((rows) => rows > maxWord))
      return false;
    const { words } = this.#shared;
    const from = this.#announce(layout, batch.outputs);
    if (from === undefined) return false;
    this.#copy(batch.parts, layout, from);
    // Remember the layout only after the copy, which throws for a transferred buffer: the worker then never gets the
    // layout.
    if (words[at.layoutBytes] !== 0) this.#remember(layoutKey(layout, batch.outputs));
    words[at.parts] = layout.rows.length;
    for (let part = 0; part < layout.rows.length; part += 1) words[at.rows + part] = layout.rows[part] as number;
    this.#rows = layout.rows;
    Atomics.store(words, at.batch, 1);
    this.#wake();
    return true;
  }

  /** Wakes the worker for a message that was posted. */
  ring(): void {
    Atomics.add(this.#shared.words, at.messages, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#shared.words, at.bell, 1);
    Atomics.notify(this.#shared.words, at.bell, 1);
  }

  #remember(key: string): void {
    for (const [other, number] of this.#known) if (number === this.#next) this.#known.delete(other);
    this.#known.set(key, this.#next);
    this.#next = (this.#next + 1) % maxLayouts;
  }

  /** The result that the worker wrote. Its outputs are views of one copy. */
  take(outputs: readonly string[]): EngineResult {
    const { bytes, time } = this.#shared;
    const shapes = outputs.map((_, index) => this.#shape(index));
    const end = shapes.reduce((most, { from, bytes: length }) => Math.max(most, from + length), outputByte);
    const copy = new Uint8Array(end - outputByte);
    copy.set(bytes.subarray(outputByte, end));
    const wholes = shapes.map(({ type, dims, from, bytes: length }) => {
      const view = arrayOf[type];
      return makeTensor(type, dims, new view(copy.buffer, from - outputByte, length / view.BYTES_PER_ELEMENT));
    });
    const parts = partsOf(outputs, wholes, this.#rows);
    // The outputs of many small requests are not worth counting.
    if (copy.length >= leastFreedBytes * this.#rows.length) shareOutputs(parts);
    return { parts, inferMs: time[0] as number, together: true };
  }

  /**
   * @returns where the inputs begin: behind the layout, if the worker does not know it yet; undefined when the batch
   *   does not fit
   */
  #announce(layout: FlatLayout, outputs: readonly string[]): number | undefined {
    const { words, bytes } = this.#shared;
    // Reserve 8 more bytes for each input, because each input begins at a multiple of 8 bytes.
    const room = partBytes - layout.bytes - 8 * layout.inputs.length;
    if (room < 0) return undefined;
    const key = layoutKey(layout, outputs);
    const known = this.#known.get(key);
    words[at.layoutBytes] = 0;
    words[at.layout] = known ?? this.#next;
    if (known !== undefined) return inputByte;
    const text = Buffer.from(JSON.stringify({ inputs: layout.inputs, outputs }));
    if (text.length > room) return undefined;
    bytes.set(text, inputByte);
    words[at.layoutBytes] = text.length;
    return inputByte + text.length;
  }

  #copy(parts: readonly NamedTensors[], { inputs }: FlatLayout, begin: number): void {
    const { bytes } = this.#shared;
    let to = begin;
    for (const { name } of inputs) {
      to = aligned(to);
      for (const part of parts) {
        const { buffer, byteOffset, byteLength } = (part[name] as Tensor).data as TypedData;
        bytes.set(new Uint8Array(buffer, byteOffset, byteLength), to);
        to += byteLength;
      }
    }
  }

  #shape(index: number): FlatTensor & { readonly from: number; readonly bytes: number } {
    const word = at.shapes + index * shapeWords;
    const type = types[this.#shared.word(word)] ?? 'uint8';
    const rank = this.#shared.word(word + 1);
    const dims = Array.from({ length: rank }, (_, axis) => this.#shared.word(word + 3 + axis));
    const from = this.#shared.word(word + 2);
    return { name: '', type, dims, from, bytes: elementCount(dims) * arrayOf[type].BYTES_PER_ELEMENT };
  }
}

function partsOf(
  outputs: readonly string[],
  wholes: readonly Tensor[],
  rows: readonly number[],
): EngineResult['parts'] {
  let row = 0;
  return rows.map((count) => {
    const pieces = outputs.map((name, index) => {
      const whole = wholes[index] as Tensor;
      return [name, rows.length === 1 ? whole : rowsFrom(whole, row, count)] as const;
    });
    row += count;
    return { kind: 'Done', outputs: Object.fromEntries(pieces) };
  });
}

function rowsFrom({ type, dims, data }: Tensor, row: number, count: number): Tensor {
  const width = data.length / Math.max(1, dims[0] as number);
  const own = dims.slice();
  own[0] = count;
  return makeTensor(type, own, (data as TypedData).subarray(row * width, (row + count) * width));
}

/** A batch in the mailbox. Its tensors are views of the shared memory. */
export type FlatBatch = {
  /** The inputs of all requests, joined. */
  readonly inputs: NamedTensors;
  readonly outputs: readonly string[];
  /** Rows of each request. The one entry of a single request is 0 when its inputs have different numbers of rows. */
  readonly rows: readonly number[];
};

type KnownLayout = Pick<FlatLayout, 'inputs'> & { readonly outputs: readonly string[] };

/** The worker's end of the mailbox. */
export class MailboxReceiver {
  readonly #shared: Shared;
  readonly #memory: SharedArrayBuffer;
  readonly #layouts: (KnownLayout | undefined)[] = [];
  /** The count of posted messages when the event loop last got a turn. */
  #messages = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.#shared = new Shared(memory);
  }

  /**
   * Blocks the thread until a batch or a message arrives. A message has precedence, so that steady batches cannot delay
   * it forever.
   * @returns `batch` for a batch; `else` when the pool rang for a message, or `mostMs` passed
   */
  wait(mostMs: number): 'batch' | 'else' {
    const { words } = this.#shared;
    const bell = Atomics.load(words, at.bell);
    if (!this.#hasMessage() && Atomics.load(words, at.batch) !== 1) Atomics.wait(words, at.bell, bell, mostMs);
    const messages = Atomics.load(words, at.messages);
    if (messages === this.#messages && Atomics.load(words, at.batch) === 1) return 'batch';
    this.#messages = messages;
    return 'else';
  }

  #hasMessage(): boolean {
    return Atomics.load(this.#shared.words, at.messages) !== this.#messages;
  }

  take(): FlatBatch {
    const { words, bytes } = this.#shared;
    Atomics.store(words, at.batch, 0);
    const number = words[at.layout] as number;
    const layoutBytes = words[at.layoutBytes] as number;
    if (layoutBytes > 0)
      this.#layouts[number] = JSON.parse(
        Buffer.from(bytes.slice(inputByte, inputByte + layoutBytes)).toString(),
      ) as KnownLayout;
    const layout = this.#layouts[number];
    if (layout === undefined) throw new Error(`the mailbox has no layout ${number}`);
    const rows = Array.from({ length: words[at.parts] as number }, (_, part) => words[at.rows + part] as number);
    return { inputs: this.#views(layout, rows, inputByte + layoutBytes), outputs: layout.outputs, rows };
  }

  #views({ inputs }: KnownLayout, rows: readonly number[], begin: number): NamedTensors {
    let total = 0;
    for (const count of rows) total += count;
    const tensors = tensorRecord();
    let from = begin;
    for (const { name, type, dims } of inputs) {
      from = aligned(from);
      const whole = dims.slice();
      // A layout has -1 in place of the number of rows.
      if (whole[0] === -1) whole[0] = total;
      const count = elementCount(whole);
      const view = arrayOf[type];
      tensors[name] = makeTensor(type, whole, new view(this.#memory as unknown as ArrayBuffer, from, count));
      from += count * view.BYTES_PER_ELEMENT;
    }
    return tensors;
  }

  /** Writes the outputs of a run into the mailbox. @returns false when they do not fit */
  put(
    outputs: readonly { readonly type: string; readonly dims: readonly number[]; readonly data: unknown }[],
    ms: number,
  ): boolean {
    const { words, bytes, time } = this.#shared;
    if (outputs.length > maxOutputs) return false;
    let to = outputByte;
    for (let index = 0; index < outputs.length; index += 1) {
      const { type, dims, data } = outputs[index] as (typeof outputs)[number];
      const word = at.shapes + index * shapeWords;
      to = aligned(to);
      const kind = types.indexOf(type as (typeof types)[number]);
      if (!ArrayBuffer.isView(data) || kind < 0 || dims.length > maxRank || dims.some((dim) => dim > maxWord))
        return false;
      // Refuse data whose length does not match its shape: the pool would read bytes that were not written.
      if (data.byteLength !== bytesOfShape(kind, dims) || to + data.byteLength > mailboxBytes) return false;
      words[word] = kind;
      words[word + 1] = dims.length;
      words[word + 2] = to;
      for (let axis = 0; axis < dims.length; axis += 1) words[word + 3 + axis] = dims[axis] as number;
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), to);
      to += data.byteLength;
    }
    time[0] = ms;
    return true;
  }
}

function bytesOfShape(kind: number, dims: readonly number[]): number {
  return elementCount(dims) * arrayOf[types[kind] ?? 'uint8'].BYTES_PER_ELEMENT;
}

/** The next multiple of 8, the size of the widest element. */
function aligned(byte: number): number {
  return Math.ceil(byte / 8) * 8;
}
