/**
 * Client side of the Open Inference Protocol v2: a sidecar's requests to a runtime, and their answers.
 *
 * Owns:  requests and answers with binary data, so that every datatype is supported and numbers keep all digits.
 * Pure.
 */
import type { Signature, TensorSpec } from '../../engine/signature.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import { parseJson } from '../json.ts';
import { datatypeOf, invalidRequest, tensorTypeOf } from './datatypes.ts';
import { readTensors, type DecodeLimits } from './decode.ts';
import { bytesOf } from './encode.ts';

export type EncodedQuestion = {
  readonly body: Buffer;
  /** Value of the Inference-Header-Content-Length header. */ readonly jsonBytes: number;
};

/** @param outputs names of the outputs to request; if empty, all outputs are requested */
export function encodeQuestion(inputs: NamedTensors, outputs: readonly string[]): EncodedQuestion {
  const blobs = Object.values(inputs).map(bytesOf);
  const heads = Object.entries(inputs).map(([name, { type, dims }], index) => ({
    name,
    datatype: datatypeOf(type),
    shape: dims,
    parameters: { binary_data_size: blobs[index]?.length ?? 0 },
  }));
  const chosen = outputs.length === 0 ? {} : { outputs: outputs.map((name) => ({ name })) };
  const json = Buffer.from(JSON.stringify({ inputs: heads, ...chosen, parameters: { binary_data_output: true } }));
  return { body: Buffer.concat([json, ...blobs]), jsonBytes: json.length };
}

/**
 * @param jsonBytes value of the answer's Inference-Header-Content-Length; undefined if the answer has no binary data
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE when the answer is invalid
 */
export function decodeAnswer(
  body: Uint8Array<ArrayBuffer>,
  jsonBytes: number | undefined,
  limits: DecodeLimits,
): NamedTensors {
  const end = Math.min(jsonBytes ?? body.length, body.length);
  return outputsOf(
    parseJson(body.subarray(0, end), { maxDepth: limits.maxRank + 8 }, 'the answer'),
    body.subarray(end),
    limits,
  );
}

/**
 * The tensors of a parsed answer.
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE
 */
export function outputsOf(value: unknown, blob: Uint8Array<ArrayBuffer>, limits: DecodeLimits): NamedTensors {
  const outputs =
    typeof value === 'object' && value !== null ? (value as { readonly outputs?: unknown }).outputs : undefined;
  return readTensors(outputs, blob, { ...limits, noun: 'output' });
}

/**
 * The signature in the answer of `GET /v2/models/NAME`. It does not contain names of free dimensions.
 * @throws AppError REQUEST_INVALID
 */
export function decodeMetadata(body: Uint8Array): Signature {
  const value = parseJson(body, { maxDepth: 8 }, "the model's metadata") as {
    readonly inputs?: unknown;
    readonly outputs?: unknown;
  } | null;
  return { inputs: specsOf(value?.inputs, 'inputs'), outputs: specsOf(value?.outputs, 'outputs') };
}

function specsOf(value: unknown, where: string): readonly TensorSpec[] {
  if (!Array.isArray(value) || value.length > 4096) throw invalidRequest(`the model's metadata has no usable ${where}`);
  return value.map((item: unknown) => {
    const { name, datatype, shape } = (item ?? {}) as {
      readonly name?: unknown;
      readonly datatype?: unknown;
      readonly shape?: unknown;
    };
    const type = typeof datatype === 'string' ? tensorTypeOf(datatype) : undefined;
    if (typeof name !== 'string' || type === undefined || !Array.isArray(shape))
      throw invalidRequest(`the model's metadata has no usable ${where}`);
    return { name, type, dims: shape.map((dim: unknown) => (typeof dim === 'number' && dim >= 0 ? dim : '')) };
  });
}
