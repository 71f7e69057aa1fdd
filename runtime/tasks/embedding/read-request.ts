/**
 * Turns a request's body into rows of token ids, one row for each text: parses it, checks the model's name, tokenises.
 *
 * Owns:   the order of these steps, and the flat form in which rows are passed between threads.
 * Limits: refuses a request after 15 seconds of thread time. Prose of the maximum body size takes two or three seconds;
 *         thousands of pages of hashes take minutes.
 * Ends:   yields the thread every few milliseconds; an abort takes effect at the next yield.
 */
import { AppError } from '../../../api/errors.ts';
import { parseEmbeddingsRequest, type Encoding } from '../../protocol/openai/embeddings.ts';
import type { Slice } from './slice.ts';
import type { LengthRule, TextTokenizer } from './tokenizer.ts';

/** Rows of token ids, concatenated. */
export type TokenRows = {
  readonly ids: Int32Array<ArrayBuffer>;
  /** The end of each row in `ids`; one entry per row. */
  readonly ends: Uint32Array<ArrayBuffer>;
};

export type TokenRequest = TokenRows & { readonly encoding: Encoding; readonly dimensions?: number };

export type ReadingRules = LengthRule & {
  /** The name of the served model. */
  readonly model: string;
};

const maxReadingMs = 15_000;

export type ReadingPace = {
  readonly slice: Slice;
  readonly signal: AbortSignal;
  /** Maximum bytes of memory for parsing; absent: no limit. */ readonly memoryBytes?: number;
};

/** @throws AppError for an invalid request; the signal's reason when it is aborted */
export async function readRequest(
  body: Uint8Array,
  tokenizer: TextTokenizer,
  rules: ReadingRules,
  pace: ReadingPace,
): Promise<TokenRequest> {
  const { model, inputs, fieldOf, encoding, dimensions } = parseEmbeddingsRequest(body, pace.memoryBytes);
  if (model !== rules.model) throw new AppError('MODEL_UNKNOWN', { asked: model.slice(0, 256), served: rules.model });
  const rows: (readonly number[])[] = [];
  for (const [index, input] of inputs.entries()) {
    if (pace.slice.isOver) await pace.slice.next();
    pace.signal.throwIfAborted();
    if (pace.slice.spentMs > maxReadingMs)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: 'tokenising the input takes too long',
        limit: `${maxReadingMs} ms`,
      });
    rows.push(
      typeof input === 'string'
        ? tokenizer.encode(input, rules, fieldOf(index))
        : tokenizer.accept(input, rules, fieldOf(index)),
    );
  }
  return { ...flatten(rows), encoding, ...(dimensions === undefined ? {} : { dimensions }) };
}

function flatten(rows: readonly (readonly number[])[]): TokenRows {
  const ids = new Int32Array(rows.reduce((sum, row) => sum + row.length, 0));
  const ends = new Uint32Array(rows.length);
  let end = 0;
  rows.forEach((row, index) => {
    ids.set(row, end);
    end += row.length;
    ends[index] = end;
  });
  return { ids, ends };
}

/** The ids of one row, without copying. */
export function rowOf({ ids, ends }: TokenRows, index: number): Int32Array {
  return ids.subarray(index === 0 ? 0 : ends[index - 1], ends[index]);
}
