/**
 * Walks the fields of a protobuf message that lies in a file, without reading what it skips.
 *
 * Owns:   the wire format's reading side. A field is a number, or the place where its bytes lie; whoever wants
 *         them asks. So a file of any size is walked through one window of a few kilobytes.
 * Limits: no field reaches beyond its message; at most `maxFields` fields in all; text and bytes only as long as
 *         the caller allows. Anything else is a WireError, never an endless loop or an allocation by a length
 *         that was only claimed.
 * Source: protobuf.dev/programming-guides/encoding. Groups (wire types 3 and 4) are refused: ONNX has none.
 */

/** Bytes that can be read anywhere: a file, or a test's array. */
export interface RandomBytes {
  readonly sizeBytes: number;
  /** Fills `target` from `at`; both lie within the size. @throws when that many bytes are not there after all */
  readInto(target: Uint8Array, at: number): void;
}

/** The message that was found is not one. The sentence says where. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export type Range = { readonly start: number; readonly end: number };

export type Field =
  | { readonly number: number; readonly kind: 'integer'; readonly value: bigint }
  | { readonly number: number; readonly kind: 'fixed'; readonly range: Range }
  | { readonly number: number; readonly kind: 'bytes'; readonly range: Range };

const windowBytes = 16 * 1024;
const defaultMaxFields = 20_000_000;

export class WireReader {
  readonly #source: RandomBytes;
  readonly #window = new Uint8Array(windowBytes);
  #windowStart = 0;
  #windowEnd = 0;
  #fieldsLeft: number;
  #at = 0;

  constructor(source: RandomBytes, maxFields = defaultMaxFields) {
    this.#source = source;
    this.#fieldsLeft = maxFields;
  }

  get whole(): Range {
    return { start: 0, end: this.#source.sizeBytes };
  }

  /** The message's fields in order. Between two of them the caller may walk other ranges. */
  *fields(range: Range): Generator<Field, void, void> {
    let at = range.start;
    while (at < range.end) {
      const field = this.#field(at, range.end);
      at = this.#at;
      yield field;
    }
  }

  /** @throws WireError when the bytes are more than `maxBytes` or are no UTF-8 */
  text(range: Range, maxBytes: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(range, maxBytes));
    } catch (error) {
      if (error instanceof WireError) throw error;
      throw new WireError(`the text at byte ${range.start} is not UTF-8`);
    }
  }

  /** A copy of the bytes. @throws WireError when they are more than `maxBytes` */
  bytes(range: Range, maxBytes: number): Uint8Array {
    const length = range.end - range.start;
    if (length > maxBytes)
      throw new WireError(`the value at byte ${range.start} has ${length} bytes, over the bound of ${maxBytes}`);
    const copy = new Uint8Array(length);
    for (let done = 0; done < length;) {
      this.#load(range.start + done);
      const from = range.start + done - this.#windowStart;
      const part = this.#window.subarray(from, Math.min(this.#windowEnd - this.#windowStart, from + length - done));
      copy.set(part, done);
      done += part.length;
    }
    return copy;
  }

  /** The whole numbers of a packed field, at most `maxCount`. */
  integers(range: Range, maxCount: number): bigint[] {
    const values: bigint[] = [];
    for (let at = range.start; at < range.end; at = this.#at) {
      if (values.length === maxCount)
        throw new WireError(`the list at byte ${range.start} has more than ${maxCount} numbers`);
      values.push(this.#varint(at, range.end));
    }
    return values;
  }

  #field(at: number, end: number): Field {
    this.#fieldsLeft -= 1;
    if (this.#fieldsLeft < 0) throw new WireError('it has more fields than any real model');
    const tag = this.#varint(at, end);
    const number = Number(tag >> 3n);
    // Field numbers have 29 bits; 0 is not one.
    if (number === 0 || number >= 2 ** 29) throw new WireError(`there is no field at byte ${at}`);
    switch (Number(tag & 7n)) {
      case 0:
        return { number, kind: 'integer', value: this.#varint(this.#at, end) };
      case 1:
        return { number, kind: 'fixed', range: this.#take(8, end) };
      case 2:
        return { number, kind: 'bytes', range: this.#take(this.#varint(this.#at, end), end) };
      case 5:
        return { number, kind: 'fixed', range: this.#take(4, end) };
      default:
        throw new WireError(`the field at byte ${at} has no known wire type`);
    }
  }

  #take(length: number | bigint, end: number): Range {
    const start = this.#at;
    // Compared as it came: a length of 2^64 - 1 is not made a number first.
    if (length > end - start)
      throw new WireError(`it is cut off: ${length} bytes should follow byte ${start}, ${end - start} do`);
    this.#at = start + Number(length);
    return { start, end: this.#at };
  }

  /** Leaves #at behind the number. */
  #varint(start: number, end: number): bigint {
    let value = 0n;
    for (let index = 0; index < 10; index += 1) {
      const at = start + index;
      if (at >= end) throw new WireError(`it is cut off in the number at byte ${start}`);
      const byte = this.#byte(at);
      if (byte < 0x80) {
        this.#at = at + 1;
        // Nearly every number has one byte: keep big integers out of its way.
        return index === 0 ? BigInt(byte) : BigInt.asUintN(64, value | (BigInt(byte) << BigInt(7 * index)));
      }
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    }
    throw new WireError(`the number at byte ${start} has more than ten bytes`);
  }

  #byte(at: number): number {
    this.#load(at);
    return this.#window[at - this.#windowStart] ?? 0;
  }

  #load(at: number): void {
    if (at >= this.#windowStart && at < this.#windowEnd) return;
    const length = Math.min(windowBytes, this.#source.sizeBytes - at);
    this.#source.readInto(this.#window.subarray(0, length), at);
    this.#windowStart = at;
    this.#windowEnd = at + length;
  }
}
