/**
 * Parses and writes frames of SPDY/3.1: only the kinds that kubectl sends to forward ports. Pure.
 * Limits: frames of 1 MiB; Go's client sends at most 32 KiB of data in one frame.
 */

export type Frame =
  | { readonly kind: 'data'; readonly stream: number; readonly isLast: boolean; readonly bytes: Buffer }
  /** A new stream, with its compressed headers. */
  | { readonly kind: 'open'; readonly stream: number; readonly isLast: boolean; readonly block: Buffer }
  /** The stream ends at once, in both directions. */
  | { readonly kind: 'reset'; readonly stream: number }
  | { readonly kind: 'ping'; readonly bytes: Buffer }
  /** Settings and window updates, which need no answer. */
  | { readonly kind: 'other' };

const headBytes = 8;
const maxFrameBytes = 1024 * 1024;
const lastFlag = 0x01;
const controlBit = 0x80000000;
const types = { open: 1, reply: 2, reset: 3, ping: 6 } as const;
const version = 3;

export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Returns the frames that these bytes complete.
   * @throws Error for a broken or too large frame
   */
  *push(bytes: Buffer): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= headBytes) {
      const size = this.#rest.readUInt32BE(4) & 0xffffff;
      if (size > maxFrameBytes) throw new Error('a SPDY frame is too large');
      if (this.#rest.length < headBytes + size) return;
      const frame = frameOf(
        this.#rest.readUInt32BE(0),
        this.#rest.readUInt8(4),
        this.#rest.subarray(headBytes, headBytes + size),
      );
      this.#rest = this.#rest.subarray(headBytes + size);
      yield frame;
    }
  }
}

function frameOf(first: number, flags: number, payload: Buffer): Frame {
  const isLast = (flags & lastFlag) !== 0;
  if (first < controlBit) return { kind: 'data', stream: first, isLast, bytes: payload };
  if (((first >>> 16) & 0x7fff) !== version) throw new Error('a SPDY frame has another version');
  switch (first & 0xffff) {
    case types.open:
      // The first ten bytes are the stream id, the associated stream, the priority and the slot.
      return { kind: 'open', stream: payload.readUInt32BE(0), isLast, block: payload.subarray(10) };
    case types.reset:
      return { kind: 'reset', stream: payload.readUInt32BE(0) };
    case types.ping:
      return { kind: 'ping', bytes: payload };
    default:
      return { kind: 'other' };
  }
}

function withHead(first: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(first);
  head.writeUInt32BE(flags * 0x1000000 + payload.byteLength, 4);
  return Buffer.concat([head, payload]);
}

const control = (type: number): number => controlBit + version * 0x10000 + type;

/** @param bytes fewer than 16 MiB */
export function dataFrame(stream: number, bytes: Uint8Array, isLast: boolean): Buffer {
  return withHead(stream, isLast ? lastFlag : 0, bytes);
}

export function replyFrame(stream: number, block: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(stream);
  return withHead(control(types.reply), 0, Buffer.concat([head, block]));
}

export function pingFrame(bytes: Uint8Array): Buffer {
  return withHead(control(types.ping), 0, bytes);
}
