/**
 * A tensor inside the runtime: plain data that is transferred between threads.
 *
 * Owns:  the array type of each element type, and bytes per element. onnxruntime's `Tensor` class is not used, because
 *        it cannot be transferred and its float16 constructor fails on Node 24 and later.
 * Pure.
 */

/** The array type of each element type. A float16 number is stored as its 16 bits, a bool as the byte 0 or 1. */
export type ArrayOf = {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly float16: Uint16Array;
  readonly int8: Int8Array;
  readonly uint8: Uint8Array;
  readonly int16: Int16Array;
  readonly uint16: Uint16Array;
  readonly int32: Int32Array;
  readonly uint32: Uint32Array;
  readonly int64: BigInt64Array;
  readonly uint64: BigUint64Array;
  readonly bool: Uint8Array;
  readonly string: readonly string[];
};

/** The element types that ONNX Runtime's binding supports, by the binding's names. */
export type TensorType = keyof ArrayOf;
export type TensorOf<T extends TensorType> = {
  readonly type: T;
  readonly dims: readonly number[];
  readonly data: ArrayOf[T];
};
/** Row-major; `data.length` is the product of `dims`. */
export type Tensor = { [T in TensorType]: TensorOf<T> }[TensorType];
export type TypedData = Exclude<ArrayOf[TensorType], readonly string[]>;
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** An empty record of tensors. A tensor may have the name of an inherited property, such as `__proto__`. */
export function tensorRecord(): Record<string, Tensor> {
  return Object.create(null) as Record<string, Tensor>;
}

/** Constructor of the array for each fixed-width type. */
export const arrayOf = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies { [T in Exclude<TensorType, 'string'>]: unknown };

/** Bytes of one element; undefined for strings. */
export function bytesPerElement(type: TensorType): number | undefined {
  return type === 'string' ? undefined : arrayOf[type].BYTES_PER_ELEMENT;
}

/** Number of elements of a shape: 1 for the empty shape of a scalar. */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) count *= dim;
  return count;
}

/** Bytes of a tensor's data; strings count two bytes for each UTF-16 unit. */
export function tensorBytes(tensor: Tensor): number {
  if (tensor.type !== 'string') return tensor.data.byteLength;
  return tensor.data.reduce((sum, text) => sum + 2 * text.length, 0);
}

/** Bytes of the data of a tensor with this type and shape; 0 for strings, whose length the shape does not give. */
export function shapeBytes({ type, dims }: { readonly type: TensorType; readonly dims: readonly number[] }): number {
  return elementCount(dims) * (bytesPerElement(type) ?? 0);
}

/** Number of elements of all tensors. */
export function elementsOf(tensors: NamedTensors): number {
  let elements = 0;
  for (const { dims } of Object.values(tensors)) elements += elementCount(dims);
  return elements;
}

/** Bytes of the data of all tensors, as `tensorBytes` counts them. */
export function tensorsBytes(tensors: NamedTensors): number {
  return Object.values(tensors).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

const scratch = new Uint16Array(1);
const scratchNumber = new Float16Array(scratch.buffer);

/** The number that is encoded in 16 bits of a float16 tensor. */
export function halfToNumber(bits: number): number {
  scratch[0] = bits;
  return scratchNumber[0] ?? NaN;
}

/** Builds a tensor whose type is only known at run time. The caller guarantees that type, dims and data match. */
export function makeTensor(type: TensorType, dims: readonly number[], data: ArrayOf[TensorType]): Tensor {
  return { type, dims, data } as Tensor;
}
