/**
 * Parses the answer of `POST /v1/embeddings` into one tensor named `embedding` of shape [texts, dimensions].
 *
 * Pure.  Accepts lists of numbers and base64; orders the vectors by their `index`.
 */
import { AppError } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import type { NamedTensors } from '../engine/tensor.ts';
import { parseJson } from '../protocol/json.ts';

/** @throws AppError REQUEST_INVALID when the body is not an embeddings answer, REQUEST_TOO_LARGE */
export function decodeEmbeddings(body: Uint8Array, maxElements: number): NamedTensors {
  return embeddingsOf(parseJson(body, { maxDepth: 4 }, 'the answer'), maxElements);
}

/** @throws AppError REQUEST_INVALID, REQUEST_TOO_LARGE */
export function embeddingsOf(value: unknown, maxElements: number): NamedTensors {
  const list: unknown = isRecord(value) ? value['data'] : undefined;
  if (!Array.isArray(list) || list.length === 0) throw wrong('data is missing or not a list of embeddings');
  const rows = new Map<number, Float32Array>();
  for (const [position, item] of list.entries()) {
    const { index = position, embedding } = (isRecord(item) ? item : {}) as {
      readonly index?: unknown;
      readonly embedding?: unknown;
    };
    if (!isIndex(index, list.length) || rows.has(index))
      throw wrong(
        `data[${position}].index is ${JSON.stringify(index)}: each index from 0 to ${list.length - 1} must occur once`,
      );
    rows.set(index, vectorOf(embedding, `data[${position}].embedding`));
  }
  const inOrder = [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
  return { embedding: stack(inOrder, maxElements) };
}

function isIndex(value: unknown, length: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < length;
}

function stack(rows: readonly Float32Array[], maxElements: number): NamedTensors[string] {
  const size = rows[0]?.length ?? 0;
  const other = rows.findIndex((row) => row.length !== size);
  if (other >= 0) throw wrong(`embedding ${other} has ${rows[other]?.length ?? 0} numbers, the first has ${size}`);
  if (size * rows.length > maxElements)
    throw new AppError('REQUEST_TOO_LARGE', {
      what: `the embeddings have ${size * rows.length} numbers`,
      limit: maxElements,
    });
  const data = new Float32Array(size * rows.length);
  for (const [index, row] of rows.entries()) data.set(row, index * size);
  return { type: 'float32', dims: [rows.length, size], data };
}

function vectorOf(value: unknown, where: string): Float32Array {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length === 0 || bytes.length % 4 !== 0) throw wrong(`${where} is not base64 of float32 numbers`);
    return Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
  }
  if (!Array.isArray(value) || value.length === 0 || value.some((number) => typeof number !== 'number'))
    throw wrong(`${where} is neither a list of numbers nor base64`);
  return Float32Array.from(value as number[]);
}

function wrong(problem: string): AppError {
  return new AppError('REQUEST_INVALID', { problem });
}
