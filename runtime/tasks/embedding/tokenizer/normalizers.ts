/**
 * The normalizers of tokenizer.json.
 *
 * Owns:   the effect of each normalizer on a text, as in Python's tokenizers, and which normalizers may remove the
 *         start of a text.
 * Throws: TokenizerUnsupported for other normalizers and options.
 * Pure.
 */
import { byteLetters } from './bytes.ts';
import { Charsmap } from './charsmap.ts';
import { Options } from './options.ts';
import { literalRegex, translateRegex } from './regex.ts';
import { replaceAll } from './split.ts';
import { combiningMark, control, inert, nonspacingMark } from './unicode.ts';

export type Normalizer = {
  readonly apply: (text: string) => string;
  /**
   * True if the normalizer can remove the first characters of a text, so that the first token begins after the text's
   * start.
   */
  readonly cutsStart: boolean;
};

const unchanged: Normalizer = { apply: (text) => text, cutsStart: false };

/** @param value of the file's `normalizer`; null: no normalizer */
export function makeNormalizer(value: unknown): Normalizer {
  if (value === null || value === undefined) return unchanged;
  const options = new Options(value, 'normalizer');
  const make = Object.hasOwn(makers, options.type) ? makers[options.type] : undefined;
  if (make === undefined) throw options.unsupported();
  const normalizer = make(options);
  options.done();
  return normalizer;
}

const keepsStart = (apply: Normalizer['apply']): Normalizer => ({ apply, cutsStart: false });
const cutsStart = (apply: Normalizer['apply']): Normalizer => ({ apply, cutsStart: true });

const makers: Readonly<Record<string, (options: Options) => Normalizer>> = {
  NFC: () => keepsStart((text) => normalForm(text, 'NFC')),
  NFD: () => keepsStart((text) => normalForm(text, 'NFD')),
  NFKC: () => keepsStart((text) => normalForm(text, 'NFKC')),
  NFKD: () => keepsStart((text) => normalForm(text, 'NFKD')),
  Lowercase: () => keepsStart(lowercase),
  StripAccents: () => cutsStart(remover(combiningMark)),
  Strip: (options) => stripper(options.flag('strip_left', true), options.flag('strip_right', true)),
  Nmt: () => cutsStart(nmt),
  ByteLevel: () => keepsStart(byteLetters),
  Prepend: (options) => {
    const prefix = options.text('prepend');
    return keepsStart((text) => (text === '' ? text : prefix + text));
  },
  Precompiled: (options) => {
    const charsmap = new Charsmap(options.text('precompiled_charsmap'), options.where);
    return keepsStart((text) => charsmap.normalize(text));
  },
  Replace: (options) => {
    const pattern = patternOf(options);
    const content = options.text('content');
    return { apply: (text) => replaceAll(text, pattern, content), cutsStart: content === '' };
  },
  BertNormalizer: bert,
  Sequence: (options) => {
    const parts = options.list('normalizers').map(makeNormalizer);
    return {
      apply: (text) => parts.reduce((done, { apply }) => apply(done), text),
      cutsStart: parts.some((part) => part.cutsStart),
    };
  },
};

/** @returns the option `pattern`: `{"String": …}` or `{"Regex": …}` */
export function patternOf(options: Options): RegExp {
  const pattern = new Options(options.value('pattern'), `${options.where}: pattern`);
  const text = pattern.textOrNone('String');
  const regex = text === undefined ? translateRegex(pattern.text('Regex'), options.where) : literalRegex(text);
  pattern.done();
  if (text === '') throw options.unsupported('an empty pattern');
  return regex;
}

const inertCharacter = new RegExp(inert, 'v');
const betweenInert = new RegExp(`(${inert})`, 'v');

/**
 * Normalises the parts between the inert characters (unicode.ts). Python's tokenizers does not change inert characters,
 * because they are not in its Unicode version.
 */
function normalForm(text: string, form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): string {
  if (!inertCharacter.test(text)) return text.normalize(form);
  return text
    .split(betweenInert)
    .map((part) => (inertCharacter.test(part) ? part : part.normalize(form)))
    .join('');
}

/**
 * Lowercases each character on its own, as Python's tokenizers does. JavaScript's toLowerCase() changes Σ to ς at the
 * end of a word, and to σ elsewhere.
 */
function lowercase(text: string): string {
  return text.includes('Σ')
    ? text
        .split('Σ')
        .map((part) => part.toLowerCase())
        .join('σ')
    : text.toLowerCase();
}

function remover(characterClass: string): (text: string) => string {
  const pattern = new RegExp(characterClass, 'gv');
  return (text) => text.replace(pattern, '');
}

function stripper(left: boolean, right: boolean): Normalizer {
  const start = /^\p{White_Space}+/v;
  const strip = (text: string): string => {
    const begun = left ? text.replace(start, '') : text;
    return right ? stripEnd(begun) : begun;
  };
  return { apply: strip, cutsStart: left };
}

const blank = /^\p{White_Space}$/v;

/**
 * Does not use a regular expression: an expression that is anchored at the end would be tried at every blank of the
 * text.
 */
function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && blank.test(text[end - 1] ?? '')) end -= 1;
  return text.slice(0, end);
}

const removedByNmt = new RegExp(String.raw`[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]`, 'gv');

function nmt(text: string): string {
  return text.replace(removedByNmt, '').replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gv, ' ');
}

const cleaned = new RegExp(`[${control}--[\\t\\n\\r]]`, 'gv');
const blanks = /\p{White_Space}/gv;
/** The ranges of Python's tokenizers. In other implementations, the range 2b920-2ceaf begins at 2b820. */
const chinese = new RegExp(
  String.raw`[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff` +
    String.raw`\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]`,
  'gv',
);
const stripMarks = remover(nonspacingMark);

function bert(options: Options): Normalizer {
  const cleans = options.flag('clean_text', true);
  const spaces = options.flag('handle_chinese_chars', true);
  const lowers = options.flag('lowercase', true);
  const strips = options.flag('strip_accents', lowers);
  return cutsStart((text) => {
    let done = text;
    if (cleans) done = done.replace(cleaned, '').replace(blanks, ' ');
    if (spaces) done = done.replace(chinese, ' $& ');
    if (strips) done = stripMarks(normalForm(done, 'NFD'));
    return lowers ? lowercase(done) : done;
  });
}
