/**
 * The Open Inference Protocol v2 from the client's side: what a sidecar asks a runtime, and what it is told.
 *
 * Owns:  requests with binary data both ways, so that every datatype goes and no number loses a digit.
 * Pure.
 */
import type { Signature, TensorSpec } from '../../engine/signature.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import { parseJson } from '../json.ts';
import { datatypeOf, invalid, tensorTypeOf } from './datatypes.ts';
import { readTensors, type DecodeLimits } from './decode.ts';
import { bytesOf } from './encode.ts';

export type EncodedQuestion = {
  readonly body: Buffer;
  /** Goes into Inference-Header-Content-Length. */ readonly jsonBytes: number;
};

/** @param outputs which to ask for; none: all of them */
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
 * @param jsonBytes what the answer's Inference-Header-Content-Length says; undefined: there is no binary data
 * @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE when it is no answer
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

/** The tensors of a parsed answer. @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE */
export function outputsOf(value: unknown, blob: Uint8Array<ArrayBuffer>, limits: DecodeLimits): NamedTensors {
  const outputs =
    typeof value === 'object' && value !== null ? (value as { readonly outputs?: unknown }).outputs : undefined;
  return readTensors(outputs, blob, { ...limits, noun: 'output' });
}

/**
 * What `GET /v2/models/NAME` says that a model takes and gives. Names of free dimensions are not told. @throws AppError
 * REQUEST_INVALID
 */
export function decodeMetadata(body: Uint8Array): Signature {
  const value = parseJson(body, { maxDepth: 8 }, "the model's metadata") as {
    readonly inputs?: unknown;
    readonly outputs?: unknown;
  } | null;
  return { inputs: specsOf(value?.inputs, 'inputs'), outputs: specsOf(value?.outputs, 'outputs') };
}

function specsOf(value: unknown, where: string): readonly TensorSpec[] {
  if (!Array.isArray(value) || value.length > 4096) throw invalid(`the model's metadata has no usable ${where}`);
  return value.map((item: unknown) => {
    const { name, datatype, shape } = (item ?? {}) as {
      readonly name?: unknown;
      readonly datatype?: unknown;
      readonly shape?: unknown;
    };
    const type = typeof datatype === 'string' ? tensorTypeOf(datatype) : undefined;
    if (typeof name !== 'string' || type === undefined || !Array.isArray(shape))
      throw invalid(`the model's metadata has no usable ${where}`);
    return { name, type, dims: shape.map((dim: unknown) => (typeof dim === 'number' && dim >= 0 ? dim : '')) };
  });
}
