/**
 * OpenAI's `POST /v1/embeddings`: the form of requests and answers.
 *
 * Owns:   the fields, their limits and error messages; the bodies of answers and errors (OpenAI's OpenAPI description).
 * Limits: 2048 inputs per request. Unknown fields are refused, because ignoring a field such as `input_type` would
 *         change the meaning of the request.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';
import { isRecord, ownValue } from '../../../api/record.ts';
import type { ClientError } from '../../call/call.ts';
import { parseJson } from '../json.ts';

export const embeddingsPath = '/v1/embeddings';
export const maxInputs = 2048;
/** Maximum nesting: the object, its list of inputs, and a list of token ids in that list. */
const maxDepth = 3;

export type Encoding = 'float' | 'base64';

export type EmbeddingsRequest = {
  readonly model: string;
  /**
   * The inputs as the client sent them: texts, or lists of token ids. The list has at least one input, and no input is
   * empty.
   */
  readonly inputs: readonly string[] | readonly (readonly number[])[];
  /** Name of an input in messages: `input` for a single input, else `input[3]`. */
  readonly fieldOf: (index: number) => string;
  readonly encoding: Encoding;
  readonly dimensions?: number;
};

const fields = ['model', 'input', 'encoding_format', 'dimensions', 'user'] as const;

/**
 * @param memoryBytes maximum memory for parsing
 * @throws AppError FIELD_INVALID naming the field, REQUEST_INVALID for a body that is not a JSON object,
 * REQUEST_TOO_LARGE when parsing would take more than `memoryBytes`
 */
export function parseEmbeddingsRequest(body: Uint8Array, memoryBytes = Infinity): EmbeddingsRequest {
  const value = parseJson(body, { maxDepth, memoryBytes, advice: 'send fewer inputs in one request' }, 'the body');
  if (!isRecord(value)) throw new AppError('REQUEST_INVALID', { problem: 'the body is not a JSON object' });
  const unknown = Object.keys(value).find((key) => !(fields as readonly string[]).includes(key));
  if (unknown !== undefined) throw wrong(printName(unknown), `unknown field; known fields: ${fields.join(', ')}`);
  const { model, user } = value;
  if (typeof model !== 'string' || model === '') throw wrong('model', 'is required: the name of the model, as text');
  if (user !== undefined && user !== null && typeof user !== 'string') throw wrong('user', 'must be text');
  const dimensions = readDimensions(value['dimensions']);
  return {
    model,
    ...readInputs(value['input']),
    encoding: readEncoding(value['encoding_format']),
    ...(dimensions === undefined ? {} : { dimensions }),
  };
}

function readInputs(value: unknown): Pick<EmbeddingsRequest, 'inputs' | 'fieldOf'> {
  if (value === undefined || value === null) throw wrong('input', 'is required: text, a list of texts, or token ids');
  const alone = typeof value === 'string' || (Array.isArray(value) && typeof value[0] === 'number');
  const fieldOf = alone ? (): string => 'input' : (index: number): string => `input[${index}]`;
  const inputs: unknown = alone ? [value] : value;
  if (!Array.isArray(inputs) || inputs.length === 0)
    throw wrong('input', 'must be text, a list of texts, or token ids, and not empty');
  if (inputs.length > maxInputs)
    throw wrong('input', `has ${inputs.length} entries, more than the limit of ${maxInputs}`);
  const texts = typeof inputs[0] === 'string';
  inputs.forEach((input: unknown, index) =>
    texts ? checkText(input, fieldOf(index)) : checkIds(input, fieldOf(index)),
  );
  return { inputs: inputs as readonly string[] | readonly (readonly number[])[], fieldOf };
}

function checkText(input: unknown, field: string): void {
  if (typeof input !== 'string') throw wrong(field, 'must be text, like the first entry');
  if (input === '') throw wrong(field, 'is empty');
  // JSON can express half of a surrogate pair; a tokenizer would read it as another character.
  if (!input.isWellFormed()) throw wrong(field, 'is not text: it contains half of a surrogate pair');
}

function checkIds(input: unknown, field: string): void {
  if (!Array.isArray(input)) throw wrong(field, 'must be text or a list of token ids, the same for all entries');
  if (input.length === 0) throw wrong(field, 'is empty');
  const odd: unknown = input.find((id) => !Number.isSafeInteger(id) || id < 0);
  if (odd !== undefined) throw wrong(field, 'must be integers of 0 or more, because they are token ids');
}

function readEncoding(value: unknown): Encoding {
  if (value === undefined || value === null) return 'float';
  if (value !== 'float' && value !== 'base64') throw wrong('encoding_format', "must be 'float' or 'base64'");
  return value;
}

function readDimensions(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw wrong('dimensions', 'must be an integer of 1 or more');
  return value;
}

/** One entry of the answer's `data`. base64 encodes the little-endian float32 values. */
export function printEmbedding(index: number, vector: Float32Array, encoding: Encoding): string {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  const printed = encoding === 'base64' ? `"${bytes.toString('base64')}"` : JSON.stringify(Array.from(vector));
  return `{"object":"embedding","index":${index},"embedding":${printed}}`;
}

/** @param entries made by `printEmbedding`, in the order of the inputs */
export function printEmbeddingsReply(entries: readonly string[], model: string, tokens: number): string {
  return (
    `{"object":"list","data":[${entries.join(',')}],"model":${JSON.stringify(model)},"usage":{"prompt_tokens":` +
    `${tokens},"total_tokens":${tokens}}}`
  );
}

const codeNames: Readonly<Record<string, string>> = {
  MODEL_UNKNOWN: 'model_not_found',
  INPUT_TOO_LONG: 'context_length_exceeded',
};

/** The error object of OpenAI's API with its four keys. `param` is the name of the invalid field. */
export function openAiError({ status, code, message, params }: ClientError): unknown {
  const field = code === 'MODEL_UNKNOWN' ? 'model' : isRecord(params) ? params['field'] : null;
  return {
    error: {
      message,
      type: typeOf(status),
      param: typeof field === 'string' ? field : null,
      code: ownValue(codeNames, code) ?? code.toLowerCase(),
    },
  };
}

function typeOf(status: number): string {
  if (status === 401 || status === 403) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

function wrong(field: string, problem: string): AppError {
  return new AppError('FIELD_INVALID', { field, problem });
}

/** Shortens a field's name for messages, because it comes from outside. */
function printName(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64)}…`;
}
