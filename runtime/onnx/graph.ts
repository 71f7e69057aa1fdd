/**
 * Reads a graph's nodes: operators, names, attributes, and the values of small constants.
 *
 * Owns:   the types, and reading them through a window: a few kilobytes of the file (wire.ts). Skips the values of
 *         large weights.
 * Limits: the caller must read the same file with read-model.ts first, because only that reader limits the number of
 *         nodes and weights. The values of a constant are only read if it has at most 64 numbers.
 * Throws: WireError.
 */
import { elementTypeOf } from './element-type.ts';
import { WireError, type Field, type Range, type WireReader } from './wire.ts';

/** A constant: its shape, and its numbers if it has at most 64. */
export type GraphConstant = { readonly dims: readonly number[]; readonly values?: readonly number[] };

export type GraphAttribute = {
  readonly int?: number;
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
  readonly text?: string;
  readonly tensor?: GraphConstant;
  readonly graph?: GraphBody;
  /** Only in the body of a function: this attribute has the value of the calling node's attribute with this name. */
  readonly refersTo?: string;
};

export type GraphNode = {
  readonly op: string;
  /** '' means ai.onnx. */
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, GraphAttribute>;
};

export type GraphBody = {
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, GraphConstant>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
};

export type GraphFile = {
  readonly opset: number;
  readonly body: GraphBody;
  /** The model's own functions, by `domain.name`. */
  readonly functions: ReadonlyMap<string, GraphBody>;
};

const nameBytes = 4096;
const fewNumbers = 64;
const maxDepth = 16;
/**
 * Lists with more numbers hold data, such as the trees of a random forest, and are not read in full. A packed list is
 * skipped (packed integers: if it has more than this many bytes). An unpacked list is cut off after this many numbers.
 */
const manyNumbers = 1024;

/** @throws WireError */
export function readGraphFile(reader: WireReader): GraphFile {
  let opset = 0;
  let body: GraphBody = { nodes: [], constants: new Map(), inputs: [], outputs: [] };
  const functions = new Map<string, GraphBody>();
  for (const field of reader.fields(reader.whole)) {
    if (field.number === 7) body = readBody(reader, rangeOf(field), 0);
    if (field.number === 8) opset = Math.max(opset, opsetIn(reader, rangeOf(field)));
    if (field.number === 25) readFunction(reader, rangeOf(field), functions);
  }
  return { opset, body, functions };
}

/** The version of ai.onnx; 0 for an entry of another domain. */
function opsetIn(reader: WireReader, range: Range): number {
  let domain = '';
  let version = 0;
  for (const field of reader.fields(range)) {
    if (field.number === 1) domain = textOf(reader, field);
    if (field.number === 2) version = integerOf(field);
  }
  return domain === '' || domain === 'ai.onnx' ? version : 0;
}

function readBody(reader: WireReader, range: Range, depth: number): GraphBody {
  if (depth > maxDepth) throw new WireError(`subgraphs are nested more than ${maxDepth} deep`);
  const nodes: GraphNode[] = [];
  const constants = new Map<string, GraphConstant>();
  const inputs: string[] = [];
  const outputs: string[] = [];
  for (const field of reader.fields(range)) {
    if (field.number === 1) nodes.push(readNode(reader, rangeOf(field), depth));
    if (field.number === 5) addConstant(reader, rangeOf(field), constants);
    if (field.number === 15) addSparse(reader, rangeOf(field), constants);
    if (field.number === 11) inputs.push(valueName(reader, rangeOf(field)));
    if (field.number === 12) outputs.push(valueName(reader, rangeOf(field)));
  }
  return { nodes, constants, inputs, outputs };
}

/** Adds a sparse weight as a constant with its dense shape and without values. */
function addSparse(reader: WireReader, range: Range, constants: Map<string, GraphConstant>): void {
  const dims: number[] = [];
  let name = '';
  for (const field of reader.fields(range)) {
    if (field.number === 1) ({ name } = readTensor(reader, rangeOf(field)));
    if (field.number === 3) dims.push(...numbersOf(reader, field));
  }
  constants.set(name, { dims });
}

function readFunction(reader: WireReader, range: Range, functions: Map<string, GraphBody>): void {
  let name = '';
  let domain = '';
  const nodes: GraphNode[] = [];
  const inputs: string[] = [];
  const outputs: string[] = [];
  for (const field of reader.fields(range)) {
    if (field.number === 1) name = textOf(reader, field);
    if (field.number === 4) inputs.push(textOf(reader, field));
    if (field.number === 5) outputs.push(textOf(reader, field));
    if (field.number === 7) nodes.push(readNode(reader, rangeOf(field), 0));
    if (field.number === 10) domain = textOf(reader, field);
  }
  functions.set(`${domain}.${name}`, { nodes, constants: new Map(), inputs, outputs });
}

function readNode(reader: WireReader, range: Range, depth: number): GraphNode {
  const node = {
    op: '',
    domain: '',
    name: '',
    inputs: [] as string[],
    outputs: [] as string[],
    attributes: new Map<string, GraphAttribute>(),
  };
  for (const field of reader.fields(range)) {
    switch (field.number) {
      case 1:
        node.inputs.push(textOf(reader, field));
        break;
      case 2:
        node.outputs.push(textOf(reader, field));
        break;
      case 3:
        node.name = textOf(reader, field);
        break;
      case 4:
        node.op = textOf(reader, field);
        break;
      case 5:
        addAttribute(reader, rangeOf(field), { to: node.attributes, depth });
        break;
      case 7:
        node.domain = textOf(reader, field);
        break;
      default:
        break;
    }
  }
  return { ...node, domain: node.domain === 'ai.onnx' ? '' : node.domain };
}

function addAttribute(
  reader: WireReader,
  range: Range,
  { to, depth }: { readonly to: Map<string, GraphAttribute>; readonly depth: number },
): void {
  let name = '';
  let attribute: GraphAttribute = {};
  const ints: number[] = [];
  const floats: number[] = [];
  for (const field of reader.fields(range)) {
    if (field.number === 1) name = textOf(reader, field);
    else if (field.number === 7) addSome(floats, floatsOf(reader, field));
    else if (field.number === 8) addSome(ints, numbersOf(reader, field));
    else attribute = { ...attribute, ...readAttributeField(reader, field, depth) };
  }
  to.set(name, { ...attribute, ...(ints.length === 0 ? {} : { ints }), ...(floats.length === 0 ? {} : { floats }) });
}

function addSome(to: number[], more: readonly number[]): void {
  if (to.length < manyNumbers) for (const value of more) to.push(value);
}

function readAttributeField(reader: WireReader, field: Field, depth: number): GraphAttribute {
  switch (field.number) {
    case 3:
      return { int: integerOf(field) };
    // Long texts are data; only short texts select an operator's behaviour.
    case 4:
      return lengthOf(field) > nameBytes
        ? {}
        : { text: Buffer.from(reader.bytes(rangeOf(field), nameBytes)).toString('latin1') };
    case 5:
      return { tensor: readTensor(reader, rangeOf(field)) };
    case 6:
      return { graph: readBody(reader, rangeOf(field), depth + 1) };
    case 21:
      return { refersTo: textOf(reader, field) };
    default:
      return {};
  }
}

function addConstant(reader: WireReader, range: Range, constants: Map<string, GraphConstant>): void {
  const { name, ...constant } = readTensor(reader, range);
  constants.set(name, constant);
}

type Draft = { name: string; code: number; readonly dims: number[]; readonly values: number[]; raw: Range | undefined };

function readTensor(reader: WireReader, range: Range): GraphConstant & { readonly name: string } {
  const draft: Draft = { name: '', code: 0, dims: [], values: [], raw: undefined };
  for (const field of reader.fields(range)) readTensorField(reader, field, draft);
  const { name, dims, code, raw } = draft;
  const values = raw === undefined ? draft.values : rawNumbers(reader, raw, code);
  const count = dims.reduce((product, dim) => product * dim, 1);
  return { name, dims, ...(count <= fewNumbers && values.length === count ? { values } : {}) };
}

function readTensorField(reader: WireReader, field: Field, draft: Draft): void {
  switch (field.number) {
    case 1:
      draft.dims.push(...numbersOf(reader, field));
      break;
    case 2:
      draft.code = integerOf(field);
      break;
    case 4:
      if (lengthOf(field) <= 8 * fewNumbers) draft.values.push(...floatsOf(reader, field));
      break;
    case 5:
    case 7:
      if (lengthOf(field) <= 10 * fewNumbers) addSome(draft.values, numbersOf(reader, field));
      break;
    case 8:
      draft.name = textOf(reader, field);
      break;
    case 9:
      draft.raw = rangeOf(field);
      break;
    default:
      break;
  }
}

function rawNumbers(reader: WireReader, range: Range, code: number): readonly number[] {
  if (range.end - range.start > 8 * fewNumbers) return [];
  const bytes = reader.bytes(range, 8 * fewNumbers);
  const { buffer } = bytes.slice();
  const type = elementTypeOf(code);
  if (type === 'int64' && bytes.length % 8 === 0) return Array.from(new BigInt64Array(buffer), Number);
  if (type === 'int32' && bytes.length % 4 === 0) return [...new Int32Array(buffer)];
  if (type === 'float32' && bytes.length % 4 === 0) return [...new Float32Array(buffer)];
  return type === 'bool' ? [...new Uint8Array(buffer)] : [];
}

function valueName(reader: WireReader, range: Range): string {
  for (const field of reader.fields(range)) if (field.number === 1) return textOf(reader, field);
  return '';
}

/** Signed integers, packed or not. */
function numbersOf(reader: WireReader, field: Field): readonly number[] {
  if (lengthOf(field) > manyNumbers) return [];
  const found =
    field.kind === 'bytes' ? reader.integers(field.range, manyNumbers) : field.kind === 'integer' ? [field.value] : [];
  return found.map((value) => Number(BigInt.asIntN(64, value)));
}

function floatsOf(reader: WireReader, field: Field): readonly number[] {
  if (field.kind === 'integer' || lengthOf(field) > 4 * manyNumbers) return [];
  const bytes = reader.bytes(field.range, 4 * manyNumbers);
  return bytes.length % 4 === 0 ? [...new Float32Array(bytes.slice().buffer)] : [];
}

function textOf(reader: WireReader, field: Field): string {
  return reader.text(rangeOf(field), nameBytes);
}

function integerOf(field: Field): number {
  if (field.kind === 'integer') return Number(BigInt.asIntN(64, field.value));
  throw new WireError(`field ${field.number} at byte ${field.range.start} should be a number`);
}

function rangeOf(field: Field): Range {
  if (field.kind === 'bytes') return field.range;
  throw new WireError(`field ${field.number} should hold bytes`);
}

function lengthOf(field: Field): number {
  return field.kind === 'integer' ? 0 : field.range.end - field.range.start;
}
