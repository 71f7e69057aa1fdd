/**
 * Tensors of ONNX Runtime (OrtValue): made over memory of ours, and read.
 *
 * Owns: the numbers of ONNX Runtime's element types, and tensors of strings, which ONNX Runtime copies.
 * Ends: release() every value. The memory of a value made by `over` must outlive it.
 */
import { shapeBytes, type TensorType } from '../tensor.ts';
import { addressOf, keepUntilHere, outWord, nativeView, type Address, type OrtLibrary } from './library.ts';

/** ONNXTensorElementDataType, the same numbers as in ONNX files. */
const typeNumbers = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
} as const satisfies Readonly<Record<TensorType, number>>;
const typeNames: ReadonlyMap<number, TensorType> = new Map(
  Object.entries(typeNumbers).map(([name, number]) => [number, name as TensorType] as const),
);

/** OrtMemType of memory that belongs to the CPU, and OrtAllocatorType of memory from an arena. */
const memTypeDefault = 0;
const arenaAllocator = 1;

export type ValueShape = { readonly type: TensorType; readonly dims: readonly number[] };

/** Makes and reads the tensors of one library. */
export class OrtValues {
  readonly #ort: OrtLibrary;
  readonly #memory: Address;

  constructor(ort: OrtLibrary) {
    this.#ort = ort;
    this.#memory = ort.make('CreateCpuMemoryInfo', arenaAllocator, memTypeDefault);
  }

  /** A tensor over memory of the caller, which ONNX Runtime reads and writes in place. @throws OrtError */
  over(address: Address, { type, dims }: ValueShape): Address {
    const bytes = shapeBytes({ type, dims });
    const shape = shapeOf(dims);
    return this.#ort.make(
      'CreateTensorWithDataAsOrtValue',
      this.#memory,
      address,
      BigInt(bytes),
      shape,
      BigInt(dims.length),
      typeNumbers[type],
    );
  }

  /** A tensor with a copy of these texts. @throws OrtError */
  ofStrings(dims: readonly number[], texts: readonly string[]): Address {
    const allocator = this.#ort.make('GetAllocatorWithDefaultOptions');
    const shape = shapeOf(dims);
    const value = this.#ort.make('CreateTensorAsOrtValue', allocator, shape, BigInt(dims.length), typeNumbers.string);
    const terminated = texts.map(cString);
    const addresses = addressWords(terminated.map(addressOf));
    try {
      this.#ort.check('FillStringTensor', value, addresses, BigInt(texts.length));
      keepUntilHere(terminated);
      return value;
    } catch (error) {
      this.release(value);
      throw error;
    }
  }

  /** @throws Error for a value that is not a tensor, or whose element type this project does not know */
  shapeOf(value: Address): ValueShape {
    const isTensor = new Int32Array(new ArrayBuffer(4));
    this.#ort.check('IsTensor', value, isTensor);
    if (isTensor[0] === 0) throw new Error('the output is not a tensor');
    const info = this.#ort.make('GetTensorTypeAndShape', value);
    try {
      const element = new Int32Array(new ArrayBuffer(4));
      this.#ort.check('GetTensorElementType', info, element);
      const type = typeNames.get(element[0] as number);
      if (type === undefined) throw new Error(`the output has the element type ${element[0]}, which is not supported`);
      const rank = outWord();
      this.#ort.check('GetDimensionsCount', info, rank);
      const dims = new BigInt64Array(new ArrayBuffer(8 * Math.max(1, Number(rank[0]))));
      this.#ort.check('GetDimensions', info, dims, rank[0] as bigint);
      return { type, dims: Array.from(dims.subarray(0, Number(rank[0])), Number) };
    } finally {
      this.#ort.release('ReleaseTensorTypeAndShapeInfo', info);
    }
  }

  /** The address of a tensor's elements; not for strings. @throws OrtError */
  dataOf(value: Address): Address {
    return this.#ort.make('GetTensorMutableData', value);
  }

  /** The bytes of a tensor's elements, valid until the value is released. Not for strings. @throws OrtError */
  bytesOf(value: Address, { type, dims }: ValueShape): Uint8Array<ArrayBuffer> {
    const bytes = shapeBytes({ type, dims });
    return bytes === 0 ? new Uint8Array(0) : nativeView(this.dataOf(value), bytes);
  }

  /** @param count number of elements @throws OrtError */
  stringsOf(value: Address, count: number): readonly string[] {
    const length = outWord();
    this.#ort.check('GetStringTensorDataLength', value, length);
    const bytes = Buffer.from(new ArrayBuffer(Math.max(1, Number(length[0]))));
    const offsets = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, count)));
    this.#ort.check('GetStringTensorContent', value, bytes, length[0] as bigint, offsets, BigInt(count));
    return Array.from({ length: count }, (_, index) => {
      const end = index + 1 < count ? offsets[index + 1] : length[0];
      return bytes.toString('utf8', Number(offsets[index]), Number(end));
    });
  }

  release(value: Address): void {
    this.#ort.release('ReleaseValue', value);
  }

  /** Call this when no value is used any more. */
  close(): void {
    this.#ort.release('ReleaseMemoryInfo', this.#memory);
  }
}

/** The text as a C string. It is off V8's heap, so that its address stays the same. */
export function cString(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.from(new ArrayBuffer(length + 1));
  bytes.write(text);
  return bytes;
}

/** Addresses as an array for a native function; at least one word, because an empty array has no address. */
export function addressWords(addresses: readonly Address[]): BigUint64Array<ArrayBuffer> {
  const words = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, addresses.length)));
  words.set(addresses);
  return words;
}

function shapeOf(dims: readonly number[]): BigInt64Array<ArrayBuffer> {
  const shape = new BigInt64Array(new ArrayBuffer(8 * Math.max(1, dims.length)));
  for (const [axis, dim] of dims.entries()) shape[axis] = BigInt(dim);
  return shape;
}
