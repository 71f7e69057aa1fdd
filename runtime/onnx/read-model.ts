/**
 * Reads an ONNX file's structure: everything except the values of its weights.
 *
 * Owns:   the meaning of the fields of onnx.proto. Describes the file; servable.ts decides whether it can be served.
 * Limits: names 4 KiB, metadata entries 64 KiB (longer entries are skipped), 4096 inputs, 4096 outputs, 64 dimensions,
 *         subgraphs 16 deep, a million nodes and a million weights.
 * Throws: WireError with the problem.
 */
import { elementTypeOf, packedBytes, type ElementType } from './element-type.ts';
import type { Dim, OtherKind } from './model-info.ts';
import { WireError, type Field, type Range, type WireReader } from './wire.ts';

const limits = {
  nameBytes: 4096,
  metadataBytes: 64 * 1024,
  metadataEntries: 1024,
  values: 4096,
  operators: 1024,
  dims: 64,
  depth: 16,
  nodes: 1_000_000,
  weights: 1_000_000,
} as const;

/** `code` is the code of the element type in the file; `type` is undefined for an unknown code. */
export type RawTensor = {
  readonly name: string;
  readonly kind: 'tensor';
  readonly type: ElementType | undefined;
  readonly code: number;
  readonly dims?: readonly Dim[];
};
export type RawValue = RawTensor | { readonly name: string; readonly kind: OtherKind };

export type RawModel = {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  opsets: Record<string, number>;
  metadata: Record<string, string>;
  graph: RawGraph | undefined;
};

export type RawGraph = {
  name: string;
  inputs: RawValue[];
  outputs: RawValue[];
  /** Names of the inputs whose value is given by a weight. */
  constants: Set<string>;
  /**
   * Files next to the model that hold weights, by path: the minimum size of the file in bytes, and whether all weights
   * in the file begin at multiples of 64 bytes.
   */
  external: Map<string, { bytes: number; aligned: boolean }>;
  nodes: number;
  operators: Map<string, number>;
  weights: number;
  weightsBytes: number;
};

export function readModel(reader: WireReader): RawModel {
  const model: RawModel = {
    irVersion: 0,
    producerName: '',
    producerVersion: '',
    opsets: Object.create(null),
    metadata: Object.create(null),
    graph: undefined,
  };
  for (const field of reader.fields(reader.whole)) readModelField(reader, field, model);
  return model;
}

function readModelField(reader: WireReader, field: Field, model: RawModel): void {
  switch (field.number) {
    case 1:
      model.irVersion = Number(integerOf(field));
      break;
    case 2:
      model.producerName = nameOf(reader, field);
      break;
    case 3:
      model.producerVersion = nameOf(reader, field);
      break;
    case 7:
      model.graph = readGraph(reader, rangeOf(field));
      break;
    case 8:
      readOpset(reader, rangeOf(field), model.opsets);
      break;
    case 14:
      readMetadata(reader, rangeOf(field), model.metadata);
      break;
    default:
      break;
  }
}

function readOpset(reader: WireReader, range: Range, opsets: Record<string, number>): void {
  let domain = '';
  let version = 0;
  for (const field of reader.fields(range)) {
    if (field.number === 1) domain = nameOf(reader, field);
    if (field.number === 2) version = Number(BigInt.asIntN(64, integerOf(field)));
  }
  if (Object.keys(opsets).length >= limits.values)
    throw new WireError(`it has more than ${limits.values} operator sets`);
  opsets[domain === '' ? 'ai.onnx' : domain] = version;
}

function readMetadata(reader: WireReader, range: Range, metadata: Record<string, string>): void {
  if (Object.keys(metadata).length >= limits.metadataEntries || range.end - range.start > limits.metadataBytes) return;
  const { key, value } = readEntry(reader, range, limits.metadataBytes);
  metadata[key] = value;
}

/**
 * Reads the graph twice: first inputs and outputs, then nodes and weights. So the names of weights are kept only where
 * an input has the same name, although the weights precede the inputs in the file.
 */
function readGraph(reader: WireReader, range: Range): RawGraph {
  const graph: RawGraph = {
    name: '',
    inputs: [],
    outputs: [],
    constants: new Set(),
    external: new Map(),
    nodes: 0,
    operators: new Map(),
    weights: 0,
    weightsBytes: 0,
  };
  for (const field of reader.fields(range)) {
    if (field.number === 2) graph.name = nameOf(reader, field);
    if (field.number === 11) addValue(reader, rangeOf(field), graph.inputs);
    if (field.number === 12) addValue(reader, rangeOf(field), graph.outputs);
  }
  const inputNames = new Set(graph.inputs.map((input) => input.name));
  readContent(reader, range, {
    graph,
    depth: 0,
    onWeight: (name) => {
      if (inputNames.has(name)) graph.constants.add(name);
    },
  });
  return graph;
}

type Walk = { readonly graph: RawGraph; readonly depth: number; readonly onWeight: (name: string) => void };

/** Reads the nodes and weights of a graph or subgraph. A subgraph's counts are added to the sums of the main graph. */
function readContent(reader: WireReader, range: Range, walk: Walk): void {
  if (walk.depth > limits.depth) throw new WireError(`subgraphs are nested more than ${limits.depth} deep`);
  for (const field of reader.fields(range)) {
    if (field.number === 1) readNode(reader, rangeOf(field), walk);
    if (field.number === 5) readWeight(reader, rangeOf(field), walk);
    if (field.number === 15) readSparseWeight(reader, rangeOf(field), walk);
  }
}

function readNode(reader: WireReader, range: Range, walk: Walk): void {
  let operator = '';
  let domain = '';
  for (const field of reader.fields(range)) {
    if (field.number === 4) operator = nameOf(reader, field);
    if (field.number === 5) readAttribute(reader, rangeOf(field), walk);
    if (field.number === 7) domain = nameOf(reader, field);
  }
  countNode(domain === '' || domain === 'ai.onnx' ? operator : `${domain}.${operator}`, walk.graph);
}

function countNode(operator: string, graph: RawGraph): void {
  graph.nodes += 1;
  if (graph.nodes > limits.nodes) throw new WireError(`it has more than ${limits.nodes} nodes`);
  // In a malicious file every node could have a different operator. Beyond a limit, all further operators are counted
  // under one name.
  const known = graph.operators.get(operator) ?? 0;
  const name = known > 0 || graph.operators.size < limits.operators ? operator : '(others)';
  graph.operators.set(name, (graph.operators.get(name) ?? 0) + 1);
}

function readAttribute(reader: WireReader, range: Range, walk: Walk): void {
  const inside = { ...walk, depth: walk.depth + 1, onWeight: () => {} };
  for (const field of reader.fields(range)) {
    if (field.number === 5 || field.number === 10) readWeight(reader, rangeOf(field), inside);
    if (field.number === 6 || field.number === 11) readContent(reader, rangeOf(field), inside);
  }
}

function readSparseWeight(reader: WireReader, range: Range, walk: Walk): void {
  for (const field of reader.fields(range)) {
    if (field.number === 1 || field.number === 2) readWeight(reader, rangeOf(field), walk);
  }
}

type Tensor = {
  name: string;
  dims: bigint[];
  code: number;
  raw: Range | undefined;
  dataBytes: number;
  external: Record<string, string>;
  isExternal: boolean;
};

function readWeight(reader: WireReader, range: Range, walk: Walk): void {
  const tensor: Tensor = {
    name: '',
    dims: [],
    code: 0,
    raw: undefined,
    dataBytes: 0,
    external: Object.create(null),
    isExternal: false,
  };
  for (const field of reader.fields(range)) readTensorField(reader, field, tensor);
  const { graph } = walk;
  graph.weights += 1;
  if (graph.weights > limits.weights) throw new WireError(`it has more than ${limits.weights} weights`);
  const bytes = tensorBytes(tensor);
  graph.weightsBytes += bytes;
  if (tensor.isExternal) addExternal(tensor, bytes, graph.external);
  walk.onWeight(tensor.name);
}

function readTensorField(reader: WireReader, field: Field, tensor: Tensor): void {
  switch (field.number) {
    case 1:
      addDims(reader, field, tensor);
      break;
    case 2:
      tensor.code = Number(integerOf(field));
      break;
    case 6:
      tensor.dataBytes += lengthOf(field);
      break;
    case 8:
      tensor.name = nameOf(reader, field);
      break;
    case 9:
      tensor.raw = rangeOf(field);
      break;
    case 13: {
      const { key, value } = readEntry(reader, rangeOf(field), limits.nameBytes * 2);
      if (Object.keys(tensor.external).length < 16) tensor.external[key] = value;
      break;
    }
    case 14:
      tensor.isExternal = integerOf(field) === 1n;
      break;
    default:
      break;
  }
}

/** dims is packed in some files and unpacked in others. */
function addDims(reader: WireReader, field: Field, tensor: Tensor): void {
  const more = field.kind === 'bytes' ? reader.integers(field.range, limits.dims) : [integerOf(field)];
  for (const dim of more) tensor.dims.push(BigInt.asIntN(64, dim));
  if (tensor.dims.length > limits.dims)
    throw new WireError(`the weight '${tensor.name}' has more than ${limits.dims} dimensions`);
}

/** Bytes of the tensor in memory. Raw data must have the size that follows from the shape. */
function tensorBytes(tensor: Tensor): number {
  const type = elementTypeOf(tensor.code);
  if (type === undefined)
    throw new WireError(`the weight '${tensor.name}' has the unknown element type ${tensor.code}`);
  const negative = tensor.dims.find((dim) => dim < 0n);
  if (negative !== undefined) throw new WireError(`the weight '${tensor.name}' has the negative dimension ${negative}`);
  // Uses BigInt, because with doubles a huge product times 0 would be NaN.
  const count = Number(tensor.dims.reduce((product, dim) => product * dim, 1n));
  if (type === 'string') return tensor.dataBytes;
  const bytes = packedBytes(type, count);
  if (bytes > Number.MAX_SAFE_INTEGER)
    throw new WireError(
      `the shape of weight '${tensor.name}' needs ${bytes} bytes, more than the limit of ` +
        `${Number.MAX_SAFE_INTEGER}`,
    );
  const { raw } = tensor;
  if (raw !== undefined && !tensor.isExternal && raw.end - raw.start !== bytes) {
    throw new WireError(`the weight '${tensor.name}' has ${raw.end - raw.start} bytes, but its shape needs ${bytes}`);
  }
  return bytes;
}

function addExternal(tensor: Tensor, bytes: number, external: RawGraph['external']): void {
  const { location = '', offset = '0', length = String(bytes) } = tensor.external;
  if (!isCount(offset) || !isCount(length))
    throw new WireError(`the weight '${tensor.name}' has an external offset or length that is not a number`);
  const before = external.get(location) ?? { bytes: 0, aligned: true };
  const aligned = before.aligned && [Number(offset), ...prepackedOffsets(tensor.external)].every((at) => at % 64 === 0);
  external.set(location, { bytes: Math.max(before.bytes, Number(offset) + Number(length)), aligned });
  if (external.size > limits.values) throw new WireError(`its weights are in more than ${limits.values} files`);
}

/**
 * The file offsets of prepacked weights: weights in the layout of a kernel. ONNX Runtime adds an entry for each,
 * with a key that begins with `prepacked` and the value `kernel+hash|offset;length;checksum…`.
 */
function prepackedOffsets(external: Readonly<Record<string, string>>): number[] {
  return Object.entries(external)
    .filter(([key]) => key.startsWith('prepacked'))
    .map(([, value]) => Number(/\|(\d{1,15});/.exec(value)?.[1] ?? 0));
}

function isCount(text: string): boolean {
  return /^[0-9]{1,15}$/.test(text);
}

function addValue(reader: WireReader, range: Range, values: RawValue[]): void {
  if (values.length >= limits.values) throw new WireError(`it has more than ${limits.values} inputs or outputs`);
  let name = '';
  let type: Range | undefined;
  for (const field of reader.fields(range)) {
    if (field.number === 1) name = nameOf(reader, field);
    if (field.number === 2) type = rangeOf(field);
  }
  values.push(type === undefined ? { name, kind: 'untyped' } : readType(reader, type, name));
}

const otherKinds: Readonly<Record<number, OtherKind>> = {
  4: 'sequence',
  5: 'map',
  7: 'opaque',
  8: 'sparse tensor',
  9: 'optional',
};

function readType(reader: WireReader, range: Range, name: string): RawValue {
  for (const field of reader.fields(range)) {
    if (field.number === 1) return readTensorType(reader, rangeOf(field), name);
    const kind = otherKinds[field.number];
    if (kind !== undefined) return { name, kind };
  }
  return { name, kind: 'untyped' };
}

function readTensorType(reader: WireReader, range: Range, name: string): RawValue {
  let code = 0;
  let dims: Dim[] | undefined;
  for (const field of reader.fields(range)) {
    if (field.number === 1) code = Number(integerOf(field));
    if (field.number === 2) dims = readShape(reader, rangeOf(field));
  }
  return { name, kind: 'tensor', type: elementTypeOf(code), code, ...(dims === undefined ? {} : { dims }) };
}

function readShape(reader: WireReader, range: Range): Dim[] {
  const dims: Dim[] = [];
  for (const field of reader.fields(range)) {
    if (field.number !== 1) continue;
    if (dims.length >= limits.dims) throw new WireError(`a shape has more than ${limits.dims} dimensions`);
    dims.push(readDim(reader, rangeOf(field)));
  }
  return dims;
}

/** A size that is not fixed is written as a name, is absent, or is -1 in files of some exporters. */
function readDim(reader: WireReader, range: Range): Dim {
  let dim: Dim = '';
  for (const field of reader.fields(range)) {
    if (field.number === 1) dim = sizeOrUnnamed(BigInt.asIntN(64, integerOf(field)));
    if (field.number === 2) dim = nameOf(reader, field);
  }
  return dim;
}

function sizeOrUnnamed(value: bigint): Dim {
  return value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : '';
}

function readEntry(reader: WireReader, range: Range, maxBytes: number): { key: string; value: string } {
  let key = '';
  let value = '';
  for (const field of reader.fields(range)) {
    if (field.number === 1) key = nameOf(reader, field);
    if (field.number === 2) value = reader.text(rangeOf(field), maxBytes);
  }
  return { key, value };
}

function nameOf(reader: WireReader, field: Field): string {
  return reader.text(rangeOf(field), limits.nameBytes);
}

function integerOf(field: Field): bigint {
  if (field.kind === 'integer') return field.value;
  throw new WireError(`field ${field.number} at byte ${field.range.start} should be a number`);
}

function rangeOf(field: Field): Range {
  if (field.kind === 'bytes') return field.range;
  throw new WireError(`field ${field.number} should hold bytes`);
}

function lengthOf(field: Field): number {
  const { start, end } = rangeOf(field);
  return end - start;
}
