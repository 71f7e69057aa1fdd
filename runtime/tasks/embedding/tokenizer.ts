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
import { readFile, stat } from 'node:fs/promises';
import { Tokenizer } from '@huggingface/tokenizers';
import { AppError, messageOf } from '../../../api/errors.ts';

const maxTokenizerBytes = 64 << 20;
const maxConfigBytes = 1 << 20;
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
};

export class TextTokenizer {
  readonly vocabulary: Vocabulary;
  readonly #tokenizer: Tokenizer;

  private constructor(tokenizer: Tokenizer, vocabulary: Vocabulary) {
    this.#tokenizer = tokenizer;
    this.vocabulary = vocabulary;
  }

  /**
   * @param configPath of tokenizer_config.json; it may be absent
   * @throws AppError BAD_CONFIG for files that are missing, too large or not a tokenizer
   */
  static async load(path: string, configPath: string): Promise<TextTokenizer> {
    const tokenizer = await readObject(path, maxTokenizerBytes);
    const config = (await isFile(configPath)) ? await readObject(configPath, maxConfigBytes) : {};
    try {
      const made = new Tokenizer(tokenizer, config);
      return new TextTokenizer(made, describe(made, config));
    } catch (error) {
      throw new AppError('BAD_CONFIG', { where: path, problem: `it is not a tokenizer this server can use: ${messageOf(error)}` }, { cause: error });
    }
  }

  /**
   * @returns ids with special tokens, at most `rule.maxTokens`
   * @throws AppError INPUT_TOO_LONG under Refuse, FIELD_INVALID for a text that has no tokens
   */
  encode(text: string, rule: LengthRule, field: string): readonly number[] {
    const { before, after } = this.vocabulary;
    const content = this.#contentOf(clip(text, rule, field), field);
    const length = before.length + content.length + after.length;
    if (length === 0) throw new AppError('FIELD_INVALID', { field, problem: 'has no tokens' });
    if (length <= rule.maxTokens) return [...before, ...content, ...after];
    if (rule.onTooLong === 'Refuse') throw new AppError('INPUT_TOO_LONG', { field, unit: 'tokens', length, limit: rule.maxTokens });
    return [...before, ...content.slice(0, rule.maxTokens - before.length - after.length), ...after];
  }

  /**
   * Checks ids that came in place of a text; they are taken as they are.
   * @throws AppError INPUT_TOO_LONG under Refuse, FIELD_INVALID for an id that the vocabulary does not have
   */
  accept(ids: readonly number[], rule: LengthRule, field: string): readonly number[] {
    const { size } = this.vocabulary;
    const odd = ids.find((id) => id >= size);
    if (odd !== undefined) throw new AppError('FIELD_INVALID', { field, problem: `holds the token id ${odd}, the vocabulary ends at ${size - 1}` });
    if (ids.length > rule.maxTokens && rule.onTooLong === 'Refuse') throw new AppError('INPUT_TOO_LONG', { field, unit: 'tokens', length: ids.length, limit: rule.maxTokens });
    return ids.slice(0, rule.maxTokens);
  }

  #contentOf(text: string, field: string): readonly number[] {
    const ids = idsOf(this.#tokenizer, text, false);
    // A vocabulary without an unknown token has no id for what it cannot spell.
    if (ids.includes(undefined)) throw new AppError('FIELD_INVALID', { field, problem: "holds characters that the model's vocabulary does not have" });
    return ids as readonly number[];
  }
}

/** @throws AppError INPUT_TOO_LONG under Refuse */
function clip(text: string, { maxTokens, onTooLong }: LengthRule, field: string): string {
  const limit = maxTokens * charactersPerToken;
  if (text.length <= limit) return text;
  if (onTooLong === 'Refuse') throw new AppError('INPUT_TOO_LONG', { field, unit: 'characters', length: text.length, limit });
  const cut = text.slice(0, limit);
  // Half a surrogate pair is no character.
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

const probe = 'a';

/** The library's own types leave the ids open; there is none for a token outside the vocabulary. */
function idsOf(tokenizer: Tokenizer, text: string, withSpecial: boolean): readonly (number | undefined)[] {
  return tokenizer.encode(text, { add_special_tokens: withSpecial }).ids as readonly (number | undefined)[];
}

/** Finds the special tokens by looking at what the tokenizer puts around a text. */
function describe(tokenizer: Tokenizer, config: Readonly<Record<string, unknown>>): Vocabulary {
  const bare = idsOf(tokenizer, probe, false);
  const whole = idsOf(tokenizer, probe, true);
  const at = whole.findIndex((_, start) => bare.every((id, offset) => whole[start + offset] === id));
  const around = [...whole.slice(0, at), ...whole.slice(at + bare.length)];
  if (bare.length === 0 || at < 0 || around.includes(undefined)) throw new Error(`the special tokens around '${probe}' cannot be told apart`);
  let size = 0;
  for (const id of tokenizer.get_vocab(true).values()) size = Math.max(size, id + 1);
  return { size, padId: padIdOf(tokenizer, config), before: around.slice(0, at) as number[], after: around.slice(at) as number[] };
}

/** Any id would do where a mask says that it does not count; the model's own is the least surprising. */
function padIdOf(tokenizer: Tokenizer, config: Readonly<Record<string, unknown>>): number {
  const named = config['pad_token'];
  const text = typeof named === 'object' && named !== null ? (named as { content?: unknown }).content : named;
  return (typeof text === 'string' ? tokenizer.token_to_id(text) : undefined) ?? 0;
}

async function readObject(path: string, maxBytes: number): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await sizeOf(path);
  if (bytes > maxBytes) throw new AppError('BAD_CONFIG', { where: path, problem: `it has ${bytes} bytes, the limit is ${maxBytes}` });
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError('BAD_CONFIG', { where: path, problem: 'it is not JSON' }, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new AppError('BAD_CONFIG', { where: path, problem: 'it is not a JSON object' });
  return value as Readonly<Record<string, unknown>>;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw new AppError('BAD_CONFIG', { where: 'spec.model.embedding.tokenizer', problem: `the source holds no such file: ${path}` }, { cause: error });
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isFile(), () => false);
}
