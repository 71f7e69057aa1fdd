/**
 * Translates regular expressions of tokenizer.json from Oniguruma to JavaScript.
 *
 * Owns:   the translation of syntax that JavaScript can express with the same meaning. Other syntax is refused, and the
 *         message gives its position.
 * Throws: TokenizerUnsupported.
 * Pure.
 */
import { ownValue } from '../../../../api/record.ts';
import { TokenizerUnsupported } from './options.ts';
import { newer, property } from './unicode.ts';

/**
 * @param where names the part in messages
 * @returns a regular expression with the flags g and v
 */
export function translateRegex(source: string, where: string): RegExp {
  const translated = new Translation(source, where).run();
  try {
    return new RegExp(translated, 'gv');
  } catch {
    throw new TokenizerUnsupported(
      `${where}: its regular expression ${JSON.stringify(source)} is not supported by this runtime`,
    );
  }
}

/** @returns a pattern that matches the text literally */
export function literalRegex(text: string): RegExp {
  return new RegExp(Array.from(text, literal).join(''), 'gv');
}

function literal(char: string): string {
  return /^[a-zA-Z0-9 ]$/.test(char) ? char : `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`;
}

/**
 * An ASCII letter and its case variants. JavaScript's own (?i:) is not used, because V8 then ignores case outside the
 * group too.
 */
function folded(char: string): string {
  if (!/^[a-zA-Z]$/.test(char)) return literal(char);
  const further: Readonly<Record<string, string>> = { k: '\\u{212a}', s: '\\u{17f}' };
  return `${char.toLowerCase()}${char.toUpperCase()}${further[char.toLowerCase()] ?? ''}`;
}

const inWord = `[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]--[${newer}]`;
/** Outside brackets, Oniguruma also counts a few numerals as word characters. */
const word = `[[${inWord}][\\u{b2}\\u{b3}\\u{b9}\\u{bc}-\\u{be}]]`;

const outside: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: property('Nd'),
  D: `[^${property('Nd')}]`,
  w: word,
  W: `[^${word}]`,
  b: `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`,
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  n: '\\n',
  r: '\\r',
  t: '\\t',
  f: '\\f',
  v: '\\v',
};
const inside: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: property('Nd'),
  D: `[^${property('Nd')}]`,
  w: `[${inWord}]`,
  W: `[^${inWord}]`,
  n: '\\n',
  r: '\\r',
  t: '\\t',
  f: '\\f',
  v: '\\v',
};

const anchors: Readonly<Record<string, string>> = {
  '.': '[^\\n]',
  '^': '(?:(?<![\\s\\S])|(?<=\\n)(?=[\\s\\S]))',
  $: '(?:(?=\\n)|(?![\\s\\S]))',
};

const categories = /^(L[ulmto]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?)$/;
const scripts = new Set([
  'Arabic',
  'Cyrillic',
  'Devanagari',
  'Greek',
  'Han',
  'Hangul',
  'Hebrew',
  'Hiragana',
  'Katakana',
  'Latin',
  'Thai',
]);
/** This letter has the category Lo since Unicode 17, and Ll in the Unicode version of Python's tokenizers. */
const turned = '\\u{295}';

const quantified = /^[*+?{]$/;
const group = /\((?:\?(?:<[=!]|[:=!>]|i:))?/y;
const braces = /\{(\d+(?:,\d*)?|,\d+)\}/y;
const escape = /\\(?:[pP]\{\^?[A-Za-z]+\}|x\{[0-9A-Fa-f]{1,6}\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^0-9])/vy;
/**
 * Pairs of letters that Oniguruma also matches with one character when it ignores case, such as ss with ß. JavaScript
 * does not.
 */
const foldedPairs = /^(?:ss|st|ff|fi|fl)$/i;

type Open = { readonly start: number; readonly atomic: boolean; readonly folds: boolean };

class Translation {
  readonly #source: string;
  readonly #where: string;
  readonly #open: Open[] = [];
  #at = 0;
  #out = '';
  /** Start of the previous atom in `out`; undefined when there is nothing to repeat. */
  #atom: number | undefined;
  #atomics = 0;
  #folds = false;

  constructor(source: string, where: string) {
    this.#source = source;
    this.#where = where;
  }

  run(): string {
    while (this.#at < this.#source.length) this.#step();
    if (this.#open.length > 0) throw this.#refuse('(');
    return this.#out;
  }

  #step(): void {
    const char = this.#peek();
    if (quantified.test(char)) this.#repeat();
    else if (char === '(') this.#enter();
    else if (char === ')') this.#leave();
    else if (char === '[') this.#emit(this.#class());
    else if (char === '\\') this.#emit(this.#escape(outside));
    else this.#plain(char);
  }

  /** A character without a special meaning. */
  #plain(char: string): void {
    if (char === ']' || char === '}') throw this.#refuse(char);
    this.#at += char.length;
    if (char === '|') {
      this.#out += '|';
      this.#atom = undefined;
      return;
    }
    this.#emit(ownValue(anchors, char) ?? this.#literal(char));
  }

  #literal(char: string): string {
    if (!this.#folds) return literal(char);
    const pair = this.#source.slice(this.#at - 2, this.#at);
    if (char > '\x7f' || foldedPairs.test(pair)) throw this.#refuse(`${char > '\x7f' ? char : pair} within (?i:`);
    return `[${folded(char)}]`;
  }

  #enter(): void {
    const opening = this.#take(group);
    if (opening === undefined) throw this.#refuse('(');
    // Refuse `(?` with other characters, which begins named groups, options and conditions.
    if (opening === '(' && this.#peek() === '?') throw this.#refuse(this.#source.slice(this.#at - 1, this.#at + 3));
    this.#open.push({ start: this.#out.length, atomic: opening === '(?>', folds: this.#folds });
    if (opening === '(?i:') this.#folds = true;
    // Captures are not used, so groups become non-capturing.
    this.#out += ['(', '(?>', '(?i:'].includes(opening) ? '(?:' : opening;
    this.#atom = undefined;
  }

  #leave(): void {
    const open = this.#open.pop();
    if (open === undefined) throw this.#refuse(')');
    this.#at += 1;
    this.#out += ')';
    this.#folds = open.folds;
    this.#atom = open.start;
    if (open.atomic) this.#makeAtomic();
  }

  /**
   * Emulates an atomic group by a look-ahead, which does not backtrack, and a reference that matches the text captured
   * in it.
   */
  #makeAtomic(): void {
    const start = this.#atom ?? 0;
    this.#atomics += 1;
    const name = `atomic${this.#atomics}`;
    this.#out = `${this.#out.slice(0, start)}(?:(?=(?<${name}>${this.#out.slice(start)}))\\k<${name}>)`;
  }

  #repeat(): void {
    const start = this.#at;
    const range = this.#take(braces);
    if (this.#atom === undefined || (range === undefined && this.#peek() === '{'))
      throw this.#refuse(range ?? this.#peek());
    const quantifier = range ?? this.#peek();
    if (range === undefined) this.#at += 1;
    this.#out += quantifier.replace('{,', '{0,');
    this.#repeatMode(quantifier, range?.includes(',') === true);
    if (quantified.test(this.#peek())) throw this.#refuse(this.#source.slice(start, this.#at + 1));
    this.#atom = undefined;
  }

  /**
   * Translates the suffix of a quantifier: `?` makes the quantifier lazy, and `+` makes it possessive. After `{2}` and
   * `{2,3}`, `+` repeats the match instead. After `{2}`, `?` is not supported.
   */
  #repeatMode(quantifier: string, isRange: boolean): void {
    const mode = this.#peek();
    const counted = quantifier.startsWith('{');
    if (mode === '?' && (!counted || isRange)) this.#out += '?';
    else if (mode === '+' && counted)
      this.#out = `${this.#out.slice(0, this.#atom)}(?:${this.#out.slice(this.#atom)})+`;
    else if (mode === '+') this.#makeAtomic();
    else if (mode === '?') throw this.#refuse(`${quantifier}${mode}`);
    else return;
    this.#at += 1;
  }

  /** A character class, including its brackets. */
  #class(): string {
    this.#at += 1;
    const negated = this.#peek() === '^';
    if (negated) this.#at += 1;
    const operands = this.#operands();
    const [only = ''] = operands;
    const content = operands.length === 1 ? only : operands.map((operand) => `[${operand}]`).join('&&');
    return negated ? `[^${content}]` : `[${content}]`;
  }

  /** The content of the brackets, split at `&&`. */
  #operands(): readonly string[] {
    const operands = [''];
    do {
      if (this.#at >= this.#source.length) throw this.#refuse('[');
      if (this.#source.startsWith('&&', this.#at)) {
        this.#at += 2;
        operands.push('');
      } else {
        operands.push(`${operands.pop() ?? ''}${this.#member()}`);
      }
    } while (this.#peek() !== ']');
    this.#at += 1;
    if (operands.includes('')) throw this.#refuse('[');
    return operands;
  }

  /** One member of a class: a character, a range, an escape or a nested class. */
  #member(): string {
    const char = this.#peek();
    if (char === '[') {
      if (this.#source[this.#at + 1] === ':') throw this.#refuse(this.#source.slice(this.#at, this.#at + 8));
      return this.#class();
    }
    // Refuse a leading closing bracket, which Oniguruma treats as a character, with a warning.
    if (char === ']') throw this.#refuse('[]');
    const from = this.#character();
    if (this.#peek() !== '-' || [']', '', '['].includes(this.#source[this.#at + 1] ?? '')) return from;
    if (this.#folds) throw this.#refuse('a range within (?i:');
    this.#at += 1;
    const to = this.#character();
    if ([from, to].some((end) => end.startsWith('[') || end.startsWith('\\p') || end.startsWith('\\P')))
      throw this.#refuse('-');
    return `${from}-${to}`;
  }

  #character(): string {
    const char = this.#peek();
    if (char === '\\') return this.#escape(inside);
    this.#at += char.length;
    if (this.#folds && char > '\x7f') throw this.#refuse(`${char} within (?i:`);
    return this.#folds ? folded(char) : literal(char);
  }

  #escape(named: Readonly<Record<string, string>>): string {
    const begin = this.#at;
    const text = this.#take(escape) ?? '';
    const translated = text === '' ? undefined : this.#translateEscape(text, named);
    if (translated !== undefined) return translated;
    this.#at = begin;
    throw this.#refuse(text === '' ? this.#source.slice(begin, begin + 2) : text);
  }

  /** @returns undefined for an unsupported escape; within (?i:…), most escapes are unsupported */
  #translateEscape(text: string, named: Readonly<Record<string, string>>): string | undefined {
    if (/^\\[pP]/.test(text)) return this.#folds ? undefined : propertyOf(text);
    const code = /^\\[xu]\{?([0-9A-Fa-f]+)\}?$/.exec(text)?.[1];
    if (code !== undefined) return this.#folds || Number.parseInt(code, 16) > 0x10ffff ? undefined : `\\u{${code}}`;
    const char = text.slice(1);
    if (!/[a-zA-Z]/.test(char)) return literal(char);
    return this.#folds && !'srn'.includes(char) ? undefined : named[char];
  }

  #emit(text: string): void {
    this.#atom = this.#out.length;
    this.#out += text;
  }

  #peek(): string {
    const code = this.#source.codePointAt(this.#at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)?.[0];
    if (text !== undefined) this.#at += text.length;
    return text;
  }

  #refuse(what: string): TokenizerUnsupported {
    return new TokenizerUnsupported(
      `${this.#where}: its regular expression has ${JSON.stringify(what)} at position ${this.#at}, which is not ` +
        'supported by this runtime',
    );
  }
}

/** @param text `\\p{L}`, `\\P{L}` or `\\p{^L}` */
function propertyOf(text: string): string | undefined {
  const [, kind, caret, name = ''] = /^\\([pP])\{(\^?)([A-Za-z]+)\}$/.exec(text) ?? [];
  const negated = (kind === 'P') !== (caret === '^');
  if (!categories.test(name) && !scripts.has(name)) return undefined;
  const whole = scripts.has(name) ? property(`Script=${name}`) : property(name);
  const exact = name === 'Ll' ? `[${whole}${turned}]` : name === 'Lo' ? `[${whole}--${turned}]` : whole;
  return negated ? `[^${exact}]` : exact;
}
