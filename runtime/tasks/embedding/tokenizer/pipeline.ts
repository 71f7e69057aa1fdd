/**
 * Applies a tokenizer.json: converts text to the same token ids as Python's tokenizers.
 *
 * Owns:   the order of the parts. Truncation and padding in the file are ignored.
 * Throws: TokenizerUnsupported, naming the part that this runtime does not apply exactly.
 */
import { isRecord } from '../../../../api/record.ts';
import { AddedTokens } from './added-tokens.ts';
import { bpe } from './bpe.ts';
import type { TokenModel } from './model.ts';
import { makeNormalizer, type Normalizer } from './normalizers.ts';
import { Options, TokenizerUnsupported } from './options.ts';
import { makePreTokenizer, type PreTokenizer } from './pre-tokenizers.ts';
import { specialTokens, type Around } from './special-tokens.ts';
import type { TextPiece } from './split.ts';
import { unigram } from './unigram.ts';
import { wordLevel, wordPiece } from './word-models.ts';

const models: Readonly<Record<string, (options: Options) => TokenModel>> = {
  BPE: bpe,
  Unigram: unigram,
  WordLevel: wordLevel,
  WordPiece: wordPiece,
};
const parts = new Set([
  'version',
  'truncation',
  'padding',
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'model',
]);

export class TokenPipeline {
  readonly around: Around;
  /** Ids are 0 to size - 1. */
  readonly size: number;
  readonly #normalizer: Normalizer;
  readonly #preTokenizer: PreTokenizer;
  readonly #model: TokenModel;
  readonly #added: AddedTokens;

  /** @param file the parsed tokenizer.json */
  constructor(file: unknown) {
    if (!isRecord(file)) throw new TokenizerUnsupported('it is not an object');
    const odd = Object.keys(file).find((name) => !parts.has(name));
    if (odd !== undefined) throw new TokenizerUnsupported(`its part ${odd} is not supported by this runtime`);
    this.#normalizer = makeNormalizer(file['normalizer']);
    this.#preTokenizer = makePreTokenizer(file['pre_tokenizer']);
    if (this.#preTokenizer.asksForStart && this.#normalizer.cutsStart) {
      throw new TokenizerUnsupported(
        'pre_tokenizer Metaspace with prepend_scheme "first" is not supported by this runtime together with a ' +
          'normalizer that can remove the start of a text',
      );
    }
    this.#model = makeModel(file['model']);
    this.#added = new AddedTokens(file['added_tokens'], this.#model, this.#normalizer);
    this.around = specialTokens(file['post_processor']);
    this.size = Math.max(-1, ...[this.#model.vocabulary, this.#added.ids].map(highestOf)) + 1;
  }

  /** @returns undefined for a token outside the vocabulary */
  idOf(token: string): number | undefined {
    return this.#added.ids.get(token) ?? this.#model.vocabulary.get(token);
  }

  /** The ids of a text, without the special tokens around it. */
  encode(text: string): readonly number[] {
    const ids: number[] = [];
    for (const section of this.#added.findRaw(text)) {
      if (section.id === undefined) this.#encodeSection(section.text, section.start === 0, ids);
      else ids.push(section.id);
    }
    return ids;
  }

  #encodeSection(text: string, first: boolean, ids: number[]): void {
    for (const section of this.#added.findNormalized(this.#normalizer.apply(text))) {
      if (section.id === undefined)
        this.#encodePieces({ text: section.text, first: first && section.start === 0 }, ids);
      else ids.push(section.id);
    }
  }

  #encodePieces(whole: TextPiece, ids: number[]): void {
    if (whole.text === '') return;
    for (const { text } of this.#preTokenizer.apply(whole)) {
      if (text !== '') this.#model.add(text, ids);
    }
  }
}

function makeModel(value: unknown): TokenModel {
  const options = new Options(
    isRecord(value) && value['type'] === undefined ? { ...value, type: guessType(value) } : value,
    'model',
  );
  const make = Object.hasOwn(models, options.type) ? models[options.type] : undefined;
  if (make === undefined) throw options.unsupported();
  const model = make(options);
  options.done();
  return model;
}

/** Files of older versions do not contain the model's type. */
function guessType(model: Readonly<Record<string, unknown>>): string {
  if (Object.hasOwn(model, 'merges')) return 'BPE';
  if (Array.isArray(model['vocab'])) return 'Unigram';
  return Object.hasOwn(model, 'continuing_subword_prefix') ? 'WordPiece' : 'WordLevel';
}

function highestOf(ids: ReadonlyMap<string, number>): number {
  let highest = -1;
  for (const id of ids.values()) highest = Math.max(highest, id);
  return highest;
}
