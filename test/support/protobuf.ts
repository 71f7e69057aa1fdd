/**
 * Writes protobuf bodies as Go clients do, for tests of the reader.
 * Pure. A field is given in one of two forms: a pair of its number and a small integer, or the bytes of encoded fields.
 */

/** `[field, number]`, or bytes of encoded fields. */
export type ProtobufField = readonly [number: number, value: number] | Buffer;

/** An encoded field whose value is a text or a message. */
export function text(field: number, value: string | readonly ProtobufField[]): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : message(value);
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

function message(fields: readonly ProtobufField[]): Buffer {
  return Buffer.concat(
    fields.map((field) => (Buffer.isBuffer(field) ? field : Buffer.concat([varint(field[0] * 8), varint(field[1])]))),
  );
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Wraps a message in Kubernetes' envelope. */
export function protobufBody(apiVersion: string, kind: string, fields: readonly ProtobufField[]): Buffer {
  return Buffer.concat([Buffer.from('k8s\0'), text(1, [text(1, apiVersion), text(2, kind)]), text(2, fields)]);
}
