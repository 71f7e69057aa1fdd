/**
 * Fuzz cases (random requests with the expected answers) of `POST /v1/embeddings`: texts from all of Unicode, token
 * ids, and both formats of vectors (float and base64). Requests are valid, or are valid requests with a random change.
 * Owns: what a correct answer is. Words of the tiny vocabulary have known ids. A row (one text of the request) has the
 * same vector alone and in a batch. Base64 has the same numbers as the list.
 */
import { tinyVocabulary } from '../../test/support/tiny-encoder.ts';
import { openAiError, parseOrUndefined, postParts, type Answer, type Case, type Check } from './cases.ts';
import type { Chance } from './chance.ts';
import { mutate, mutateBytes, object, oddValue, print, type Obj, type Tree } from './json-tree.ts';
import { encoderName } from './models.ts';

export const encoderLimits = { maxTokens: 16, width: 16 } as const;
/**
 * The allowed difference of a number. In a batch with padding and other rows, the terms of a sum may be added in
 * another order.
 */
const allowed = 2e-4;
/**
 * For each row of ids, or each text with unknown ids, the vector in the first answer. Later answers are compared with
 * this vector.
 */
const known = new Map<string, readonly number[]>();
const knownLimit = 20_000;

type Input = string | readonly number[];

export function embeddingsCase(chance: Chance): Case {
  const inputs = inputsOf(chance);
  const base64 = chance.percent(30);
  const alone = inputs.length === 1 && chance.percent(50);
  const input: Tree = alone ? treeOf(inputs[0] ?? '') : inputs.map(treeOf);
  const request = object({
    model: encoderName,
    input,
    ...(base64 ? { encoding_format: 'base64' } : chance.percent(10) ? { encoding_format: 'float' } : {}),
  });
  const right = options(request, chance);
  const spoil = chance.weighted([
    [60, 'nothing'],
    [28, 'tree'],
    [12, 'bytes'],
  ] as const);
  if (spoil === 'tree') mutate(request, chance);
  const plain = Buffer.from(print(request, chance), 'utf8');
  const body = spoil === 'bytes' ? mutateBytes(plain, chance) : plain;
  const check = spoil === 'nothing' ? vectorsOrRefusal(inputs, base64, right) : noFault;
  return {
    kind: `embeddings/${spoil}`,
    server: encoderName,
    parts: postParts(chance, { path: '/v1/embeddings', body, headers: ['Content-Type: application/json'] }),
    due: [{ check }],
    connection: 'keep',
  };
}

/** Adds optional fields to the request. @returns whether the request is still valid */
function options(request: Obj, chance: Chance): boolean {
  if (chance.percent(5)) request.set('user', chance.pick(['user-1', '', 'é']));
  if (chance.percent(5)) request.set('dimensions', encoderLimits.width);
  if (!chance.percent(6)) return true;
  const [key, value] = chance.pick<readonly [string, Tree]>([
    ['dimensions', 8],
    ['dimensions', 0],
    ['dimensions', 1.5],
    ['encoding_format', 'float16'],
    ['input_type', 'query'],
    ['model', 'other'],
    ['user', 3],
    ['__proto__', oddValue(chance)],
  ]);
  request.set(key, value);
  return false;
}

function treeOf(input: Input): Tree {
  return typeof input === 'string' ? input : [...input];
}

function inputsOf(chance: Chance): Input[] {
  const count = chance.weighted([
    [60, 1],
    [30, chance.between(2, 5)],
    [9, chance.between(6, 20)],
    [1, 0],
  ]);
  const ids = chance.percent(35);
  return chance.many(count, () => (ids ? idsOf(chance) : textOf(chance)));
}

function idsOf(chance: Chance): readonly number[] {
  const length = chance.weighted([
    [90, chance.between(1, encoderLimits.maxTokens)],
    [5, chance.between(17, 40)],
    [1, 0],
  ]);
  const most = chance.percent(97) ? tinyVocabulary.length - 1 : chance.pick([tinyVocabulary.length, 2 ** 31, 2 ** 53]);
  return chance.many(length, () => chance.between(0, most));
}

const words = tinyVocabulary.slice(4).filter((word) => /^[a-z]+$/.test(word));

function textOf(chance: Chance): string {
  if (chance.percent(60))
    return chance
      .many(chance.between(1, 10), () => spelt(chance.pick(words), chance))
      .join(chance.pick([' ', '  ', '\n', '\t', ' ']));
  const length = chance.weighted([
    [10, chance.between(1, 12)],
    [1, chance.between(13, 200)],
  ]);
  return String.fromCodePoint(...chance.many(length, () => codePoint(chance)));
}

function spelt(word: string, chance: Chance): string {
  return chance.weighted([
    [6, word],
    [1, word.toUpperCase()],
    [1, word.charAt(0).toUpperCase() + word.slice(1)],
  ]);
}

function codePoint(chance: Chance): number {
  const [low, high] = chance.pick([
    [0x20, 0x7e],
    [0x0, 0x1f],
    [0x80, 0x24f],
    [0x300, 0x36f],
    [0x590, 0x6ff],
    [0x2000, 0x206f],
    [0x3040, 0x30ff],
    [0x4e00, 0x9fff],
    [0xac00, 0xd7a3],
    [0xe000, 0xe0ff],
    [0xfe00, 0xffff],
    [0x1_f300, 0x1_f6ff],
    [0x2_0000, 0x2_0010],
    [0x10_ff00, 0x10_ffff],
    [0xd800, 0xdfff],
  ] as const);
  return chance.between(low, high);
}

/** The ids of a text that consists of words of the vocabulary; undefined for any other text. */
function idsOfWords(text: string): readonly number[] | undefined {
  if (!/^[A-Za-z\s]+$/.test(text)) return undefined;
  const ids = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => tinyVocabulary.indexOf(word as (typeof tinyVocabulary)[number]));
  return ids.includes(-1) ? undefined : [2, ...ids, 3];
}

type Entry = { readonly index?: unknown; readonly embedding?: unknown };

/** The check for a request that may be invalid: the answer is a success, or an error message in OpenAI's form. */
const noFault: Check = (answer) => {
  if (answer.status === 200) return undefined;
  return [400, 404, 413].includes(answer.status)
    ? openAiError(answer)
    : `status ${answer.status}, expected 200, 400, 404 or 413`;
};

function vectorsOrRefusal(inputs: readonly Input[], base64: boolean, right: boolean): Check {
  const rows = inputs.map((input) => (typeof input === 'string' ? idsOfWords(input) : input));
  const must =
    right &&
    inputs.length > 0 &&
    rows.every(
      (row) =>
        row !== undefined &&
        row.length > 0 &&
        row.length <= encoderLimits.maxTokens &&
        row.every((id) => id < tinyVocabulary.length),
    );
  return (answer) => {
    if (answer.status !== 200)
      return must
        ? `status ${answer.status}, expected 200: ${answer.body.subarray(0, 200).toString()}`
        : noFault(answer);
    if (!right || inputs.length === 0) return 'status 200, expected a refusal';
    const vectors = vectorsOf(answer, base64);
    if (typeof vectors === 'string') return vectors;
    if (vectors.length !== inputs.length) return `${vectors.length} vectors for ${inputs.length} inputs`;
    return firstProblem(vectors, rows, inputs);
  };
}

function vectorsOf({ body }: Answer, base64: boolean): readonly (readonly number[])[] | string {
  const { data } = (parseOrUndefined(body) ?? {}) as { readonly data?: readonly Entry[] };
  if (!Array.isArray(data)) return 'the answer has no data';
  const vectors: (readonly number[])[] = [];
  for (const [index, entry] of (data as readonly Entry[]).entries()) {
    if (entry.index !== index) return `entry ${index} has index ${String(entry.index)}`;
    if ((typeof entry.embedding === 'string') !== base64)
      return `entry ${index} is not in the format that was requested`;
    vectors.push(
      base64 ? floatsOf(Buffer.from(String(entry.embedding), 'base64')) : (entry.embedding as readonly number[]),
    );
  }
  return vectors;
}

function floatsOf(bytes: Buffer): readonly number[] {
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4));
}

function firstProblem(
  vectors: readonly (readonly number[])[],
  rows: readonly (readonly number[] | undefined)[],
  inputs: readonly Input[],
): string | undefined {
  for (const [index, vector] of vectors.entries()) {
    const problem = vectorProblem(vector) ?? differs(vector, rows[index]?.join() ?? `text ${String(inputs[index])}`);
    if (problem !== undefined) return `entry ${index}: ${problem}`;
  }
  return undefined;
}

function vectorProblem(vector: readonly number[]): string | undefined {
  if (vector.length !== encoderLimits.width) return `${vector.length} numbers, expected ${encoderLimits.width}`;
  const length = Math.hypot(...vector);
  return Math.abs(length - 1) < 1e-3 ? undefined : `a vector of length ${length}, expected 1`;
}

function differs(vector: readonly number[], row: string): string | undefined {
  const before = known.get(row);
  if (before === undefined) {
    if (known.size < knownLimit) known.set(row, vector);
    return undefined;
  }
  const far = vector.findIndex((value, at) => !(Math.abs(value - (before[at] ?? Infinity)) <= allowed));
  return far < 0
    ? undefined
    : `number ${far} of the vector of [${row.slice(0, 80)}] is ${String(vector[far])}, but was ${String(before[far])}`;
}
