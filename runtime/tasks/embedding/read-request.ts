/**
 * A request's body to rows of token ids: parse, check the model's name, tokenise.
 *
 * Owns:   the order of these and the flat form in which the rows cross threads.
 * Limits: a request that has kept the thread for 15 seconds is refused: prose of any size that a body may have
 *         takes two or three, thousands of pages of hashes take minutes.
 * Ends:   gives the thread back every few milliseconds; an abort ends it at the next such point.
 */
import { AppError } from '../../../api/errors.ts';
import { parseEmbeddingsRequest, type Encoding } from '../../protocol/openai/embeddings.ts';
import type { Slice } from './slice.ts';
import type { LengthRule, TextTokenizer } from './tokenizer.ts';

/** Rows of token ids, one after another. */
export type TokenRows = {
  readonly ids: Int32Array<ArrayBuffer>;
  /** Where each row ends in `ids`; as many as there are rows. */
  readonly ends: Uint32Array<ArrayBuffer>;
};

export type TokenRequest = TokenRows & { readonly encoding: Encoding; readonly dimensions?: number };

export type ReadingRules = LengthRule & {
  /** The one name that is served. */
  readonly model: string;
};

const maxReadingMs = 15_000;

export type ReadingPace = {
  readonly slice: Slice;
  readonly signal: AbortSignal;
  /** What parsing may take; absent: no bound. */ readonly memoryBytes?: number;
};

/** @throws AppError for anything wrong with the request; the signal's reason when it is aborted */
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
        what: 'the time that tokenising the input takes, in milliseconds,',
        limit: maxReadingMs,
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
