/**
 * The expected result of an infer request of the Open Inference Protocol, computed without code of the runtime.
 * Owns: what a correct answer to a tensor request is: the expected outputs, a refusal (status 400 or 413), or `Unsure`
 * where the protocol allows several answers.
 * Pure.
 */
import type { Datatype, RefTensor, TensorModel, Values } from './models.ts';
import {
  fields,
  flag,
  isCount,
  list,
  nameOf,
  parametersOf,
  present,
  refuse,
  Stop,
  unsure,
  type Fields,
  type Judgement,
  type Wanted,
} from './judgement.ts';
import { textOf, valuesOfBytes, widths } from './tensor-bytes.ts';

/** @param header the value of Inference-Header-Content-Length; undefined when the header is absent */
export function judge(model: TensorModel, body: Buffer, header: string | undefined): Judgement {
  try {
    return read(model, body, header);
  } catch (error) {
    if (error instanceof Stop) return error.judgement;
    throw error;
  }
}

function read(model: TensorModel, body: Buffer, header: string | undefined): Judgement {
  if (header !== undefined && !/^\d{1,15}$/.test(header)) refuse('header');
  const jsonBytes = header === undefined ? body.length : Number(header);
  if (jsonBytes > body.length) refuse('header beyond the body');
  if (header !== undefined && jsonBytes === 0) return readRaw(model, body);
  const request = fields(parse(body.subarray(0, jsonBytes)), 'request');
  const { byDefault, mayExpire } = readParameters(request);
  const read = (): Judgement => {
    const id = idOf(request);
    const inputs = readInputs(request['inputs'], body.subarray(jsonBytes));
    return { ...answerOf(model, inputs, readOutputs(request['outputs']), byDefault), id, mayExpire };
  };
  return mayExpire ? orExpired(read) : read();
}

/** Sets `mayExpire` on a refusal: the request has a timeout, and may time out before the server refuses it. */
function orExpired(read: () => Judgement): Judgement {
  try {
    return read();
  } catch (error) {
    if (error instanceof Stop && error.judgement.kind === 'Refused') return { ...error.judgement, mayExpire: true };
    throw error;
  }
}

function readParameters(request: Fields): { readonly byDefault: boolean; readonly mayExpire: boolean } {
  const parameters = parametersOf(request);
  if (present(parameters['sequence_id']) && parameters['sequence_id'] !== 0) refuse('sequence');
  const timeout = parameters['timeout'];
  if (present(timeout) && !isCount(timeout)) refuse('timeout');
  return { byDefault: flag(parameters['binary_data_output']) ?? false, mayExpire: present(timeout) && timeout !== 0 };
}

function idOf({ id }: Fields): string | undefined {
  if (!present(id)) return undefined;
  if (typeof id !== 'string') return refuse('id');
  return id.isWellFormed() ? id : unsure();
}

function parse(bytes: Buffer): unknown {
  if (bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) unsure();
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('not JSON');
  }
  if (depthOf(text) > 24) refuse('too deep');
  return value;
}

/** The depth of the deepest nesting of lists and objects in a JSON text. */
function depthOf(text: string): number {
  let [depth, most] = [0, 0];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === '[' || token === '{') most = Math.max(most, (depth += 1));
    else if (token === ']' || token === '}') depth -= 1;
  }
  return most;
}

function readRaw(model: TensorModel, body: Buffer): Judgement {
  const [spec, ...others] = model.inputs;
  if (spec === undefined || others.length > 0) return refuse('several inputs');
  const fixed = spec.dims.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  const free = spec.dims.filter((dim) => dim === null).length;
  if (spec.datatype === 'BYTES') return readRawText(body, fixed);
  const count = body.length / widths[spec.datatype].width;
  const rest = count / fixed;
  if (!Number.isInteger(count) || !Number.isInteger(rest) || (free === 0 && rest !== 1)) refuse('raw size');
  if (count === 0) unsure();
  const values = valuesOfBytes(spec.datatype, body, count) ?? refuse('raw values');
  const input: RefTensor = {
    name: spec.name,
    datatype: spec.datatype,
    dims: spec.dims.map((dim) => dim ?? rest),
    values,
  };
  return { ...answerOf(model, new Map([[spec.name, input]]), new Map(), true), id: undefined, mayExpire: false };
}

/** A raw body for a string tensor is one string. The reference does not compute the answer to a valid one. */
function readRawText(body: Buffer, fixed: number): Judgement {
  if (fixed !== 1 || textOf(body) === undefined) refuse('raw text');
  return unsure();
}

function readInputs(value: unknown, blob: Buffer): ReadonlyMap<string, RefTensor> {
  const inputs = new Map<string, RefTensor>();
  let at = 0;
  for (const item of list(value, 'inputs')) {
    const tensor = fields(item, 'input');
    const name = nameOf(tensor);
    if (inputs.has(name)) refuse('input twice');
    const size = sizeOf(tensor);
    if (at + (size ?? 0) > blob.length) refuse('size beyond the body');
    inputs.set(name, readTensor(name, tensor, size === undefined ? undefined : blob.subarray(at, at + size)));
    at += size ?? 0;
  }
  if (at !== blob.length) refuse('bytes left over');
  return inputs;
}

function sizeOf(tensor: Fields): number | undefined {
  const parameters = parametersOf(tensor);
  if (present(parameters['shared_memory_region']) && parameters['shared_memory_region'] !== 0) refuse('shared memory');
  const size = parameters['binary_data_size'];
  if (!present(size)) return undefined;
  if (!isCount(size) || present(tensor['data'])) refuse('size');
  return Number(size);
}

function readTensor(name: string, tensor: Fields, bytes: Buffer | undefined): RefTensor {
  const datatype = tensor['datatype'];
  if (!isDatatype(datatype)) return refuse('datatype');
  const dims = shapeOf(tensor['shape']);
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (count > 2 ** 26) refuse('elements');
  const values =
    bytes === undefined
      ? fromJson(datatype, tensor['data'], dims, count)
      : (valuesOfBytes(datatype, bytes, count) ?? refuse('bytes'));
  return { name, datatype, dims, values };
}

function isDatatype(value: unknown): value is Datatype {
  return value === 'BYTES' || (typeof value === 'string' && Object.hasOwn(widths, value));
}

function shapeOf(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length > 16 || !value.every(isCount)) return refuse('shape');
  return value;
}

function fromJson(datatype: Datatype, data: unknown, dims: readonly number[], count: number): Values {
  if (!Array.isArray(data)) return refuse('data');
  const flat = Array.isArray(data[0]) ? flatten(data, dims) : data;
  if (flat.length !== count) refuse('count');
  return flat.map((value: unknown) => valueOf(datatype, value));
}

function flatten(data: readonly unknown[], dims: readonly number[]): readonly unknown[] {
  const [length, ...rest] = dims;
  if (data.length !== length) refuse('nesting');
  if (rest.length === 0) return data;
  return data.flatMap((item) => (Array.isArray(item) ? flatten(item, rest) : refuse('nesting')));
}

const ranges: Readonly<Partial<Record<Datatype, readonly [bigint, bigint]>>> = {
  INT8: [-128n, 127n],
  UINT8: [0n, 255n],
  INT16: [-32_768n, 32_767n],
  UINT16: [0n, 65_535n],
  INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  UINT32: [0n, 2n ** 32n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
};

function valueOf(datatype: Datatype, value: unknown): number | bigint | string {
  switch (datatype) {
    case 'BYTES':
      return isText(value) ? value : refuse('text');
    case 'BOOL':
      return bitOf(value);
    case 'FP16':
      return refuse('FP16 as JSON');
    case 'FP32':
      return floatOf(typeof value === 'number' ? Math.fround(value) : value);
    case 'FP64':
      return floatOf(value);
    default:
      return integerOf(datatype, value);
  }
}

/**
 * True when the runtime can pass the string to ONNX Runtime without a change. Node's binding ends a string at NUL, and
 * a lone surrogate has no UTF-8 form.
 */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed();
}

function bitOf(value: unknown): number {
  return typeof value === 'boolean' || value === 1 || value === 0 ? Number(value) : refuse('flag');
}

function floatOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : refuse('float');
}

function integerOf(datatype: Datatype, value: unknown): number | bigint {
  const wide = datatype === 'INT64' || datatype === 'UINT64';
  const whole = typeof value === 'string' && wide ? digitsOf(value) : wholeOf(value);
  const [low, high] = ranges[datatype] ?? refuse('datatype');
  if (whole < low || whole > high) refuse('range');
  return wide ? whole : Number(whole);
}

function digitsOf(text: string): bigint {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : refuse('digits');
}

function wholeOf(value: unknown): bigint {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : refuse('integer');
}

function readOutputs(value: unknown): ReadonlyMap<string, boolean | undefined> {
  const asked = new Map<string, boolean | undefined>();
  for (const item of present(value) ? list(value, 'outputs') : []) {
    const output = fields(item, 'output');
    const name = nameOf(output);
    if (asked.has(name)) refuse('output twice');
    const parameters = parametersOf(output);
    for (const refused of ['shared_memory_region', 'classification']) {
      if (present(parameters[refused]) && parameters[refused] !== 0) refuse(refused);
    }
    asked.set(name, flag(parameters['binary_data']));
  }
  return asked;
}

type Chosen = ReadonlyMap<string, boolean | undefined>;

function answerOf(
  model: TensorModel,
  inputs: ReadonlyMap<string, RefTensor>,
  asked: Chosen,
  byDefault: boolean,
): { readonly kind: 'Answer'; readonly outputs: readonly Wanted[]; readonly largest: number } {
  checkSignature(model, inputs);
  const names = asked.size === 0 ? model.outputs.map(({ name }) => name) : [...asked.keys()];
  if (names.some((name) => !model.outputs.some((output) => output.name === name))) refuse('unknown output');
  const firsts = new Set([...inputs.values()].map(({ dims }) => dims[0]));
  // ONNX Runtime decides whether it accepts inputs with different numbers of rows (broadcasting) or with zero rows, so
  // the reference does not decide.
  if (firsts.size > 1 || [...inputs.values()].some(({ dims }) => dims.includes(0))) unsure();
  const computed = model.compute(inputs);
  const outputs = names.map((name) => {
    const tensor = computed.find((output) => output.name === name) ?? refuse('no output');
    return { ...tensor, binary: asked.get(name) ?? byDefault };
  });
  if (
    outputs.some(({ binary, datatype, values }) => !binary && (datatype === 'FP16' || hasNoJsonForm(datatype, values)))
  )
    refuse('no JSON form');
  return { kind: 'Answer', outputs, largest: largestOf(inputs) };
}

function hasNoJsonForm(datatype: Datatype, values: Values): boolean {
  return (datatype === 'FP32' || datatype === 'FP64') && values.some((value) => !Number.isFinite(value));
}

function largestOf(inputs: ReadonlyMap<string, RefTensor>): number {
  return [...inputs.values()].reduce(
    (most, { values }) =>
      values.reduce<number>((largest, value) => Math.max(largest, Math.abs(Number(value)) || 0), most),
    1,
  );
}

function checkSignature({ inputs: specs }: TensorModel, inputs: ReadonlyMap<string, RefTensor>): void {
  if (inputs.size !== specs.length) refuse('inputs of another model');
  for (const spec of specs) {
    const tensor = inputs.get(spec.name) ?? refuse('missing input');
    if (tensor.datatype !== spec.datatype || tensor.dims.length !== spec.dims.length) refuse('type or rank');
    if (spec.dims.some((dim, axis) => dim !== null && dim !== tensor.dims[axis])) refuse('dimension');
  }
}
