/**
 * Encodes an infer response of the Open Inference Protocol v2, with the binary tensor data extension.
 *
 * Owns:  the JSON form of every datatype, the order and sizes of binary data.
 * Pure.  Binary data are views of the tensors' memory; only strings are copied.
 */
import { datatypeOf, invalidRequest } from './datatypes.ts';
import type { Tensor } from '../../engine/tensor.ts';

export type InferResponse = {
  readonly model: string;
  readonly version: string;
  readonly id?: string;
  readonly outputs: readonly { readonly name: string; readonly tensor: Tensor; readonly binary: boolean }[];
};

export type EncodedResponse = {
  readonly json: string;
  /** The binary data of outputs, which follows the JSON in this order; undefined when no output is binary. */
  readonly blobs: readonly Uint8Array[] | undefined;
};

/** @throws AppError REQUEST_INVALID for values that JSON cannot express */
export function encodeInfer(response: InferResponse): EncodedResponse {
  const blobs: Uint8Array[] = [];
  const outputs = response.outputs.map(({ name, tensor, binary }) => {
    const head =
      `{"name":${quoted(name)},"datatype":"${datatypeOf(tensor.type)}",` + `"shape":[${tensor.dims.join(',')}]`;
    if (!binary) return `${head},"data":${jsonOf(tensor, name)}}`;
    const bytes = bytesOf(tensor);
    blobs.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.length}}}`;
  });
  const id = response.id === undefined ? '' : `"id":${JSON.stringify(response.id)},`;
  const json =
    `{"model_name":${quoted(response.model)},"model_version":${quoted(response.version)},` +
    `${id}"outputs":[${outputs.join(',')}]}`;
  return { json, blobs: blobs.length > 0 ? blobs : undefined };
}

const knownQuotes = new Map<string, string>();
const mostQuotes = 256;

/** The name as JSON. Remembered, because every answer has the same names of the model and its outputs. */
function quoted(name: string): string {
  const known = knownQuotes.get(name);
  if (known !== undefined) return known;
  const text = JSON.stringify(name);
  if (knownQuotes.size < mostQuotes) knownQuotes.set(name, text);
  return text;
}

/** The tensor's values as a flat, row-major list, as the protocol requires. Integers beyond 2^53 keep all digits. */
function jsonOf(tensor: Tensor, name: string): string {
  switch (tensor.type) {
    case 'string':
      return JSON.stringify(tensor.data);
    case 'bool':
      return `[${Array.from(tensor.data, (value) => (value === 0 ? 'false' : 'true')).join(',')}]`;
    case 'float16':
      throw noJsonForm(name);
    case 'float32':
    case 'float64':
      return jsonOfFloats(tensor.data, name);
    default:
      return `[${tensor.data.join(',')}]`;
  }
}

/**
 * The error for an FP16 output in JSON. The request is refused before the model runs if the model file gives the type
 * of the output, otherwise when the output is encoded.
 */
export function noJsonForm(name: string): Error {
  return invalidRequest(
    `output '${name}' is FP16, which JSON cannot express: request binary data (parameters: {"binary_data": true})`,
  );
}

function jsonOfFloats(values: Float32Array | Float64Array, name: string): string {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw invalidRequest(
      `output '${name}': element ${wrong} is ${String(values[wrong])}, which JSON cannot express: request binary ` +
        'data (parameters: {"binary_data": true})',
    );
  }
  // join is faster for few values, and the native serialiser is faster for many values.
  return values.length <= 1000 ? `[${values.join(',')}]` : JSON.stringify(Array.from(values));
}

/** A tensor's binary data: a view of its memory, or for strings a copy with lengths. */
export function bytesOf(tensor: Tensor): Uint8Array {
  if (tensor.type !== 'string')
    return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const texts = tensor.data.map((text) => Buffer.from(text, 'utf8'));
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + 4 + text.length, 0));
  let at = 0;
  for (const text of texts) {
    bytes.writeUInt32LE(text.length, at);
    text.copy(bytes, at + 4);
    at += 4 + text.length;
  }
  return bytes;
}
