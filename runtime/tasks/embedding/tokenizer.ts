/**
 * The model's own tokenizer: text to token ids, with the special tokens its model was trained with.
 *
 * Owns:   reading tokenizer.json and tokenizer_config.json, and cutting so that special tokens survive the cut.
 * Limits: tokenizer.json up to 64 MiB, its config up to 1 MiB. A text of more than 64 characters for each
 *         token that is allowed is cut (or refused) before it is tokenised: no tokenizer makes fewer tokens of
 *         it, unless it is mostly blanks or one unknown word.
 * Why:    truncation and padding that tokenizer.json asks for are not used: how long a text may be is the
 *         spec's word, and padding is decided by batch.
 */
import { AppError } from '../../../api/errors.ts';
import { isRecord } from '../../../api/record.ts';
import { maxConfigBytes, readJsonObject, readJsonObjectIfThere } from './json-file.ts';
import { isTokenId, TokenizerUnsupported } from './tokenizer/options.ts';
import { TokenPipeline } from './tokenizer/pipeline.ts';

const maxTokenizerBytes = 64 << 20;
const charactersPerToken = 64;

export type LengthRule = { readonly maxTokens: number; readonly onTooLong: 'Truncate' | 'Refuse' };

/** What a batch has to know of the vocabulary. */
export type Vocabulary = {
  /** Ids run from 0 to one less. */
  readonly size: number;
  readonly padId: number;
  /** Special tokens around every text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Whether token_type_ids of a text are all 0. */
  readonly zeroTypes: boolean;
};

export class TextTokenizer {
  readonly vocabulary: Vocabulary;
  readonly #pipeline: TokenPipeline;

  private constructor(pipeline: TokenPipeline, vocabulary: Vocabulary) {
    this.#pipeline = pipeline;
    this.vocabulary = vocabulary;
  }

  /**
   * @param configPath of tokenizer_config.json; it may be absent
   * @throws AppError BAD_CONFIG for files that are missing, too large or not a tokenizer
   */
  static async load(path: string, configPath: string): Promise<TextTokenizer> {
    const file = await readJsonObject(path, maxTokenizerBytes, 'spec.model.embedding.tokenizer');
    const config = await readJsonObjectIfThere(configPath, maxConfigBytes);
    try {
      const pipeline = new TokenPipeline(file);
      const { before, after, zeroTypes } = pipeline.around;
      return new TextTokenizer(pipeline, {
        size: pipeline.size,
        padId: padIdOf(pipeline, file, config),
        before,
        after,
        zeroTypes,
      });
    } catch (error) {
      if (!(error instanceof TokenizerUnsupported)) throw error;
      throw new AppError(
        'BAD_CONFIG',
        {
          where: path,
          problem:
            `not a tokenizer that this runtime can apply exactly: ${error.message} ` +
            '(docs/serving.md lists what is)',
        },
        { cause: error },
      );
    }
  }

  /**
   * @returns ids with special tokens, at most `rule.maxTokens`
   * @throws AppError INPUT_TOO_LONG under Refuse, FIELD_INVALID for a text that has no tokens
   */
  encode(text: string, rule: LengthRule, field: string): readonly number[] {
    const { before, after } = this.vocabulary;
    const content = this.#pipeline.encode(clip(text, rule, field));
    const length = before.length + content.length + after.length;
    if (length === 0) throw new AppError('FIELD_INVALID', { field, problem: 'has no tokens' });
    if (length <= rule.maxTokens) return [...before, ...content, ...after];
    if (rule.onTooLong === 'Refuse')
      throw new AppError('INPUT_TOO_LONG', { field, unit: 'tokens', length, limit: rule.maxTokens });
    return [...before, ...content.slice(0, rule.maxTokens - before.length - after.length), ...after];
  }

  /**
   * Checks ids that came in place of a text; they are taken as they are. Cut, they keep the special tokens that they
   * end with.
   * @throws AppError INPUT_TOO_LONG under Refuse, FIELD_INVALID for an id that the vocabulary does not have
   */
  accept(ids: readonly number[], rule: LengthRule, field: string): readonly number[] {
    const { size } = this.vocabulary;
    const odd = ids.find((id) => id >= size);
    if (odd !== undefined)
      throw new AppError('FIELD_INVALID', {
        field,
        problem: `holds the token id ${odd}, the vocabulary ends at ${size - 1}`,
      });
    if (ids.length > rule.maxTokens && rule.onTooLong === 'Refuse')
      throw new AppError('INPUT_TOO_LONG', { field, unit: 'tokens', length: ids.length, limit: rule.maxTokens });
    if (ids.length <= rule.maxTokens) return ids;
    const { after } = this.vocabulary;
    const ends =
      after.length < rule.maxTokens && after.every((id, index) => ids[ids.length - after.length + index] === id);
    return ends ? [...ids.slice(0, rule.maxTokens - after.length), ...after] : ids.slice(0, rule.maxTokens);
  }
}

/** @throws AppError INPUT_TOO_LONG under Refuse */
function clip(text: string, { maxTokens, onTooLong }: LengthRule, field: string): string {
  const limit = maxTokens * charactersPerToken;
  if (text.length <= limit) return text;
  if (onTooLong === 'Refuse')
    throw new AppError('INPUT_TOO_LONG', { field, unit: 'characters', length: text.length, limit });
  const cut = text.slice(0, limit);
  // Half a surrogate pair is no character.
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

/** Any id would do where a mask says that it does not count; the model's own is the least surprising. */
function padIdOf(
  pipeline: TokenPipeline,
  file: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): number {
  const named = config['pad_token'];
  const token = isRecord(named) ? named['content'] : named;
  const known = typeof token === 'string' ? pipeline.idOf(token) : undefined;
  const padding = isRecord(file['padding']) ? file['padding']['pad_id'] : undefined;
  return known ?? (isTokenId(padding) ? padding : 0);
}
