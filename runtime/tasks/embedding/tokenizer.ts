/**
 * The model's own tokenizer: converts text to token ids, including the model's special tokens.
 *
 * Owns:   reading tokenizer.json and tokenizer_config.json, and truncation that keeps special tokens. Truncation and
 *         padding in tokenizer.json are ignored: the spec limits the text, and padding depends on the batch.
 * Limits: tokenizer.json 64 MiB, its config 1 MiB. A text of more than 64 characters for each allowed token is cut or
 *         refused before it is tokenised. Only a text that is mostly blank, or is one unknown word, could be that long
 *         and still have few enough tokens.
 */
import { AppError } from '../../../api/errors.ts';
import { isRecord } from '../../../api/record.ts';
import { maxConfigBytes, readJsonObject, readJsonObjectIfThere } from './json-file.ts';
import { isTokenId, TokenizerUnsupported } from './tokenizer/options.ts';
import { TokenPipeline } from './tokenizer/pipeline.ts';

const maxTokenizerBytes = 64 << 20;
const charactersPerToken = 64;

export type LengthRule = { readonly maxTokens: number; readonly onTooLong: 'Truncate' | 'Refuse' };

/** Properties of the tokenizer that other parts of the task use, also on the HTTP thread. */
export type Vocabulary = {
  /** Ids are 0 to size - 1. */
  readonly size: number;
  readonly padId: number;
  /** Special tokens before every text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** True if all token_type_ids of a single text are 0. */
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
   * @param configPath path of tokenizer_config.json, which may be missing
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
            '(docs/serving.md lists the supported parts)',
        },
        { cause: error },
      );
    }
  }

  /**
   * @returns ids with special tokens, at most `rule.maxTokens`
   * @throws AppError INPUT_TOO_LONG when `onTooLong` is Refuse, FIELD_INVALID for a text without tokens
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
   * Checks token ids that were sent instead of a text. Special tokens are not added. If the list is too long and is
   * cut, the special tokens at its end are kept.
   * @throws AppError INPUT_TOO_LONG when `onTooLong` is Refuse, FIELD_INVALID for an id outside the vocabulary
   */
  accept(ids: readonly number[], rule: LengthRule, field: string): readonly number[] {
    const { size } = this.vocabulary;
    const odd = ids.find((id) => id >= size);
    if (odd !== undefined)
      throw new AppError('FIELD_INVALID', {
        field,
        problem: `contains the token id ${odd}, but the vocabulary ends at ${size - 1}`,
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

/** @throws AppError INPUT_TOO_LONG when `onTooLong` is Refuse */
function clip(text: string, { maxTokens, onTooLong }: LengthRule, field: string): string {
  const limit = maxTokens * charactersPerToken;
  if (text.length <= limit) return text;
  if (onTooLong === 'Refuse')
    throw new AppError('INPUT_TOO_LONG', { field, unit: 'characters', length: text.length, limit });
  const cut = text.slice(0, limit);
  // Do not leave half a surrogate pair at the end.
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

/** The id for padding: the id of the model's padding token, if it has one. With a mask, any id works as padding. */
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
