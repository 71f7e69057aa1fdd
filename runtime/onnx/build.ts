/**
 * Builds ONNX files from plain data: what tests and the examples' converter write models with.
 *
 * Owns:  how a model, its graph, nodes, attributes and weights lie in the file (field numbers of onnx.proto).
 *        It does not check a graph: ONNX Runtime does, and tests want broken ones, too.
 * Pure:  the same model gives the same bytes, so that what is built can be named by its digest.
 * Use:   `await writeFile(path, encodeModel({ opset: 17, graph }))`; weights are written from where they lie.
 */
import { elementTypes, type ElementType } from './element-type.ts';
import { MessageWriter } from './encode.ts';

/** A number, a name for a dimension that callers choose, or '' for one without a name. */
export type Dim = number | string;

export type ValueSpec =
  | {
      readonly name: string;
      readonly type: ElementType;
      /** Absent: the rank is unknown. */ readonly shape?: readonly Dim[];
    }
  | { readonly name: string; readonly sequenceOf: ElementType | MapSpec }
  | { readonly name: string; readonly mapOf: MapSpec };

/** A map from one scalar type to tensors of unknown rank. */
export type MapSpec = { readonly key: ElementType; readonly value: ElementType };

/** A constant tensor: its bytes here (little-endian, row-major), or a place in a file beside the model. */
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
        /** Further entries, as some writers add them. */ readonly entries?: Readonly<Record<string, string>>;
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
  /** '' or absent is ai.onnx. */
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
 * @returns the file, piece by piece, ready for `writeFile`; weights are not copied
 * @throws RangeError when the file would reach protobuf's 2 GiB; use external data then
 */
export function encodeModel(model: Model): readonly Uint8Array[] {
  // IR version 8 is what opset 15 to 18 came with; every current ONNX Runtime reads it.
  const file = new MessageWriter().integer(1, model.irVersion ?? 8);
  if (model.producer !== undefined) file.text(2, model.producer.name).text(3, model.producer.version);
  file.message(7, encodeGraph(model.graph));
  for (const [domain, version] of Object.entries({ '': model.opset, ...model.domains })) {
    file.message(8, new MessageWriter().text(1, domain).integer(2, version));
  }
  for (const [key, value] of Object.entries(model.metadata ?? {})) file.message(14, encodeEntry(key, value));
  return file.parts();
}

/** The file as one piece. For models that are small. */
export function modelBytes(model: Model): Uint8Array {
  return Buffer.concat(encodeModel(model));
}

/** A weight from a typed array: `weight('W', 'float32', [2, 3], new Float32Array(6))`. The array is not copied. */
export function weight(name: string, type: ElementType, dims: readonly number[], values: ArrayBufferView): Weight {
  return { name, type, dims, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

function encodeGraph(graph: Graph): MessageWriter {
  const out = new MessageWriter();
  for (const node of graph.nodes) out.message(1, encodeNode(node));
  out.text(2, graph.name);
  for (const tensor of graph.weights ?? []) out.message(5, encodeWeight(tensor));
  for (const value of graph.inputs) out.message(11, encodeValue(value));
  for (const value of graph.outputs) out.message(12, encodeValue(value));
  return out;
}

function encodeNode(node: Node): MessageWriter {
  const out = new MessageWriter();
  for (const name of node.inputs) out.text(1, name);
  for (const name of node.outputs) out.text(2, name);
  if (node.name !== undefined) out.text(3, node.name);
  out.text(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes ?? {}))
    out.message(5, encodeAttribute(name, attribute));
  if (node.domain !== undefined && node.domain !== '') out.text(7, node.domain);
  return out;
}

/** AttributeProto says twice what it holds: by the field that is set, and by its `type` (field 20). */
function encodeAttribute(name: string, attribute: Attribute): MessageWriter {
  const out = new MessageWriter().text(1, name);
  if ('int' in attribute) return out.integer(3, attribute.int).integer(20, 2);
  if ('float' in attribute) return out.float(2, attribute.float).integer(20, 1);
  if ('text' in attribute) return out.text(4, attribute.text).integer(20, 3);
  if ('tensor' in attribute) return out.message(5, encodeWeight(attribute.tensor)).integer(20, 4);
  if ('graph' in attribute) return out.message(6, encodeGraph(attribute.graph)).integer(20, 5);
  if ('ints' in attribute) return out.integers(8, attribute.ints).integer(20, 7);
  if ('floats' in attribute) return out.floats(7, attribute.floats).integer(20, 6);
  for (const text of attribute.texts) out.text(9, text);
  return out.integer(20, 8);
}

function encodeWeight(tensor: Weight): MessageWriter {
  const out = new MessageWriter()
    .integers(1, tensor.dims)
    .integer(2, elementTypes[tensor.type].code)
    .text(8, tensor.name);
  if (tensor.data instanceof Uint8Array) return out.bytes(9, tensor.data);
  const { location, offset, length, entries } = tensor.data;
  out.message(13, encodeEntry('location', location));
  if (offset !== undefined) out.message(13, encodeEntry('offset', String(offset)));
  if (length !== undefined) out.message(13, encodeEntry('length', String(length)));
  for (const [key, value] of Object.entries(entries ?? {})) out.message(13, encodeEntry(key, value));
  return out.integer(14, 1);
}

function encodeValue(value: ValueSpec): MessageWriter {
  return new MessageWriter().text(1, value.name).message(2, encodeType(value));
}

function encodeType(value: ValueSpec): MessageWriter {
  if ('mapOf' in value) return encodeMapType(value.mapOf);
  if (!('sequenceOf' in value)) return encodeTensorType(value.type, value.shape);
  const { sequenceOf: held } = value;
  return new MessageWriter().message(
    4,
    new MessageWriter().message(1, typeof held === 'string' ? encodeTensorType(held) : encodeMapType(held)),
  );
}

function encodeMapType(map: MapSpec): MessageWriter {
  return new MessageWriter().message(
    5,
    new MessageWriter().integer(1, elementTypes[map.key].code).message(2, encodeTensorType(map.value)),
  );
}

/** An empty shape is a scalar; an absent one means that the rank is unknown. */
function encodeTensorType(type: ElementType, shape?: readonly Dim[]): MessageWriter {
  const tensor = new MessageWriter().integer(1, elementTypes[type].code);
  if (shape !== undefined) {
    const dims = new MessageWriter();
    for (const dim of shape) dims.message(1, encodeDim(dim));
    tensor.message(2, dims);
  }
  return new MessageWriter().message(1, tensor);
}

function encodeDim(dim: Dim): MessageWriter {
  if (typeof dim === 'number') return new MessageWriter().integer(1, dim);
  return dim === '' ? new MessageWriter() : new MessageWriter().text(2, dim);
}

function encodeEntry(key: string, value: string): MessageWriter {
  return new MessageWriter().text(1, key).text(2, value);
}
