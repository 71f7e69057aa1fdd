/**
 * Reads the protobuf bodies that Go clients send for built-in types: `kubectl create`, `kubectl auth`, Helm's releases.
 * Owns: a reader of the wire format, and the conversion of the values to JSON. The field numbers are in
 * builtin/messages.json (see scripts/kube-protobuf). The envelope is `k8s\0`, then runtime.Unknown{1: TypeMeta{1:
 * apiVersion, 2: kind}, 2: raw}.
 * Limits: a type without a table of field numbers is refused with 415 and the advice to use kubectl apply. Answers are
 * never protobuf.
 */
import { readFileSync } from 'node:fs';
import { isRecord } from '../../api/record.ts';
import { type JsonRecord } from '../../lib/json.ts';
import { badRequest, StatusError } from './status.ts';
import { toMicroTime } from './times.ts';

/**
 * The fields of a message: field number → `name:type`. The type is a scalar or a message. Before the type, `*` means a
 * list of this type, and `%` a map from strings to this type. After the type, `?` means that a value of zero is kept.
 * When a field has no name, the fields of its message become fields of the parent in JSON.
 */
type Table = Readonly<Record<string, string>>;

const messages = JSON.parse(readFileSync(new URL('./builtin/messages.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Table>
>;

/** The messages of the envelope, and messages with a special form in JSON. A time, for example, becomes a string. */
const wrapped = {
  envelope: { 1: 'typeMeta:typeMeta', 2: 'raw:raw' },
  typeMeta: { 1: 'apiVersion:string', 2: 'kind:string' },
  time: { 1: 'seconds:integer', 2: 'nanos:integer' },
  json: { 1: 'raw:raw' },
  quantity: { 1: 'text:string' },
  microTime: { 1: 'seconds:integer', 2: 'nanos:integer' },
  intOrString: { 1: 'isText:integer', 2: 'number:integer', 3: 'text:string' },
} as const satisfies Readonly<Record<string, Table>>;

const magic = Buffer.from('k8s\0', 'latin1');

/** @throws StatusError 400 for a broken message, 415 for a type without a table */
export function decodeProtobuf(bytes: Uint8Array): JsonRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 4).equals(magic)) throw badRequest('the body is not a Kubernetes protobuf message');
  const envelope = readFields(buffer.subarray(4), wrapped.envelope);
  const { apiVersion = '', kind = '' } = readFields(bufferOf(envelope['typeMeta']), wrapped.typeMeta) as {
    apiVersion?: string;
    kind?: string;
  };
  // DeleteOptions are sent with the apiVersion of the type that is deleted, so their own table is used.
  const name = kind === 'DeleteOptions' ? 'meta/v1.DeleteOptions' : `${apiVersion}.${kind}`;
  const table = Object.hasOwn(messages, name) ? messages[name] : undefined;
  if (table === undefined || typeof table !== 'object') {
    throw new StatusError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format: protobuf of kind ${JSON.stringify(kind)} is not supported ` +
        'here; use kubectl apply -f, which sends JSON',
    );
  }
  return { apiVersion, kind, ...readFields(bufferOf(envelope['raw']), table) };
}

function bufferOf(value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}

function readFields(buffer: Buffer, table: Table): JsonRecord {
  const out: JsonRecord = {};
  for (const { field, value } of wireFields(buffer)) {
    const [, name = '', shape = '', type = '', optional = ''] =
      /^(\w*):([*%]?)([^?]+)(\??)$/.exec(table[field] ?? '') ?? [];
    if (type !== '') store(out, { name, shape, type, isOptional: optional !== '' }, value);
  }
  return out;
}

type WireValue = bigint | Buffer;

function* wireFields(buffer: Buffer): Generator<{ readonly field: number; readonly value: WireValue }> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer[at];
      if (byte === undefined) throw badRequest('the protobuf body ends within a number');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badRequest('the protobuf body has a number of more than ten bytes');
  };
  const take = (size: number): Buffer => {
    if (size > buffer.length - at) throw badRequest('the protobuf body is shorter than it says');
    at += size;
    return buffer.subarray(at - size, at);
  };
  while (at < buffer.length) {
    const tag = Number(varint());
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) yield { field, value: varint() };
    else if (wire === 2) yield { field, value: take(Number(varint())) };
    else if (wire === 1) yield { field, value: take(8) };
    else if (wire === 5) yield { field, value: take(4) };
    else throw badRequest(`the protobuf body has the unknown wire type ${wire}`);
  }
}

type Row = { readonly name: string; readonly shape: string; readonly type: string; readonly isOptional: boolean };

/**
 * Stores the value of a field. A zero value is omitted unless the field's type ends in `?`, because Go also encodes
 * zero for some fields that were never set.
 */
function store(out: JsonRecord, row: Row, value: WireValue): void {
  const { name, shape, type, isOptional } = row;
  if (shape === '%') {
    const { key = '', value: item = '' } = readFields(asBuffer(value), { 1: 'key:string', 2: `value:${type}?` });
    out[name] = { ...(isRecord(out[name]) ? out[name] : {}), [String(key)]: item };
    return;
  }
  const read = readValue(type, value);
  if (shape === '*') out[name] = [...(Array.isArray(out[name]) ? (out[name] as unknown[]) : []), read];
  else if (name === '') Object.assign(out, read);
  else if (isOptional || !isZero(read)) out[name] = read;
}

function isZero(value: unknown): boolean {
  return value === undefined || value === '' || value === 0 || value === false;
}

function readValue(type: string, value: WireValue): unknown {
  switch (type) {
    case 'string':
      return asBuffer(value).toString('utf8');
    case 'bytes':
      return asBuffer(value).toString('base64');
    case 'integer':
      return Number(BigInt.asIntN(64, asNumber(value)));
    case 'boolean':
      return asNumber(value) !== 0n;
    case 'raw':
    case 'typeMeta':
      return asBuffer(value);
    default:
      return Object.hasOwn(wrapped, type)
        ? readWrapped(type, asBuffer(value))
        : readFields(asBuffer(value), messages[type] ?? {});
  }
}

function readWrapped(type: string, buffer: Buffer): unknown {
  switch (type) {
    case 'json':
      return readJson(buffer);
    case 'time':
      return readTime(buffer)?.replace(/\.\d+Z$/, 'Z');
    case 'microTime':
      return readTime(buffer);
    case 'quantity':
      return readFields(buffer, wrapped.quantity)['text'];
    default: {
      const { isText, number = 0, text = '' } = readFields(buffer, wrapped.intOrString);
      return isText === undefined ? number : text;
    }
  }
}

function readJson(buffer: Buffer): unknown {
  const raw = bufferOf(readFields(buffer, wrapped.json)['raw']);
  try {
    return JSON.parse(raw.length === 0 ? '{}' : raw.toString('utf8'));
  } catch {
    throw badRequest('the protobuf body holds broken JSON');
  }
}

/** A time as text. @returns a MicroTime; undefined for the zero time */
function readTime(buffer: Buffer): string | undefined {
  const { seconds, nanos = 0 } = readFields(buffer, wrapped.time);
  if (typeof seconds !== 'number' || typeof nanos !== 'number' || Math.abs(seconds) > 8e12 || seconds < 0)
    return undefined;
  const micros = String(Math.floor(Math.abs(nanos) / 1000) % 1e6).padStart(6, '0');
  return toMicroTime(seconds * 1000).replace(/\.\d+Z$/, `.${micros}Z`);
}

function asBuffer(value: WireValue): Buffer {
  if (typeof value === 'bigint') throw badRequest('the protobuf body has a number where text is expected');
  return value;
}

function asNumber(value: WireValue): bigint {
  if (typeof value !== 'bigint') throw badRequest('the protobuf body has text where a number is expected');
  return value;
}
