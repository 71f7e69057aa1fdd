/**
 * One golden case: a request to a model and, optionally, the expected answer.
 *
 * Owns:   the shape of a parsed case, in the form of the Open Inference Protocol or of /v1/embeddings. set.ts owns the
 *         file format.
 * Limits: `caseLimits`; values are checked as in a request to a server.
 * Terms:  a golden set is a file of cases. The pods of a candidate (the new revision) must answer them before they get
 *         traffic. Stable is the revision that serves.
 * Pure.   Throws AppError GOLDEN_SET_INVALID with the place in the set.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import type { NamedTensors } from '../engine/tensor.ts';
import { encodeQuestion, outputsOf } from '../protocol/oip/client.ts';
import { inferRequestOf, type DecodeLimits } from '../protocol/oip/decode.ts';
import { embeddingsPath } from '../protocol/openai/embeddings.ts';
import type { Question } from '../protocol/ask-runtime.ts';
import { embeddingsOf } from './embeddings.ts';

export type GoldenCase = {
  /** The case's place in the set, for messages: `line 3`, `case 7`. */
  readonly where: string;
  readonly question: Question;
  /** How to parse the answer's body. */
  readonly form: 'tensors' | 'embeddings';
  /** The expected answer. If absent, the answer is compared with stable's answer. */
  readonly expected?: NamedTensors;
};

/**
 * Limits of one case. `bytes` limits a line, or each of the two frames of a case in binary form. `tensors` limits the
 * request and the expected answer separately.
 */
export const caseLimits = {
  bytes: 4 * 2 ** 20,
  tensors: { maxTensors: 256, maxRank: 16, maxElements: 2 ** 20 } satisfies DecodeLimits,
} as const;
/**
 * Maximum nesting of a line's JSON: a tensor's lists nest as deep as its rank, and the objects around the lists add
 * further levels.
 */
export const caseDepth = caseLimits.tensors.maxRank + 10;

/** A case's parsed JSON, with the binary data of its request and of its expected answer. */
export type RawCase = {
  readonly request: unknown;
  readonly requestBlob: Uint8Array<ArrayBuffer>;
  readonly expected: unknown;
  readonly expectedBlob: Uint8Array<ArrayBuffer>;
};

/**
 * @param model name of the model in URLs
 * @throws AppError GOLDEN_SET_INVALID
 */
export function caseOf(raw: RawCase, where: string, model: string): GoldenCase {
  if (!isRecord(raw.request)) throw invalidCase(where, 'request is missing or not a JSON object');
  const expected = raw.expected ?? undefined;
  if (expected !== undefined && !isRecord(expected)) throw invalidCase(where, 'expected is not a JSON object');
  return isAbsent(raw.request['inputs']) && !isAbsent(raw.request['input'])
    ? textCase(raw.request, { expected, where, model })
    : tensorCase(raw, { where, model });
}

type Place = { readonly where: string; readonly model: string };

function tensorCase({ request, requestBlob, expected, expectedBlob }: RawCase, { where, model }: Place): GoldenCase {
  const asked = within(where, 'request', () => inferRequestOf(request, requestBlob, caseLimits.tensors));
  const right = isAbsent(expected)
    ? undefined
    : within(where, 'expected', () => outputsOf(expected, expectedBlob, caseLimits.tensors));
  if (right !== undefined && Object.keys(right).length === 0) throw invalidCase(where, 'expected: outputs is empty');
  // Only request the outputs that will be compared.
  const outputs = right === undefined ? asked.outputs.map(({ name }) => name) : Object.keys(right);
  return {
    where,
    question: tensorQuestion(asked.inputs, outputs, model),
    form: 'tensors',
    ...(right === undefined ? {} : { expected: right }),
  };
}

/** @param outputs names of the outputs to request; if empty, all outputs are requested */
export function tensorQuestion(inputs: NamedTensors, outputs: readonly string[], model: string): Question {
  return { method: 'POST', path: `/v2/models/${model}/infer`, ...encodeQuestion(inputs, outputs) };
}

const textFields = ['input', 'dimensions', 'model', 'encoding_format', 'user'];

function textCase(
  request: Readonly<Record<string, unknown>>,
  { expected, where, model }: Place & { readonly expected: Readonly<Record<string, unknown>> | undefined },
): GoldenCase {
  const unknown = Object.keys(request).find((key) => !textFields.includes(key));
  if (unknown !== undefined)
    throw invalidCase(
      where,
      `request: unknown field '${unknown.slice(0, 64)}'; known fields: ${textFields.join(', ')}`,
    );
  const right =
    expected === undefined
      ? undefined
      : within(where, 'expected', () => embeddingsOf(expected, caseLimits.tensors.maxElements));
  return {
    where,
    question: textQuestion(request['input'], model, request['dimensions']),
    form: 'embeddings',
    ...(right === undefined ? {} : { expected: right }),
  };
}

/** Requests vectors as base64, which has half the bytes of decimal text and does not round. */
export function textQuestion(input: unknown, model: string, dimensions?: unknown): Question {
  const body = JSON.stringify({
    model,
    input,
    encoding_format: 'base64',
    ...(isAbsent(dimensions) ? {} : { dimensions }),
  });
  return { method: 'POST', path: embeddingsPath, body: Buffer.from(body) };
}

export function invalidCase(where: string, problem: string): AppError {
  return new AppError('GOLDEN_SET_INVALID', { where, problem });
}

/** Runs `read`. Throws its AppError as GOLDEN_SET_INVALID, with the place in the set in the message. */
export function within<T>(where: string, part: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(
      'GOLDEN_SET_INVALID',
      { where, problem: part === undefined ? messageOf(error) : `${part}: ${messageOf(error)}` },
      { cause: error },
    );
  }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
