/**
 * Reads the few protobuf bodies that clients insist on sending: what `kubectl create` and `kubectl auth` post.
 *
 * Owns:   tables of field numbers (from the generated.proto files of Kubernetes) and a small wire reader. Answers are
 *         never protobuf. Envelope: `k8s\0`, then runtime.Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: raw}.
 * Limits: types without a table are refused with 415 and the advice to apply a manifest.
 */
import { badRequest, StatusError } from './status.ts';
import type { JsonRecord } from '../../lib/json.ts';

type Scalar = 'string' | 'bytes' | 'integer' | 'boolean' | 'strings' | 'bytesByKey' | 'json' | 'time';
/** Field number → name and type; a type that is no scalar is a message, with `*` a list of them. */
type Table = Readonly<Record<number, readonly [name: string, type: string]>>;

const tables: Readonly<Record<string, Table>> = {
  Unknown: { 1: ['typeMeta', 'TypeMeta'], 2: ['raw', 'raw'] },
  TypeMeta: { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] },
  ObjectMeta: { 1: ['name', 'string'], 2: ['generateName', 'string'], 3: ['namespace', 'string'], 5: ['uid', 'string'], 6: ['resourceVersion', 'string'], 7: ['generation', 'integer'], 8: ['creationTimestamp', 'time'], 9: ['deletionTimestamp', 'time'], 10: ['deletionGracePeriodSeconds', 'integer'], 11: ['labels', 'strings'], 12: ['annotations', 'strings'], 13: ['ownerReferences', '*OwnerReference'], 14: ['finalizers', '*string'], 17: ['managedFields', '*ManagedFieldsEntry'] },
  OwnerReference: { 1: ['kind', 'string'], 3: ['name', 'string'], 4: ['uid', 'string'], 5: ['apiVersion', 'string'], 6: ['controller', 'boolean'], 7: ['blockOwnerDeletion', 'boolean'] },
  ManagedFieldsEntry: { 1: ['manager', 'string'], 2: ['operation', 'string'], 3: ['apiVersion', 'string'], 4: ['time', 'time'], 6: ['fieldsType', 'string'], 7: ['fieldsV1', 'json'], 8: ['subresource', 'string'] },
  DeleteOptions: { 1: ['gracePeriodSeconds', 'integer'], 2: ['preconditions', 'Preconditions'], 3: ['orphanDependents', 'boolean'], 4: ['propagationPolicy', 'string'], 5: ['dryRun', '*string'] },
  Preconditions: { 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] },
  Namespace: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'NamespaceSpec'], 3: ['status', 'NamespaceStatus'] },
  NamespaceSpec: { 1: ['finalizers', '*string'] },
  NamespaceStatus: { 1: ['phase', 'string'] },
  ConfigMap: { 1: ['metadata', 'ObjectMeta'], 2: ['data', 'strings'], 3: ['binaryData', 'bytesByKey'], 4: ['immutable', 'boolean'] },
  Secret: { 1: ['metadata', 'ObjectMeta'], 2: ['data', 'bytesByKey'], 3: ['type', 'string'], 4: ['stringData', 'strings'], 5: ['immutable', 'boolean'] },
  ServiceAccount: { 1: ['metadata', 'ObjectMeta'], 4: ['automountServiceAccountToken', 'boolean'] },
  SelfSubjectAccessReview: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'SelfSubjectAccessReviewSpec'] },
  SelfSubjectAccessReviewSpec: { 1: ['resourceAttributes', 'ResourceAttributes'], 2: ['nonResourceAttributes', 'NonResourceAttributes'] },
  ResourceAttributes: { 1: ['namespace', 'string'], 2: ['verb', 'string'], 3: ['group', 'string'], 4: ['version', 'string'], 5: ['resource', 'string'], 6: ['subresource', 'string'], 7: ['name', 'string'] },
  NonResourceAttributes: { 1: ['path', 'string'], 2: ['verb', 'string'] },
  SelfSubjectReview: { 1: ['metadata', 'ObjectMeta'] },
};

/** A map is a list of entries. */
const entryTables: Readonly<Record<string, Table>> = {
  strings: { 1: ['key', 'string'], 2: ['value', 'string'] },
  bytesByKey: { 1: ['key', 'string'], 2: ['value', 'bytes'] },
};
const timeTable: Table = { 1: ['seconds', 'integer'], 2: ['nanos', 'integer'] };
const jsonTable: Table = { 1: ['raw', 'raw'] };

const magic = Buffer.from('k8s\0', 'latin1');

/** @throws StatusError 400 for a broken message, 415 for a type without a table */
export function decodeProtobuf(bytes: Uint8Array): JsonRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 4).equals(magic)) throw badRequest('the body is no Kubernetes protobuf message');
  const envelope = readMessage(buffer.subarray(4), 'Unknown');
  const type = (envelope['typeMeta'] ?? {}) as JsonRecord;
  const kind = typeof type['kind'] === 'string' ? type['kind'] : '';
  if (tables[kind] === undefined) {
    throw new StatusError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: protobuf of kind ${JSON.stringify(kind)} is not read here; use kubectl apply -f, which sends JSON`);
  }
  return { ...type, ...readMessage((envelope['raw'] as Buffer | undefined) ?? Buffer.alloc(0), kind) };
}

function readMessage(buffer: Buffer, name: string): JsonRecord {
  const table = tables[name];
  return table === undefined ? {} : readFields(buffer, table);
}

function readFields(buffer: Buffer, table: Table): JsonRecord {
  const out: JsonRecord = {};
  for (const { field, value } of wireFields(buffer)) {
    const row = table[field];
    if (row !== undefined) store(out, row[0], row[1], value);
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

/** Zero values are left out: Go encodes some that nobody set. */
function store(out: JsonRecord, name: string, type: string, value: WireValue): void {
  const entries = entryTables[type];
  if (entries !== undefined) {
    const { key = '', value: text = '' } = readFields(asBuffer(value), entries);
    out[name] = { ...(out[name] as JsonRecord | undefined), [key as string]: text };
    return;
  }
  const isList = type.startsWith('*');
  const read = readValue(isList ? type.slice(1) : type, value);
  if (isList) out[name] = [...((out[name] as unknown[] | undefined) ?? []), read];
  else if (read !== undefined && read !== '' && read !== 0) out[name] = read;
}

function readValue(type: string, value: WireValue): unknown {
  switch (type as Scalar | 'raw') {
    case 'string':
      return asBuffer(value).toString('utf8');
    case 'bytes':
      return asBuffer(value).toString('base64');
    case 'integer':
      return Number(BigInt.asIntN(64, asNumber(value)));
    case 'boolean':
      return asNumber(value) !== 0n;
    case 'raw':
      return asBuffer(value);
    case 'json':
      return readJson(asBuffer(value));
    case 'time':
      return readTime(asBuffer(value));
    case 'strings':
    case 'bytesByKey':
      return undefined;
    default:
      return readMessage(asBuffer(value), type);
  }
}

function readJson(buffer: Buffer): unknown {
  const raw = readFields(buffer, jsonTable)['raw'];
  try {
    return JSON.parse(Buffer.isBuffer(raw) ? raw.toString('utf8') : '{}');
  } catch {
    throw badRequest('the protobuf body holds broken JSON');
  }
}

function readTime(buffer: Buffer): string | undefined {
  const seconds = readFields(buffer, timeTable)['seconds'];
  return typeof seconds === 'number' && Math.abs(seconds) < 8e12 ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') : undefined;
}

function asBuffer(value: WireValue): Buffer {
  if (typeof value === 'bigint') throw badRequest('the protobuf body has a number where text is due');
  return value;
}

function asNumber(value: WireValue): bigint {
  if (typeof value !== 'bigint') throw badRequest('the protobuf body has text where a number is due');
  return value;
}
