/**
 * Bytes of one connection that wait: a part of a request, or what a client sends before it has its answer.
 *
 * Owns:   the bytes and their memory charge. Of a request of known length, all bytes lie in one buffer, whose unused
 *         end takes no memory: the kernel provides a page when it is written.
 * Limits: the caller limits the number of bytes. `mostPieces` for bytes of unknown length, because each piece costs
 *         memory that is not charged.
 */
import { freeBytes } from '../../../../lib/free-bytes.ts';
import type { BodyLease } from '../transfers.ts';

const mostPieces = 64;
/** The first size of the buffer of a request. It grows to the request's length. */
const firstBytes = 256 * 1024;

/** Bytes of a request in all, and how many bytes before them make its binary data begin at a multiple of 8. */
export type ExpectedBytes = { readonly bytes: number; readonly pad: number };

const noneExpected: ExpectedBytes = { bytes: 0, pad: 0 };

export class HeldBytes {
  readonly #makeLease: () => BodyLease;
  #pieces: Buffer[] = [];
  /** The bytes of a request so far, after `#pad` unused bytes; undefined while there is one piece. */
  #whole: Buffer | undefined;
  #pad = 0;
  #lease: BodyLease | undefined;
  #length = 0;

  constructor(makeLease: () => BodyLease) {
    this.#makeLease = makeLease;
  }

  get length(): number {
    return this.#length;
  }

  /** Keeps and charges bytes. @returns whether there is room for more */
  add(chunk: Buffer, expected?: ExpectedBytes): boolean {
    // A piece that was copied is freed, and has no length any more.
    const { length } = chunk;
    this.#keep(chunk, expected);
    this.#lease ??= this.#makeLease();
    try {
      this.#lease.grow(length);
    } catch {
      // The bytes are in memory all the same.
      this.#lease.take(length);
      return false;
    }
    return this.#pieces.length < mostPieces;
  }

  /** Takes what is held, and then `chunk`. The charge of what is held ends. @returns undefined when there is nothing */
  take(chunk?: Buffer, expected?: ExpectedBytes): Buffer | undefined {
    if (this.#length === 0) return chunk;
    if (chunk !== undefined) this.#keep(chunk, expected);
    const taken = this.#whole?.subarray(this.#pad, this.#pad + this.#length) ?? joined(this.#pieces);
    this.#pieces = [];
    this.#whole = undefined;
    this.#length = 0;
    this.#lease?.end();
    this.#lease = undefined;
    return taken;
  }

  #keep(chunk: Buffer, expected: ExpectedBytes | undefined): void {
    const { length } = chunk;
    if (this.#whole === undefined && (expected === undefined || this.#length === 0)) this.#pieces.push(chunk);
    else {
      const whole = this.#wholeOf(expected ?? noneExpected, chunk.length);
      whole.set(chunk, this.#pad + this.#length);
      freeBytes(chunk);
    }
    this.#length += length;
  }

  /** The buffer of a request, with room for so many bytes more. */
  #wholeOf({ bytes, pad }: ExpectedBytes, more: number): Buffer {
    const whole = this.#whole;
    if (whole === undefined) this.#pad = pad;
    const needed = this.#pad + this.#length + more;
    if (whole !== undefined && needed <= whole.length) return whole;
    const all = this.#pad + bytes;
    const room = Math.max(needed, whole === undefined ? Math.min(all, firstBytes) : all);
    // A buffer of its own: the engine may transfer it to another thread.
    const larger = Buffer.allocUnsafeSlow(room);
    const before = whole?.subarray(this.#pad, this.#pad + this.#length) ?? joined(this.#pieces);
    larger.set(before, this.#pad);
    freeBytes(whole ?? before);
    this.#pieces = [];
    this.#whole = larger;
    return larger;
  }
}

/** One buffer with all pieces. The pieces are freed unless there is one, which is returned. */
function joined(pieces: readonly Buffer[]): Buffer {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const whole = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    at += piece.copy(whole, at);
    freeBytes(piece);
  }
  return whole;
}
