/**
 * The datatypes of the Open Inference Protocol and their forms in JSON and bytes.
 *
 * Owns:  the names, the mapping to tensor types, and the conversion of JSON values and raw bytes to arrays.
 * Pure.  Error messages name the tensor and the invalid value.
 */
import { AppError } from '../../../api/errors.ts';
import { arrayOf, type ArrayOf, type TensorType, type TypedData } from '../../engine/tensor.ts';

const tensorTypes = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<string, TensorType>;

export type Datatype = keyof typeof tensorTypes;
export const datatypes = Object.keys(tensorTypes) as readonly Datatype[];

const namesOfTypes = new Map<TensorType, Datatype>(datatypes.map((name) => [tensorTypes[name], name]));

/** @returns undefined for an unknown name, or a datatype that this server does not support (BF16) */
export function tensorTypeOf(datatype: string): TensorType | undefined {
  return Object.hasOwn(tensorTypes, datatype) ? tensorTypes[datatype as Datatype] : undefined;
}

export function datatypeOf(type: TensorType): Datatype {
  const name = namesOfTypes.get(type);
  if (name === undefined) throw new Error(`no datatype for ${type}`);
  return name;
}

/**
 * Converts the flat JSON values of a tensor to its array.
 * @param where names the tensor in messages, e.g. "input 'x'"
 * @throws AppError REQUEST_INVALID
 */
export function arrayOfJson(type: TensorType, values: readonly unknown[], where: string): ArrayOf[TensorType] {
  return readers[type](values, where);
}

type Reader<T extends TensorType> = (values: readonly unknown[], where: string) => ArrayOf[T];

const readers: { readonly [T in TensorType]: Reader<T> } = {
  string: (values, where) =>
    readEach(values, where, 'BYTES', (value, index) =>
      typeof value === 'string' ? checkText(value, where, index) : undefined,
    ),
  bool: (values, where) => Uint8Array.from(readEach(values, where, 'BOOL', readBool)),
  float16: (_, where) => {
    throw invalidRequest(`${where} is FP16, which JSON cannot express: send it as binary data (binary_data_size)`);
  },
  float32: (values, where) => readFloats(new Float32Array(values.length), values, where),
  float64: (values, where) => readFloats(new Float64Array(values.length), values, where),
  int8: (values, where) => readIntegers(new Int8Array(values.length), 'INT8', values, where),
  uint8: (values, where) => readIntegers(new Uint8Array(values.length), 'UINT8', values, where),
  int16: (values, where) => readIntegers(new Int16Array(values.length), 'INT16', values, where),
  uint16: (values, where) => readIntegers(new Uint16Array(values.length), 'UINT16', values, where),
  int32: (values, where) => readIntegers(new Int32Array(values.length), 'INT32', values, where),
  uint32: (values, where) => readIntegers(new Uint32Array(values.length), 'UINT32', values, where),
  int64: (values, where) => readWide(new BigInt64Array(values.length), 'INT64', values, where),
  uint64: (values, where) => readWide(new BigUint64Array(values.length), 'UINT64', values, where),
};

function readEach<T>(
  values: readonly unknown[],
  where: string,
  datatype: Datatype,
  read: (value: unknown, index: number) => T | undefined,
): T[] {
  return values.map((value, index) => {
    const got = read(value, index);
    if (got === undefined) throw wrongValue(where, index, value, datatype);
    return got;
  });
}

function readBool(value: unknown): number | undefined {
  if (value === true || value === 1) return 1;
  return value === false || value === 0 ? 0 : undefined;
}

function readFloats<T extends Float32Array | Float64Array>(into: T, values: readonly unknown[], where: string): T {
  const datatype = into instanceof Float32Array ? 'FP32' : 'FP64';
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value !== 'number') throw wrongValue(where, index, value, datatype);
    into[index] = value;
    // JSON cannot express infinity, so an infinite value comes from a number that is too large for the type.
    if (!Number.isFinite(into[index])) throw wrongValue(where, index, value, datatype);
  }
  return into;
}

/** An integer array wraps values out of range, so a value that is read back unchanged was in range. */
function readIntegers<T extends Exclude<TypedData, BigInt64Array | BigUint64Array>>(
  into: T,
  datatype: Datatype,
  values: readonly unknown[],
  where: string,
): T {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value !== 'number') throw wrongValue(where, index, value, datatype);
    into[index] = value;
    if (into[index] !== value) throw wrongValue(where, index, value, datatype);
  }
  return into;
}

function readWide<T extends BigInt64Array | BigUint64Array>(
  into: T,
  datatype: 'INT64' | 'UINT64',
  values: readonly unknown[],
  where: string,
): T {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    const wide = typeof value === 'string' ? parseDigits(value) : exact(value, where, index);
    if (wide === undefined) throw wrongValue(where, index, value, datatype);
    into[index] = wide;
    if (into[index] !== wide) throw wrongValue(where, index, value, datatype);
  }
  return into;
}

function exact(value: unknown, where: string, index: number): bigint | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  if (!Number.isSafeInteger(value)) {
    throw invalidRequest(
      `${where}: element ${index} is beyond 2^53, where JSON numbers lose digits: send it as a string ` +
        `("${BigInt(value)}") or as binary data`,
    );
  }
  return BigInt(value);
}

function parseDigits(text: string): bigint | undefined {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

/**
 * Interprets raw little-endian bytes as the array of a type: a view if the bytes are aligned, else a copy. The caller
 * must have checked that `bytes` contains whole elements.
 * @throws AppError REQUEST_INVALID for a BOOL other than 0 and 1
 */
export function arrayOfBytes(
  type: Exclude<TensorType, 'string'>,
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): TypedData {
  const array = arrayOf[type];
  const width = array.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const view = new array(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
  if (type === 'bool') {
    const index = (view as Uint8Array).findIndex((value) => value > 1);
    if (index >= 0)
      throw invalidRequest(`${where}: element ${index} is the byte ${String(view[index])}, but a BOOL is 0 or 1`);
  }
  return view;
}

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads BYTES elements. Each element is a length (little-endian u32), followed by that number of bytes of UTF-8.
 * @param count number of elements that the shape needs
 * @throws AppError REQUEST_INVALID
 */
export function stringsOfBytes(bytes: Uint8Array<ArrayBuffer>, count: number, where: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const sizeBytes = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
    if (at + 4 + sizeBytes > bytes.length)
      throw invalidRequest(`${where}: element ${strings.length} extends past the end of its binary data`);
    strings.push(textOf(bytes.subarray(at + 4, at + 4 + sizeBytes), where, strings.length));
    at += 4 + sizeBytes;
    if (strings.length > count) break;
  }
  if (strings.length !== count)
    throw invalidRequest(
      `${where}: its binary data has ${strings.length > count ? 'more' : String(strings.length)} elements, but its ` +
        `shape needs ${count}`,
    );
  return strings;
}

/**
 * @throws AppError REQUEST_INVALID for bytes that are not UTF-8, which ONNX requires for strings, or that contain a NUL
 */
export function textOf(bytes: Uint8Array, where: string, index: number): string {
  try {
    return checkText(strictText.decode(bytes), where, index);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw notUtf8(where, index);
  }
}

/**
 * The binding passes a string to ONNX Runtime as NUL-terminated UTF-8: text after a NUL would be lost, and half of a
 * surrogate pair, which JSON can express, would become another character.
 */
function checkText(text: string, where: string, index: number): string {
  if (!text.isWellFormed()) throw notUtf8(where, index);
  const at = text.indexOf('\0');
  if (at < 0) return text;
  throw invalidRequest(
    `${where}: element ${index} has a NUL character at position ${at}, which ONNX Runtime's binding cannot carry: ` +
      'remove it',
  );
}

function notUtf8(where: string, index: number): AppError {
  return invalidRequest(`${where}: element ${index} is not UTF-8, which ONNX models require for strings`);
}

function wrongValue(where: string, index: number, value: unknown, datatype: Datatype): AppError {
  // JSON.stringify would print infinity as null.
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return invalidRequest(
    `${where}: element ${index} is ${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown}, which is not ${datatype}`,
  );
}

export function invalidRequest(problem: string): AppError {
  return new AppError('REQUEST_INVALID', { problem });
}
