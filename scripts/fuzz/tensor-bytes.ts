/**
 * Tensors as bytes, written and read without any code of the runtime.
 * Owns: the fuzzer's own implementation of the binary extension. If it shared code with the runtime, it would have the
 * same bugs.
 * Pure.
 */
import type { Datatype, RefTensor, Values } from './models.ts';

type Row = {
  readonly width: number;
  readonly get: (view: DataView, at: number) => number | bigint;
  readonly set: (view: DataView, at: number, value: number | bigint) => void;
};

const little = true;

export const widths: Readonly<Record<Exclude<Datatype, 'BYTES'>, Row>> = {
  BOOL: { width: 1, get: (view, at) => view.getUint8(at), set: (view, at, value) => view.setUint8(at, Number(value)) },
  UINT8: { width: 1, get: (view, at) => view.getUint8(at), set: (view, at, value) => view.setUint8(at, Number(value)) },
  INT8: { width: 1, get: (view, at) => view.getInt8(at), set: (view, at, value) => view.setInt8(at, Number(value)) },
  UINT16: {
    width: 2,
    get: (view, at) => view.getUint16(at, little),
    set: (view, at, value) => view.setUint16(at, Number(value), little),
  },
  INT16: {
    width: 2,
    get: (view, at) => view.getInt16(at, little),
    set: (view, at, value) => view.setInt16(at, Number(value), little),
  },
  FP16: {
    width: 2,
    get: (view, at) => view.getUint16(at, little),
    set: (view, at, value) => view.setUint16(at, Number(value), little),
  },
  UINT32: {
    width: 4,
    get: (view, at) => view.getUint32(at, little),
    set: (view, at, value) => view.setUint32(at, Number(value), little),
  },
  INT32: {
    width: 4,
    get: (view, at) => view.getInt32(at, little),
    set: (view, at, value) => view.setInt32(at, Number(value), little),
  },
  FP32: {
    width: 4,
    get: (view, at) => view.getFloat32(at, little),
    set: (view, at, value) => view.setFloat32(at, Number(value), little),
  },
  FP64: {
    width: 8,
    get: (view, at) => view.getFloat64(at, little),
    set: (view, at, value) => view.setFloat64(at, Number(value), little),
  },
  INT64: {
    width: 8,
    get: (view, at) => view.getBigInt64(at, little),
    set: (view, at, value) => view.setBigInt64(at, BigInt(value), little),
  },
  UINT64: {
    width: 8,
    get: (view, at) => view.getBigUint64(at, little),
    set: (view, at, value) => view.setBigUint64(at, BigInt(value), little),
  },
};

export function bytesOfValues({ datatype, values }: Pick<RefTensor, 'datatype' | 'values'>): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat(
      values.flatMap((value) => {
        const text = Buffer.from(String(value), 'utf8');
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text.length);
        return [length, text];
      }),
    );
  }
  const { width, set } = widths[datatype];
  const bytes = Buffer.alloc(values.length * width);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  values.forEach((value, at) => set(view, at * width, value as number | bigint));
  return bytes;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @returns undefined when the bytes are not `count` elements of this datatype */
export function valuesOfBytes(datatype: Datatype, bytes: Buffer, count: number): Values | undefined {
  if (datatype === 'BYTES') return textsOf(bytes, count);
  const { width, get } = widths[datatype];
  if (bytes.length !== count * width) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = Array.from({ length: count }, (_, at) => get(view, at * width));
  return datatype === 'BOOL' && values.some((value) => Number(value) > 1) ? undefined : values;
}

function textsOf(bytes: Buffer, count: number): Values | undefined {
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) return undefined;
    const text = textOf(bytes.subarray(at + 4, end));
    if (text === undefined) return undefined;
    texts.push(text);
    at = end;
  }
  return texts.length === count ? texts : undefined;
}

/**
 * The text of some bytes. @returns undefined when the bytes are not UTF-8 or contain NUL, at which the binding ends a
 * string
 */
export function textOf(bytes: Buffer): string | undefined {
  try {
    const text = strict.decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}
