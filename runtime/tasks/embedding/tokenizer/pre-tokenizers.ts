/**
 * The pre-tokenizers of tokenizer.json: split text into pieces, mostly words. The tokenizer's model converts the pieces
 * one by one to token ids.
 *
 * Owns:   the effect of each pre-tokenizer, as in Python's tokenizers.
 * Throws: TokenizerUnsupported for other pre-tokenizers and options.
 * Pure.
 */
import { byteLetters } from './bytes.ts';
import { patternOf } from './normalizers.ts';
import { Options } from './options.ts';
import { literalRegex, translateRegex } from './regex.ts';
import { behaviours, splitBy, type Behaviour, type TextPiece } from './split.ts';
import { punctuation, wordCharacter } from './unicode.ts';

export type PreTokenizer = {
  readonly apply: (piece: TextPiece) => readonly TextPiece[];
  /** True if the result depends on whether a piece is at the start of the request's text. */
  readonly asksForStart: boolean;
};

/** @param value of the file's `pre_tokenizer`; null: no pre-tokenizer */
export function makePreTokenizer(value: unknown): PreTokenizer {
  if (value === null || value === undefined) return { apply: (piece) => [piece], asksForStart: false };
  const options = new Options(value, 'pre_tokenizer');
  const make = Object.hasOwn(makers, options.type) ? makers[options.type] : undefined;
  if (make === undefined) throw options.unsupported();
  const made = make(options);
  options.done();
  return made;
}

const whitespace = /\p{White_Space}/gv;
const words = new RegExp(`${wordCharacter}+|[^${wordCharacter}\\p{White_Space}]+`, 'gv');
const marks = new RegExp(punctuation, 'gv');

function splitting(pattern: RegExp, behaviour: Behaviour, invert = false): PreTokenizer {
  return { apply: (piece) => splitBy(piece, { pattern, behaviour, invert }), asksForStart: false };
}

function sequence(parts: readonly PreTokenizer[]): PreTokenizer {
  return {
    apply: (piece) =>
      parts.reduce<readonly TextPiece[]>(
        (pieces, { apply }) => pieces.flatMap((one) => (one.text === '' ? [] : apply(one))),
        [piece],
      ),
    asksForStart: parts.some((part) => part.asksForStart),
  };
}

const makers: Readonly<Record<string, (options: Options) => PreTokenizer>> = {
  Whitespace: () => splitting(words, 'Removed', true),
  WhitespaceSplit: () => splitting(whitespace, 'Removed'),
  BertPreTokenizer: () => sequence([splitting(whitespace, 'Removed'), splitting(marks, 'Isolated')]),
  Punctuation: (options) => splitting(marks, options.choice('behavior', behaviours, 'Isolated')),
  Digits: (options) => splitting(/\p{N}/gv, options.flag('individual_digits', false) ? 'Isolated' : 'Contiguous'),
  CharDelimiterSplit: (options) => splitting(literalRegex(oneCharacter(options, 'delimiter')), 'Removed'),
  Split: (options) =>
    splitting(patternOf(options), options.choice('behavior', behaviours), options.flag('invert', false)),
  FixedLength: (options) => fixedLength(options),
  ByteLevel: byteLevel,
  Metaspace: metaspace,
  Sequence: (options) => sequence(options.list('pretokenizers').map(makePreTokenizer)),
};

function oneCharacter(options: Options, name: string, usual?: string): string {
  const text = options.text(name, usual);
  if (Array.from(text).length !== 1)
    throw options.unsupported(`${name} ${JSON.stringify(text)}, which is not one character,`);
  return text;
}

function fixedLength(options: Options): PreTokenizer {
  const length = options.count('length', 5);
  if (length === 0) throw options.unsupported('length 0');
  return splitting(new RegExp(`[\\s\\S]{1,${length}}`, 'gv'), 'Isolated');
}

const gpt2Words = String.raw`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

function byteLevel(options: Options): PreTokenizer {
  const prefixes = options.flag('add_prefix_space', true);
  const usesRegex = options.flag('use_regex', true);
  // This option affects only offsets, which this runtime does not compute.
  options.flag('trim_offsets', true);
  const split = usesRegex ? splitting(translateRegex(gpt2Words, options.where), 'Isolated') : undefined;
  return {
    asksForStart: false,
    apply: (piece) => {
      const text = prefixes && !piece.text.startsWith(' ') ? ` ${piece.text}` : piece.text;
      const pieces = split === undefined ? [{ text, first: piece.first }] : split.apply({ text, first: piece.first });
      return pieces.map((one) => ({ ...one, text: byteLetters(one.text) }));
    },
  };
}

const schemes = ['always', 'first', 'never'] as const;

function metaspace(options: Options): PreTokenizer {
  const mark = oneCharacter(options, 'replacement', '▁');
  const splits = options.flag('split', true);
  const scheme = options.choice('prepend_scheme', schemes, 'always');
  const prefixes = options.value('add_prefix_space');
  if (prefixes !== undefined && (scheme === 'never') === prefixes)
    throw options.unsupported(`add_prefix_space ${JSON.stringify(prefixes)} with prepend_scheme ${scheme}`);
  const written = options.text('str_rep', mark);
  if (written !== mark) throw options.unsupported(`str_rep ${JSON.stringify(written)}`);
  const split = splitting(literalRegex(mark), 'MergedWithNext');
  return {
    asksForStart: scheme === 'first',
    apply: (piece) => {
      const text = piece.text.replaceAll(' ', mark);
      const prepends = !text.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && piece.first));
      const whole = { text: prepends ? mark + text : text, first: piece.first };
      return splits ? split.apply(whole) : [whole];
    },
  };
}
