/**
 * The models that the fuzzer uses, and their expected outputs, computed without code of the runtime.
 * Owns: the graphs, their signatures as clients see them, and `compute`.
 */
import type { Model } from '../../runtime/onnx/build.ts';
import type { ElementType } from '../../runtime/onnx/element-type.ts';
import { add, identity, matmul } from '../../test/support/onnx-models.ts';

export type Datatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES';
/** The elements of a tensor. An FP16 element is an integer with its 16 bits; a BOOL element is 0 or 1. */
export type Values = readonly (number | bigint | string)[];
/** An input or output of a model. In `dims`, null is a dimension of any size. */
export type Spec = { readonly name: string; readonly datatype: Datatype; readonly dims: readonly (number | null)[] };
export type RefTensor = {
  readonly name: string;
  readonly datatype: Datatype;
  readonly dims: readonly number[];
  readonly values: Values;
};

export type TensorModel = {
  readonly name: string;
  readonly model: () => Model;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  /** The allowed error of a float, relative to the largest input. */
  readonly tolerance: number;
  readonly compute: (inputs: ReadonlyMap<string, RefTensor>) => readonly RefTensor[];
};

const onnxTypes: Readonly<Record<Datatype, ElementType>> = {
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
};

function identityOf(name: string, datatype: Datatype, dims: readonly (number | string)[]): TensorModel {
  const shape = dims.map((dim) => (typeof dim === 'number' ? dim : null));
  return {
    name,
    tolerance: 0,
    model: () => identity(onnxTypes[datatype], dims),
    inputs: [{ name: 'x', datatype, dims: shape }],
    outputs: [{ name: 'y', datatype, dims: shape }],
    compute: (inputs) => [{ ...inputOf(inputs, 'x'), name: 'y' }],
  };
}

const manyTypes = ['INT8', 'UINT8', 'INT16', 'UINT16', 'INT32', 'UINT32', 'UINT64', 'FP64'] as const;

/** A model with an input and an output of every type that the other models do not have. */
const types: TensorModel = {
  name: 'types',
  tolerance: 0,
  model: () => ({
    opset: 17,
    graph: {
      name: 'types',
      nodes: manyTypes.map((type) => ({
        op: 'Identity',
        inputs: [type.toLowerCase()],
        outputs: [`${type.toLowerCase()}_out`],
      })),
      inputs: manyTypes.map((type) => ({ name: type.toLowerCase(), type: onnxTypes[type], shape: ['batch', 2] })),
      outputs: manyTypes.map((type) => ({
        name: `${type.toLowerCase()}_out`,
        type: onnxTypes[type],
        shape: ['batch', 2],
      })),
    },
  }),
  inputs: manyTypes.map((datatype) => ({ name: datatype.toLowerCase(), datatype, dims: [null, 2] })),
  outputs: manyTypes.map((datatype) => ({ name: `${datatype.toLowerCase()}_out`, datatype, dims: [null, 2] })),
  compute: (inputs) =>
    manyTypes.map((type) => ({ ...inputOf(inputs, type.toLowerCase()), name: `${type.toLowerCase()}_out` })),
};

const sum: TensorModel = {
  name: 'sum',
  tolerance: 0,
  model: add,
  inputs: [
    { name: 'a', datatype: 'FP32', dims: [null, 3] },
    { name: 'b', datatype: 'FP32', dims: [null, 3] },
  ],
  outputs: [{ name: 'sum', datatype: 'FP32', dims: [null, 3] }],
  compute: (inputs) => {
    const [a, b] = [inputOf(inputs, 'a'), inputOf(inputs, 'b')];
    return [
      { ...a, name: 'sum', values: a.values.map((value, at) => Math.fround(Number(value) + Number(b.values[at]))) },
    ];
  },
};

/** y = [x0 + x2 + 2·x3, x1 + x2 - x3]. ONNX Runtime chooses the order of addition, so the model needs a tolerance. */
const product: TensorModel = {
  name: 'product',
  tolerance: 1e-5,
  model: matmul,
  inputs: [{ name: 'x', datatype: 'FP32', dims: [null, 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', dims: [null, 2] }],
  compute: (inputs) => {
    const x = inputOf(inputs, 'x');
    const rows = x.dims[0] ?? 0;
    const at = (row: number, column: number): number => Number(x.values[row * 4 + column]);
    const values = Array.from({ length: rows }, (_, row) => [
      at(row, 0) + at(row, 2) + 2 * at(row, 3),
      at(row, 1) + at(row, 2) - at(row, 3),
    ]).flat();
    return [{ name: 'y', datatype: 'FP32', dims: [rows, 2], values: values.map(Math.fround) }];
  },
};

export const tensorModels: readonly TensorModel[] = [
  identityOf('floats', 'FP32', ['batch', 4]),
  sum,
  product,
  identityOf('longs', 'INT64', ['n']),
  identityOf('texts', 'BYTES', ['batch', 2]),
  identityOf('flags', 'BOOL', ['batch', 3]),
  identityOf('halves', 'FP16', ['batch', 2]),
  identityOf('fixed', 'FP32', [2, 2]),
  types,
];

export const encoderName = 'encoder';

function inputOf(inputs: ReadonlyMap<string, RefTensor>, name: string): RefTensor {
  const found = inputs.get(name);
  if (found === undefined) throw new Error(`no input ${name}`);
  return found;
}
