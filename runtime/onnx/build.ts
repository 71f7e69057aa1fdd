/**
 * Builds ONNX files from plain data, for tests, benchmarks and the examples' converter, and for the small model with
 * which `prepare` tries execution providers.
 * Pure: the same model gives the same bytes.
 *
 * Owns: the plain form and its conversion to messages of onnx.proto. Graphs are not checked, because tests also need
 *       invalid graphs. Use: `await writeFile(path, encodeModel({ opset: 17, graph }))`.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { elementTypes, type ElementType } from './element-type.ts';
import type { Dim } from './model-info.ts';
import { encodeProto } from './encode.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation,
  type AttributeProtoSchema,
  type GraphProtoSchema,
  type ModelProto,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type TensorShapeProto_DimensionSchema,
  type TypeProtoSchema,
  type ValueInfoProtoSchema,
} from './proto/onnx_pb.ts';

export type ValueSpec =
  | {
      readonly name: string;
      readonly type: ElementType;
      /** Absent if the rank is unknown. */ readonly shape?: readonly Dim[];
    }
  | { readonly name: string; readonly sequenceOf: ElementType | MapSpec }
  | { readonly name: string; readonly mapOf: MapSpec };

/** A map from one scalar type to tensors of unknown rank. */
export type MapSpec = { readonly key: ElementType; readonly value: ElementType };

/** A constant tensor: its bytes (little-endian, row-major), or a range of an external file in the model's folder. */
export type Weight = {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data:
    | Uint8Array
    | {
        readonly location: string;
        readonly offset?: number;
        readonly length?: number;
        /** Other external_data entries that some writers add. */ readonly entries?: Readonly<Record<string, string>>;
      };
};

export type Attribute =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly tensor: Weight }
  | { readonly graph: Graph }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly floats: readonly number[] }
  | { readonly texts: readonly string[] };

export type Node = {
  readonly op: string;
  /** '' or absent means ai.onnx. */
  readonly domain?: string;
  readonly name?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
};

export type Graph = {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly weights?: readonly Weight[];
};

export type Model = {
  /** Version of the ai.onnx operator set. */
  readonly opset: number;
  /** Other operator sets, by domain. */
  readonly domains?: Readonly<Record<string, number>>;
  readonly irVersion?: number;
  readonly producer?: { readonly name: string; readonly version: string };
  readonly metadata?: Readonly<Record<string, string>>;
  readonly graph: Graph;
};

/**
 * @returns the file as pieces, ready for `writeFile`; the data of large weights is not copied
 * @throws RangeError when the file would reach protobuf's limit of 2 GiB; use external data instead
 */
export function encodeModel(model: Model): readonly Uint8Array[] {
  return encodeProto(modelProto(model));
}

/** The file as one array, for small models. */
export function modelBytes(model: Model): Uint8Array {
  return Buffer.concat(encodeModel(model));
}

/** A weight from a typed array: `weight('W', 'float32', [2, 3], new Float32Array(6))`. The array is not copied. */
export function weight(name: string, type: ElementType, dims: readonly number[], values: ArrayBufferView): Weight {
  return { name, type, dims, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** The model as a protobuf message. The caller may edit it before it is encoded. */
export function modelProto(model: Model): ModelProto {
  const { producer } = model;
  return create(ModelProtoSchema, {
    // Opsets 15 to 18 were released with IR version 8; every current ONNX Runtime reads it.
    irVersion: BigInt(model.irVersion ?? 8),
    ...(producer === undefined ? {} : { producerName: producer.name, producerVersion: producer.version }),
    opsetImport: Object.entries({ '': model.opset, ...model.domains }).map(([domain, version]) => ({
      domain,
      version: BigInt(version),
    })),
    metadataProps: entriesOf(model.metadata),
    graph: graphOf(model.graph),
  });
}

function graphOf(graph: Graph): MessageInitShape<typeof GraphProtoSchema> {
  return {
    name: graph.name,
    node: graph.nodes.map(nodeOf),
    initializer: (graph.weights ?? []).map(tensorOf),
    input: graph.inputs.map(valueOf),
    output: graph.outputs.map(valueOf),
  };
}

function nodeOf(node: Node): MessageInitShape<typeof NodeProtoSchema> {
  return {
    opType: node.op,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes ?? {}).map(([name, attribute]) => ({ name, ...attributeOf(attribute) })),
    ...(node.name === undefined ? {} : { name: node.name }),
    ...(node.domain === undefined || node.domain === '' ? {} : { domain: node.domain }),
  };
}

/** AttributeProto needs both the value's field and the matching `type`. */
function attributeOf(attribute: Attribute): MessageInitShape<typeof AttributeProtoSchema> {
  if ('int' in attribute) return { type: AttributeType.INT, i: BigInt(attribute.int) };
  if ('float' in attribute) return { type: AttributeType.FLOAT, f: attribute.float };
  if ('text' in attribute) return { type: AttributeType.STRING, s: utf8(attribute.text) };
  if ('tensor' in attribute) return { type: AttributeType.TENSOR, t: tensorOf(attribute.tensor) };
  if ('graph' in attribute) return { type: AttributeType.GRAPH, g: graphOf(attribute.graph) };
  if ('ints' in attribute) return { type: AttributeType.INTS, ints: attribute.ints.map(BigInt) };
  if ('floats' in attribute) return { type: AttributeType.FLOATS, floats: [...attribute.floats] };
  return { type: AttributeType.STRINGS, strings: attribute.texts.map(utf8) };
}

function tensorOf({ name, type, dims, data }: Weight): MessageInitShape<typeof TensorProtoSchema> {
  const tensor = { name, dims: dims.map(BigInt), dataType: elementTypes[type].code };
  if (data instanceof Uint8Array) return { ...tensor, rawData: data };
  const { location, offset, length, entries } = data;
  return {
    ...tensor,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: entriesOf({
      location,
      ...(offset === undefined ? {} : { offset: String(offset) }),
      ...(length === undefined ? {} : { length: String(length) }),
      ...entries,
    }),
  };
}

function valueOf(value: ValueSpec): MessageInitShape<typeof ValueInfoProtoSchema> {
  return { name: value.name, type: typeOf(value) };
}

type TypeInit = MessageInitShape<typeof TypeProtoSchema>;

function typeOf(value: ValueSpec): TypeInit {
  if ('mapOf' in value) return mapType(value.mapOf);
  if (!('sequenceOf' in value)) return tensorType(value.type, value.shape);
  const { sequenceOf: held } = value;
  const elemType = typeof held === 'string' ? tensorType(held) : mapType(held);
  return { value: { case: 'sequenceType', value: { elemType } } };
}

function mapType({ key, value }: MapSpec): TypeInit {
  const map = { keyType: elementTypes[key].code, valueType: tensorType(value) };
  return { value: { case: 'mapType', value: map } };
}

/** An empty shape means a scalar. Without a shape, the rank is unknown. */
function tensorType(type: ElementType, shape?: readonly Dim[]): TypeInit {
  const elemType = elementTypes[type].code;
  const tensor = shape === undefined ? { elemType } : { elemType, shape: { dim: shape.map(dimOf) } };
  return { value: { case: 'tensorType', value: tensor } };
}

function dimOf(dim: Dim): MessageInitShape<typeof TensorShapeProto_DimensionSchema> {
  if (typeof dim === 'number') return { value: { case: 'dimValue', value: BigInt(dim) } };
  return dim === '' ? {} : { value: { case: 'dimParam', value: dim } };
}

function entriesOf(entries: Readonly<Record<string, string>> = {}): { key: string; value: string }[] {
  return Object.entries(entries).map(([key, value]) => ({ key, value }));
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
