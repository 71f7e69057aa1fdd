/**
 * Added tokens: texts that are one token wherever they occur. They are searched for before or after the text is
 * normalized.
 *
 * Owns:   their ids, and finding them like Python's tokenizers: leftmost first, then longest.
 * Throws: TokenizerUnsupported.
 */
import type { TokenModel } from './model.ts';
import type { Normalizer } from './normalizers.ts';
import { Options, TokenizerUnsupported } from './options.ts';
import { wordCharacter } from './unicode.ts';

type AddedToken = {
  readonly content: string;
  readonly id: number;
  readonly singleWord: boolean;
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
  readonly normalized: boolean;
};

/** A part of the text. If `id` is set, the part is an added token. */
export type Section = { readonly text: string; readonly start: number; readonly id?: number };

export class AddedTokens {
  /** The id of each added token, by the token's text. The model's vocabulary does not need to contain the token. */
  readonly ids: ReadonlyMap<string, number>;
  readonly #raw: Finder;
  readonly #normalized: Finder;

  /** @param value of the file's `added_tokens` */
  constructor(value: unknown, model: TokenModel, normalizer: Normalizer) {
    if (value !== undefined && value !== null && !Array.isArray(value))
      throw new TokenizerUnsupported('added_tokens is not a list');
    const tokens = readTokens((value ?? []) as readonly unknown[], model);
    this.ids = new Map(tokens.map(({ content, id }) => [content, id]));
    this.#raw = new Finder(tokens.filter(({ normalized }) => !normalized).map((token) => [token.content, token]));
    this.#normalized = new Finder(
      tokens.filter(({ normalized }) => normalized).map((token) => [normalizer.apply(token.content), token]),
    );
  }

  /** Finds tokens that are matched in the original text. */
  findRaw(text: string): readonly Section[] {
    return this.#raw.split(text);
  }

  /** Finds tokens that are matched in normalized text. */
  findNormalized(text: string): readonly Section[] {
    return this.#normalized.split(text);
  }
}

function readTokens(entries: readonly unknown[], model: TokenModel): readonly AddedToken[] {
  const tokens = new Map<string, AddedToken>();
  const size = model.vocabulary.size;
  let highest = -1;
  for (const entry of entries) {
    const options = new Options(entry, 'added token');
    const content = options.text('content');
    const special = options.flag('special', false);
    const id =
      model.vocabulary.get(content) ?? tokens.get(content)?.id ?? (highest >= size || size === 0 ? highest + 1 : size);
    const wanted = options.count('id');
    if (content === '') throw options.unsupported('an empty token');
    if (wanted !== id)
      throw new TokenizerUnsupported(
        `added token ${JSON.stringify(content)} has the id ${wanted}, but the vocabulary gives it ${id}: this ` +
          'is not supported by this runtime',
      );
    highest = Math.max(highest, id);
    tokens.set(content, {
      content,
      id,
      singleWord: options.flag('single_word', false),
      stripsLeft: options.flag('lstrip', false),
      stripsRight: options.flag('rstrip', false),
      normalized: options.flag('normalized', !special),
    });
    options.done();
  }
  return [...tokens.values()];
}

const endsWithWord = new RegExp(`${wordCharacter}$`, 'v');
const startsWithWord = new RegExp(`^${wordCharacter}`, 'v');
const blank = /^\p{White_Space}$/v;

class Finder {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | undefined;

  constructor(entries: readonly (readonly [string, AddedToken])[]) {
    const found = entries.filter(([content]) => content !== '');
    this.#tokens = new Map(found);
    const twice = found.find(([content, token]) => this.#tokens.get(content) !== token);
    // Refuse two tokens that are equal after normalization: Python's tokenizers finds one of them at random.
    if (twice !== undefined)
      throw new TokenizerUnsupported(
        `two added tokens are both ${JSON.stringify(twice[0])} after normalization: this is not supported by this ` +
          'runtime',
      );
    const longestFirst = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    this.#pattern =
      longestFirst.length === 0
        ? undefined
        : new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)).join('|'), 'gu');
  }

  split(text: string): readonly Section[] {
    if (this.#pattern === undefined) return [{ text, start: 0 }];
    const sections: Section[] = [];
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0]);
      const found =
        token === undefined
          ? undefined
          : extentOf(token, text, { start: match.index, end: match.index + match[0].length }, done);
      if (token === undefined || found === undefined) continue;
      if (found.start > done) sections.push({ text: text.slice(done, found.start), start: done });
      sections.push({ text: text.slice(found.start, found.end), start: found.start, id: token.id });
      done = found.end;
    }
    if (done < text.length) sections.push({ text: text.slice(done), start: done });
    return sections;
  }
}

type Extent = { readonly start: number; readonly end: number };

/**
 * The range that a token takes, including adjacent blanks if the token strips them; undefined if the token must be a
 * whole word but is a part of one.
 */
function extentOf(token: AddedToken, text: string, found: Extent, done: number): Extent | undefined {
  let { start, end } = found;
  if (token.singleWord && isInWord(text, found)) return undefined;
  if (token.stripsLeft) while (start > done && isBlank(text, start - 1)) start -= 1;
  if (token.stripsRight) while (isBlank(text, end)) end += 1;
  return { start, end };
}

function isBlank(text: string, at: number): boolean {
  return blank.test(text[at] ?? '');
}

function isInWord(text: string, { start, end }: Extent): boolean {
  return endsWithWord.test(before(text, start)) || startsWithWord.test(text.slice(end, end + 2));
}

/** The two code units before a position; they contain the last character, which has one or two code units. */
function before(text: string, at: number): string {
  return text.slice(Math.max(0, at - 2), at);
}
