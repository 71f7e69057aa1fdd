/**
 * The special tokens that a tokenizer adds around a text, from the file's post-processor.
 *
 * Owns:   the tokens before and after a single text. Pairs of texts are not supported.
 * Throws: TokenizerUnsupported.
 * Pure.
 */
import { isRecord } from '../../../../api/record.ts';
import { isTokenId, Options, TokenizerUnsupported } from './options.ts';

export type Around = {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** True if all token_type_ids are 0. */
  readonly zeroTypes: boolean;
};

const nothing: Around = { before: [], after: [], zeroTypes: true };

/** @param value of the file's `post_processor`; null: no post-processor */
export function specialTokens(value: unknown): Around {
  if (value === null || value === undefined) return nothing;
  const options = new Options(value, 'post_processor');
  const make = Object.hasOwn(makers, options.type) ? makers[options.type] : undefined;
  if (make === undefined) throw options.unsupported();
  const around = make(options);
  options.done();
  return around;
}

const makers: Readonly<Record<string, (options: Options) => Around>> = {
  BertProcessing: (options) => ({
    before: [tokenOf(options, 'cls')],
    after: [tokenOf(options, 'sep')],
    zeroTypes: true,
  }),
  RobertaProcessing: (options) => {
    options.flag('trim_offsets', true);
    options.flag('add_prefix_space', true);
    return { before: [tokenOf(options, 'cls')], after: [tokenOf(options, 'sep')], zeroTypes: true };
  },
  // These options affect only offsets, which this runtime does not compute.
  ByteLevel: (options) => {
    for (const name of ['add_prefix_space', 'trim_offsets', 'use_regex']) options.flag(name, true);
    return nothing;
  },
  TemplateProcessing: template,
  Sequence: (options) => {
    const adding = options
      .list('processors')
      .map(specialTokens)
      .filter(({ before, after, zeroTypes }) => before.length + after.length > 0 || !zeroTypes);
    if (adding.length > 1) throw options.unsupported('more than one part that adds special tokens');
    return adding[0] ?? nothing;
  },
};

/** @returns the id in an option that lists a token and its id, such as `["[CLS]", 101]` */
function tokenOf(options: Options, name: string): number {
  const id = options.list(name)[1];
  if (!isTokenId(id)) throw new TokenizerUnsupported(`${options.where}: ${name} must be a token and its id`);
  return id;
}

function template(options: Options): Around {
  options.value('pair');
  const known = options.value('special_tokens');
  const pieces = options.list('single').map(pieceOf);
  const place = pieces.findIndex(({ text }) => text !== undefined);
  if (pieces.filter(({ text }) => text !== undefined).length !== 1 || pieces[place]?.text !== 'A')
    throw options.unsupported('a template that does not have the text exactly once');
  const idsAt = (some: readonly TemplatePiece[]): readonly number[] =>
    some.flatMap(({ token }) => idsOf(options, isRecord(known) ? known[token ?? ''] : undefined));
  return {
    before: idsAt(pieces.slice(0, place)),
    after: idsAt(pieces.slice(place + 1)),
    zeroTypes: pieces.every(({ type }) => type === 0),
  };
}

/**
 * One part of a template: `text` is A for a single text, or B for the second text of a pair; `token` is the name of a
 * special token.
 */
type TemplatePiece = { readonly text?: string; readonly token?: string; readonly type: unknown };

function pieceOf(value: unknown): TemplatePiece {
  const { SpecialToken: special, Sequence: text } = isRecord(value) ? value : {};
  if (isRecord(text)) return { text: String(text['id']), type: text['type_id'] };
  return isRecord(special) ? { token: String(special['id']), type: special['type_id'] } : { type: undefined };
}

function idsOf(options: Options, token: unknown): readonly number[] {
  const ids = isRecord(token) ? token['ids'] : undefined;
  if (!Array.isArray(ids) || !ids.every(isTokenId))
    throw new TokenizerUnsupported(`${options.where}: one of its special tokens is not among special_tokens`);
  return ids as readonly number[];
}
