/**
 * The server's side of a lane: memory in which tensors cross to and from an engine process.
 *
 * Owns:   the places of inputs in the lane, and the tensors that are made of outputs. The server reads and writes the
 *         lane as a file, so a process that ends cannot take the server's memory away.
 * Limits: more than `blockingBytes` are read and written outside the event loop. Memory over `keptBytes` is freed after
 *         each request.
 */
import { closeSync, ftruncateSync, openSync, read, readSync, writev, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { AppError } from '../../../api/errors.ts';
import {
  arrayOf,
  bytesPerElement,
  elementCount,
  makeTensor,
  shapeBytes,
  type NamedTensors,
  type Tensor,
} from '../tensor.ts';
import type { WireTensor } from './messages.ts';

/** Size of a lane's address range in the engine process. Only bytes that were written take memory. */
export const maxLaneBytes = 4 * 2 ** 30;
const blockingBytes = 2 ** 20;
const keptBytes = 16 * 2 ** 20;
/** Of tensors in a lane, in bytes: a line of the CPU's cache, which is also enough for every element type. */
const alignment = 64;
/** Most buffers of one writev (IOV_MAX). */
const maxBuffers = 1024;

const readAsync = promisify(read);
const writevAsync = promisify(writev);
const nothing = new Uint8Array(alignment);

export function alignedByte(byte: number): number {
  return Math.ceil(byte / alignment) * alignment;
}

/** Where tensors lie in a lane. Make the places of all inputs first, then write them at once. */
export class LanePlaces {
  readonly buffers: Uint8Array[] = [];
  end = 0;

  /**
   * @param pieces tensors whose rows lie one after the other; they make one tensor with `dims`
   * @throws TypeError when a tensor has another number of elements than its shape, such as after its buffer was
   *   transferred
   */
  place(name: string, dims: readonly number[], pieces: readonly Tensor[]): WireTensor {
    const [{ type } = { type: 'uint8' as const }] = pieces;
    if (type === 'string') {
      const texts = pieces.flatMap(({ data }) => data as readonly string[]);
      checkLength(name, dims, texts.length);
      return { name, type, dims, at: 0, texts };
    }
    const at = alignedByte(this.end);
    if (at > this.end) this.buffers.push(nothing.subarray(0, at - this.end));
    this.end = at;
    for (const { data } of pieces) {
      const { buffer, byteOffset, byteLength } = data as Uint8Array;
      if (byteLength > 0) this.buffers.push(new Uint8Array(buffer, byteOffset, byteLength));
      this.end += byteLength;
    }
    checkLength(name, dims, (this.end - at) / (bytesPerElement(type) ?? 1));
    return { name, type, dims, at };
  }

  placeAll(tensors: NamedTensors): readonly WireTensor[] {
    return Object.keys(tensors).map((name) => {
      const tensor = tensors[name] as Tensor;
      return this.place(name, tensor.dims, [tensor]);
    });
  }
}

export class ServerLane {
  readonly #file: number;
  #used = 0;

  /** @throws the error of opening the file */
  constructor(pid: number, descriptor: number) {
    this.#file = openSync(`/proc/${pid}/fd/${descriptor}`, 'r+');
  }

  /**
   * @returns a promise when the write runs outside the event loop
   * @throws AppError REQUEST_TOO_LARGE when the inputs do not fit in a lane
   */
  write({ buffers, end }: LanePlaces): Promise<void> | undefined {
    if (end > maxLaneBytes)
      throw new AppError('REQUEST_TOO_LARGE', { what: `the inputs need ${end} bytes`, limit: maxLaneBytes });
    this.#used = end;
    if (end > blockingBytes) return this.#writeAsync(buffers);
    let at = 0;
    for (let first = 0; first < buffers.length; first += maxBuffers)
      at += writevSync(this.#file, buffers.slice(first, first + maxBuffers), at);
    if (at !== end) throw new Error(`only ${at} of ${end} bytes were written to the lane`);
    return undefined;
  }

  async #writeAsync(buffers: readonly Uint8Array[]): Promise<void> {
    let at = 0;
    for (const buffer of buffers) {
      let rest = buffer;
      while (rest.length > 0) {
        const { bytesWritten } = await writevAsync(this.#file, [rest], at);
        at += bytesWritten;
        rest = rest.subarray(bytesWritten);
      }
    }
  }

  /** The tensors, as views of one new buffer for each list. */
  async read(lists: readonly (readonly WireTensor[])[]): Promise<readonly NamedTensors[]> {
    const results: NamedTensors[] = [];
    for (const tensors of lists) results.push(await this.#readList(tensors));
    return results;
  }

  async #readList(tensors: readonly WireTensor[]): Promise<NamedTensors> {
    const numeric = tensors.filter(({ texts }) => texts === undefined);
    const from = numeric.reduce((least, { at }) => Math.min(least, at), Infinity);
    const to = numeric.reduce((most, tensor) => Math.max(most, tensor.at + shapeBytes(tensor)), 0);
    const bytes = new Uint8Array(Math.max(0, to - from));
    this.#used = Math.max(this.#used, to);
    for (let done = 0; done < bytes.length;) {
      const place = { offset: done, length: bytes.length - done, position: from + done };
      const count =
        bytes.length > blockingBytes
          ? (await readAsync(this.#file, bytes, place.offset, place.length, place.position)).bytesRead
          : readSync(this.#file, bytes, place);
      if (count === 0) throw new Error('the lane ends before the outputs');
      done += count;
    }
    return Object.fromEntries(tensors.map((tensor) => [tensor.name, tensorOf(tensor, bytes, from)]));
  }

  /** Call this when a request is answered. Frees the memory of a large request. */
  settle(): void {
    if (this.#used > keptBytes) ftruncateSync(this.#file, keptBytes);
    this.#used = 0;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function tensorOf({ type, dims, at, texts }: WireTensor, bytes: Uint8Array<ArrayBuffer>, from: number): Tensor {
  if (type === 'string') return makeTensor(type, dims, texts ?? []);
  return makeTensor(type, dims, new arrayOf[type](bytes.buffer, at - from, elementCount(dims)));
}

function checkLength(name: string, dims: readonly number[], length: number): void {
  if (length !== elementCount(dims))
    throw new TypeError(
      `tensor '${name}' has ${length} elements; its shape [${dims.join()}] needs ${elementCount(dims)}`,
    );
}
