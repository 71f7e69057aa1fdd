/**
 * Reads the fields of a protobuf message in a file, without reading the fields that are skipped.
 *
 * Owns:   decoding the wire format (protobuf.dev/programming-guides/encoding) through a window of a few kilobytes. A
 *         field is a number, or the range of its bytes. Groups (wire types 3, 4) are refused: ONNX does not use them.
 * Limits: a field must end within its message; at most `maxFields` fields; text and bytes up to the caller's limit.
 * Throws: WireError for invalid bytes. A length in the file is checked before memory is allocated for it.
 */

/** Random access to bytes: a file, or a test's array. */
export interface RandomBytes {
  readonly sizeBytes: number;
  /**
   * Fills `target` with the bytes from `at` on. The caller guarantees that these bytes are within `sizeBytes`.
   * @throws when the file has become shorter
   */
  readInto(target: Uint8Array, at: number): void;
}

/** The bytes are not a valid message. The error's message says where. */
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

  /** Yields the message's fields in order. Between two fields the caller may read other ranges. */
  *fields(range: Range): Generator<Field, void, void> {
    let at = range.start;
    while (at < range.end) {
      const field = this.#field(at, range.end);
      at = this.#at;
      yield field;
    }
  }

  /** @throws WireError when the text has more than `maxBytes` or is not UTF-8 */
  text(range: Range, maxBytes: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(range, maxBytes));
    } catch (error) {
      if (error instanceof WireError) throw error;
      throw new WireError(`the text at byte ${range.start} is not UTF-8`);
    }
  }

  /**
   * Copies the bytes.
   * @throws WireError when there are more than `maxBytes`
   */
  bytes(range: Range, maxBytes: number): Uint8Array {
    const length = range.end - range.start;
    if (length > maxBytes)
      throw new WireError(`the value at byte ${range.start} has ${length} bytes, more than the limit of ${maxBytes}`);
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

  /** The integers of a packed field, at most `maxCount`. */
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
    if (this.#fieldsLeft < 0) throw new WireError('it has more protobuf fields than the limit');
    const tag = this.#varint(at, end);
    const number = Number(tag >> 3n);
    // Field numbers have 29 bits and start at 1.
    if (number === 0 || number >= 2 ** 29) throw new WireError(`byte ${at} does not begin a protobuf field`);
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
        throw new WireError(`the field at byte ${at} has an unknown wire type`);
    }
  }

  #take(length: number | bigint, end: number): Range {
    const start = this.#at;
    // Compare as BigInt: converting a length of 2^64 - 1 to a number would lose digits.
    if (length > end - start)
      throw new WireError(`it is cut off: ${length} bytes should follow byte ${start}, but only ${end - start} do`);
    this.#at = start + Number(length);
    return { start, end: this.#at };
  }

  /** Reads the number at `start`. Afterwards, #at is the position after the number. */
  #varint(start: number, end: number): bigint {
    let value = 0n;
    for (let index = 0; index < 10; index += 1) {
      const at = start + index;
      if (at >= end) throw new WireError(`it is cut off in the number at byte ${start}`);
      const byte = this.#byte(at);
      if (byte < 0x80) {
        this.#at = at + 1;
        // Nearly all numbers have one byte. For such numbers, skip the BigInt arithmetic.
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
