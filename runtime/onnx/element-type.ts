/**
 * The element types of ONNX tensors: their codes in the file, their names and their width.
 *
 * Owns: the table (TensorProto.DataType of onnx.proto). Where ONNX Runtime's JavaScript binding has a name for a type,
 *       the table uses that name. `servable` is true if the binding can pass tensors of the type in and out, so that
 *       requests and answers can contain them.
 * Pure.
 */

type Row = { readonly code: number; readonly bits: number; readonly servable: boolean };

/** `bits` is the width of an element; 0 for elements without a fixed width. */
export const elementTypes = {
  float32: { code: 1, bits: 32, servable: true },
  uint8: { code: 2, bits: 8, servable: true },
  int8: { code: 3, bits: 8, servable: true },
  uint16: { code: 4, bits: 16, servable: true },
  int16: { code: 5, bits: 16, servable: true },
  int32: { code: 6, bits: 32, servable: true },
  int64: { code: 7, bits: 64, servable: true },
  string: { code: 8, bits: 0, servable: true },
  bool: { code: 9, bits: 8, servable: true },
  float16: { code: 10, bits: 16, servable: true },
  float64: { code: 11, bits: 64, servable: true },
  uint32: { code: 12, bits: 32, servable: true },
  uint64: { code: 13, bits: 64, servable: true },
  complex64: { code: 14, bits: 64, servable: false },
  complex128: { code: 15, bits: 128, servable: false },
  bfloat16: { code: 16, bits: 16, servable: false },
  float8e4m3fn: { code: 17, bits: 8, servable: false },
  float8e4m3fnuz: { code: 18, bits: 8, servable: false },
  float8e5m2: { code: 19, bits: 8, servable: false },
  float8e5m2fnuz: { code: 20, bits: 8, servable: false },
  // For outputs of the types uint4 and int4, the binding reads beyond its table of types, which crashes the process.
  uint4: { code: 21, bits: 4, servable: false },
  int4: { code: 22, bits: 4, servable: false },
  float4e2m1: { code: 23, bits: 4, servable: false },
  float8e8m0: { code: 24, bits: 8, servable: false },
} as const satisfies Record<string, Row>;

export type ElementType = keyof typeof elementTypes;
type Table = typeof elementTypes;
/** The types that a request or an answer can carry. */
export type ServableType = { [T in ElementType]: Table[T]['servable'] extends true ? T : never }[ElementType];

const byCode = new Map<number, ElementType>(
  Object.entries(elementTypes).map(([name, row]) => [row.code, name as ElementType]),
);

/** @returns undefined for a code unknown to this version of ONNX, and for 0 (UNDEFINED) */
export function elementTypeOf(code: number): ElementType | undefined {
  return byCode.get(code);
}

export function isServable(type: ElementType): type is ServableType {
  return elementTypes[type].servable;
}

/** Bytes of `count` packed elements; elements narrower than a byte share bytes. 0 for strings. */
export function packedBytes(type: ElementType, count: number): number {
  return Math.ceil((count * elementTypes[type].bits) / 8);
}
