/**
 * Writes protobuf messages without copying what is large.
 *
 * Owns:   the wire format's writing side. A message is a list of parts; bytes given to it become a part of
 *         their own and stay where they are, however deep the message is nested, so that a file with
 *         gigabytes of weights is written from the arrays that hold them.
 * Limits: a message stays under 2 GiB - 1, which is protobuf's own bound.
 * Source: protobuf.dev/programming-guides/encoding (wire types 0 varint, 2 length-delimited, 5 four bytes).
 */

export const maxMessageBytes = 2 ** 31 - 1;

/** Below this, bytes are cheaper to copy than to keep as a part. */
const copyBelowBytes = 256;

export class MessageWriter {
  #parts: Uint8Array[] = [];
  #small: number[] = [];
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** A whole number; negative ones take ten bytes, as int32 and int64 fields want. */
  integer(field: number, value: number | bigint): this {
    this.#tag(field, 0);
    return this.#varint(BigInt.asUintN(64, BigInt(value)));
  }

  float(field: number, value: number): this {
    this.#tag(field, 5);
    return this.#append(floatBytes([value]));
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** The bytes are kept, not copied, unless they are few: do not change them until the message is written. */
  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#varint(BigInt(value.length));
    return this.#append(value);
  }

  message(field: number, value: MessageWriter): this {
    this.#tag(field, 2);
    this.#varint(BigInt(value.#sizeBytes));
    for (const part of value.parts()) this.#append(part);
    return this;
  }

  /** A packed repeated field of whole numbers. */
  integers(field: number, values: readonly (number | bigint)[]): this {
    const packed = new MessageWriter();
    for (const value of values) packed.#varint(BigInt.asUintN(64, BigInt(value)));
    return this.message(field, packed);
  }

  /** A packed repeated field of 32-bit floats. */
  floats(field: number, values: readonly number[]): this {
    return this.bytes(field, floatBytes(values));
  }

  /** The message in order, piece by piece; together `sizeBytes` long. */
  parts(): readonly Uint8Array[] {
    this.#flush();
    return this.#parts;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(BigInt(field * 8 + wireType));
  }

  #varint(value: bigint): this {
    let rest = value;
    while (rest > 0x7fn) {
      this.#byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#byte(Number(rest));
    return this;
  }

  #byte(value: number): void {
    this.#grow(1);
    this.#small.push(value);
  }

  #append(value: Uint8Array): this {
    this.#grow(value.length);
    if (value.length < copyBelowBytes) {
      for (const byte of value) this.#small.push(byte);
      return this;
    }
    this.#flush();
    this.#parts.push(value);
    return this;
  }

  #grow(bytes: number): void {
    this.#sizeBytes += bytes;
    if (this.#sizeBytes > maxMessageBytes)
      throw new RangeError('a protobuf message must stay under 2 GiB: put the weights into an external data file');
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    this.#parts.push(Uint8Array.from(this.#small));
    this.#small = [];
  }
}

function floatBytes(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => view.setFloat32(index * 4, value, true));
  return new Uint8Array(view.buffer);
}
