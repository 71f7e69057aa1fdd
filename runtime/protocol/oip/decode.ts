/**
 * Decodes an infer request, or an answer's tensors, of the Open Inference Protocol v2 with binary tensor data.
 *
 * Owns:   every check that does not need the model: form, counts, shapes, sizes, datatypes, values. null counts as
 *         absent. Unknown fields are ignored. Unknown parameters are ignored too, unless they would change the answer,
 *         such as parameters of sequences.
 * Limits: DecodeLimits; each is checked before the allocation that it limits.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';
import {
  bytesPerElement,
  makeTensor,
  type ArrayOf,
  type NamedTensors,
  type Tensor,
  type TensorType,
} from '../../engine/tensor.ts';
import { parseJson } from '../json.ts';
import { arrayOfBytes, arrayOfJson, datatypes, invalidRequest, stringsOfBytes, tensorTypeOf } from './datatypes.ts';

export type DecodeLimits = {
  readonly maxTensors: number;
  readonly maxRank: number;
  /** Maximum elements of all inputs together. */
  readonly maxElements: number;
  /** Maximum memory for parsing the JSON; absent when there is no limit. */
  readonly jsonMemoryBytes?: number;
};

export const defaultDecodeLimits: DecodeLimits = { maxTensors: 256, maxRank: 16, maxElements: 2 ** 27 };

export type OutputChoice = {
  readonly name: string;
  /** If absent, the request's `binaryOutput` applies. */ readonly binary?: boolean;
};

export type InferRequest = {
  readonly id?: string;
  readonly inputs: NamedTensors;
  /** The requested outputs; empty when all outputs are requested. */
  readonly outputs: readonly OutputChoice[];
  /** Value of the request's `binary_data_output`. */
  readonly binaryOutput: boolean;
  /**
   * The `timeout` parameter in milliseconds (microseconds in the request, as in Triton); absent when the request does
   * not set it, or sets it to 0.
   */
  readonly timeoutMs?: number;
};

type Fields = Readonly<Record<string, unknown>>;

/**
 * @param body the JSON, followed by the binary data of inputs if there is any
 * @param jsonBytes how many bytes of the body are JSON: the Inference-Header-Content-Length
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE
 */
export function decodeInfer(body: Uint8Array<ArrayBuffer>, jsonBytes: number, limits: DecodeLimits): InferRequest {
  if (jsonBytes > body.length)
    throw invalidRequest(`Inference-Header-Content-Length is ${jsonBytes}, but the body has only ${body.length} bytes`);
  const rules = {
    maxDepth: limits.maxRank + 8,
    memoryBytes: limits.jsonMemoryBytes ?? Infinity,
    advice: 'send fewer values, or tensors as binary data',
  };
  return inferRequestOf(parseJson(body.subarray(0, jsonBytes), rules, 'the request'), body.subarray(jsonBytes), limits);
}

/**
 * Builds the request from parsed JSON and the binary data after it.
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE
 */
export function inferRequestOf(value: unknown, blob: Uint8Array<ArrayBuffer>, limits: DecodeLimits): InferRequest {
  const request = fieldsOf(value, 'the request');
  const parameters = parametersOf(request, 'the request', refusedOfRequests);
  const id = textOrNone(request['id'], 'id');
  const timeoutMs = timeoutOf(parameters);
  return {
    ...(id === undefined ? {} : { id }),
    inputs: readTensors(request['inputs'], blob, { ...limits, noun: 'input' }),
    outputs: isAbsent(request['outputs']) ? [] : readOutputs(listOf(request['outputs'], 'outputs', limits.maxTensors)),
    binaryOutput: flagOf(parameters, 'binary_data_output', 'the request') ?? false,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

/** The limits, and the noun with which messages name a tensor: `input 'x'`, `inputs[2]`. */
type TensorRules = DecodeLimits & { readonly noun: 'input' | 'output' };

/**
 * The tensors of a request's `inputs`, or of an answer's `outputs`, which have the same form.
 * @param blob the binary data of all these tensors, in their order
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE
 */
export function readTensors(value: unknown, blob: Uint8Array<ArrayBuffer>, rules: TensorRules): NamedTensors {
  const { noun } = rules;
  const tensors = new Map<string, Tensor>();
  let at = 0;
  let elements = 0;
  for (const [position, item] of listOf(value, `${noun}s`, rules.maxTensors).entries()) {
    const head = readHead(item, position, rules);
    if (tensors.has(head.name)) throw invalidRequest(`${head.where} is given twice`);
    elements += head.count;
    if (elements > rules.maxElements)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: `the ${noun}s have ${elements} elements`,
        limit: rules.maxElements,
      });
    const size = head.binaryBytes ?? 0;
    if (at + size > blob.length)
      throw invalidRequest(
        `${head.where}: binary_data_size ${size} extends past the end of the body, which has ${blob.length - at} ` +
          'bytes left',
      );
    tensors.set(
      head.name,
      head.binaryBytes === undefined ? fromJson(head) : fromBytes(head, blob.subarray(at, at + size)),
    );
    at += size;
  }
  if (at !== blob.length)
    throw invalidRequest(
      `the body has ${blob.length} bytes of binary data, but the ${noun}s' binary_data_size add up to ${at}`,
    );
  return Object.fromEntries(tensors);
}

type Head = {
  readonly name: string;
  readonly where: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly count: number;
  readonly data: unknown;
  readonly binaryBytes: number | undefined;
};

function readHead(value: unknown, position: number, { noun, maxRank }: TensorRules): Head {
  const tensor = fieldsOf(value, `${noun}s[${position}]`);
  const name = nameOf(tensor, `${noun}s[${position}]`);
  const where = `${noun} '${name}'`;
  const datatype = tensor['datatype'];
  const type = typeof datatype === 'string' ? tensorTypeOf(datatype) : undefined;
  if (type === undefined)
    throw invalidRequest(`${where}: datatype ${shown(datatype)} is not one of ${datatypes.join(', ')}`);
  const dims = shapeOf(tensor['shape'], where, maxRank);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const parameters = parametersOf(tensor, where, refusedOfInputs);
  return {
    name,
    where,
    type,
    dims,
    count,
    data: tensor['data'],
    binaryBytes: binarySizeOf(parameters, tensor['data'], where),
  };
}

/** @throws AppError REQUEST_INVALID for an invalid shape */
export function shapeOf(value: unknown, where: string, maxRank: number): readonly number[] {
  if (!Array.isArray(value)) throw invalidRequest(`${where}: shape is missing or not a list of integers`);
  if (value.length > maxRank)
    throw invalidRequest(`${where}: shape has ${value.length} dimensions, more than the limit of ${maxRank}`);
  const wrong = value.findIndex((dim) => !Number.isSafeInteger(dim) || (dim as number) < 0);
  if (wrong >= 0)
    throw invalidRequest(
      `${where}: dimension ${wrong} of its shape is ${shown(value[wrong])}, not an integer of 0 or more`,
    );
  return value as number[];
}

function binarySizeOf(parameters: Fields, data: unknown, where: string): number | undefined {
  const size = parameters['binary_data_size'];
  if (isAbsent(size)) return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0)
    throw invalidRequest(`${where}: binary_data_size is ${shown(size)}, not a number of bytes`);
  if (!isAbsent(data)) throw invalidRequest(`${where} has both data and binary_data_size: send one of them`);
  return size as number;
}

function fromJson({ type, dims, count, data, where }: Head): Tensor {
  if (!Array.isArray(data)) throw invalidRequest(`${where}: data is missing or not a list`);
  const values = flattenNested(data, dims, where);
  if (values.length !== count)
    throw invalidRequest(
      `${where}: data has ${values.length} elements, but its shape [${dims.join(',')}] needs ${count}`,
    );
  return makeTensor(type, dims, arrayOfJson(type, values, where));
}

function fromBytes({ type, dims, count, where }: Head, bytes: Uint8Array<ArrayBuffer>): Tensor {
  return makeTensor(type, dims, readBytes(type, count, bytes, where));
}

/** @throws AppError REQUEST_INVALID when the bytes are not `count` elements of that type */
export function readBytes(
  type: TensorType,
  count: number,
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): ArrayOf[TensorType] {
  if (type === 'string') return stringsOfBytes(bytes, count, where);
  const want = count * (bytesPerElement(type) ?? 0);
  if (bytes.length !== want)
    throw invalidRequest(`${where} has ${bytes.length} bytes of binary data, but its shape and datatype need ${want}`);
  return arrayOfBytes(type, bytes, where);
}

function readOutputs(list: readonly unknown[]): readonly OutputChoice[] {
  const names = new Set<string>();
  return list.map((value, position) => {
    const output = fieldsOf(value, `outputs[${position}]`);
    const name = nameOf(output, `outputs[${position}]`);
    if (names.has(name)) throw invalidRequest(`output '${name}' is requested twice`);
    names.add(name);
    const binary = flagOf(
      parametersOf(output, `output '${name}'`, refusedOfOutputs),
      'binary_data',
      `output '${name}'`,
    );
    return binary === undefined ? { name } : { name, binary };
  });
}

const noSharedMemory = 'shared memory is not supported';
const refusedOfInputs: Readonly<Record<string, string>> = { shared_memory_region: noSharedMemory };
const refusedOfOutputs: Readonly<Record<string, string>> = {
  shared_memory_region: noSharedMemory,
  classification: 'the classification extension is not supported',
};
const refusedOfRequests: Readonly<Record<string, string>> = { sequence_id: 'stateful sequences are not supported' };

function parametersOf(holder: Fields, where: string, refused: Readonly<Record<string, string>>): Fields {
  const value = holder['parameters'];
  if (isAbsent(value)) return {};
  const parameters = fieldsOf(value, `parameters of ${where}`);
  for (const [name, why] of Object.entries(refused)) {
    // A sequence id of 0 means "no sequence".
    if (!isAbsent(parameters[name]) && parameters[name] !== 0)
      throw invalidRequest(`parameter ${name} of ${where}: ${why}`);
  }
  return parameters;
}

function flagOf(parameters: Fields, name: string, where: string): boolean | undefined {
  const value = parameters[name] ?? undefined;
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidRequest(`parameter ${name} of ${where} is ${shown(value)}, not true or false`);
  return value;
}

function timeoutOf(parameters: Fields): number | undefined {
  const micros = parameters['timeout'];
  if (isAbsent(micros) || micros === 0) return undefined;
  if (!Number.isSafeInteger(micros) || (micros as number) < 0)
    throw invalidRequest(`parameter timeout is ${shown(micros)}, not a number of microseconds`);
  return (micros as number) / 1000;
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidRequest(`${where} is not a JSON object`);
  return value as Fields;
}

function listOf(value: unknown, where: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidRequest(`${where} is missing or not a list`);
  if (value.length > max) throw invalidRequest(`${where} has ${value.length} entries, more than the limit of ${max}`);
  return value;
}

function nameOf(holder: Fields, where: string): string {
  const name = holder['name'];
  if (typeof name !== 'string' || name === '' || name.length > 512)
    throw invalidRequest(`${where}: name is ${shown(name)}, not a text of 1 to 512 characters`);
  return name;
}

function textOrNone(value: unknown, where: string): string | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value !== 'string') throw invalidRequest(`${where} is ${shown(value)}, not a text`);
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * @returns the elements in row-major order. Data that is already flat is returned as it is; its length is not checked.
 * @throws AppError REQUEST_INVALID when the nesting does not match the shape
 */
function flattenNested(data: readonly unknown[], dims: readonly number[], where: string): readonly unknown[] {
  if (!Array.isArray(data[0])) {
    const nested = data.findIndex((value) => Array.isArray(value));
    if (nested >= 0)
      throw invalidRequest(`${where}: element ${nested} of data is a list, but other elements are values`);
    return data;
  }
  const flat: unknown[] = [];
  collect(data, dims, 0, { flat, where });
  return flat;
}

type Target = { readonly flat: unknown[]; readonly where: string };

function collect(list: readonly unknown[], dims: readonly number[], axis: number, into: Target): void {
  if (list.length !== dims[axis])
    throw invalidRequest(
      `${into.where}: a list at depth ${axis + 1} of its data has ${list.length} entries, but its shape ` +
        `[${dims.join(',')}] needs ${dims[axis] ?? 'none'}`,
    );
  const last = axis === dims.length - 1;
  for (const value of list) {
    if (Array.isArray(value) === last)
      throw invalidRequest(`${into.where}: the nesting of its data does not match its shape [${dims.join(',')}]`);
    if (last) into.flat.push(value);
    else collect(value as unknown[], dims, axis + 1, into);
  }
}
