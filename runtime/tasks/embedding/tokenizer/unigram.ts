/**
 * SentencePiece's unigram model: finds the most likely way to split a word into tokens.
 *
 * Owns:   the model as in Python's tokenizers: several unknown letters in a row are one token. A letter is any
 *         character; it is unknown if it is not a token by itself.
 * Throws: TokenizerUnsupported.
 * Pure.
 */
import { byteIds } from './bpe.ts';
import { remembering, type TokenModel } from './model.ts';
import { isTokenId, TokenizerUnsupported, type Options } from './options.ts';

/** How far the score of an unknown letter is below the score of the least likely token. */
const unknownPenalty = 10;

/** A trie of code units. */
type Node = { id: number; readonly next: Map<number, Node> };

export function unigram(options: Options): TokenModel {
  const { vocabulary, scores, root } = readVocabulary(options);
  const unknown = options.count('unk_id', Number.NaN);
  if (!(unknown < scores.length)) throw options.unsupported(`unk_id ${unknown} for a vocabulary of ${scores.length}`);
  const byteFallback = options.flag('byte_fallback', false);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - unknownPenalty;
  const idsOf = ({ text, id }: Found): readonly number[] => {
    const known = id === unknown ? vocabulary.get(text) : id;
    const bytes = known === undefined && byteFallback ? byteIds(text, vocabulary) : undefined;
    return bytes ?? [known ?? unknown];
  };
  return remembering({
    vocabulary,
    piecesOf: (word) => piecesOf(word, { scores, root, unknown, unknownScore }).flatMap(idsOf),
  });
}

function readVocabulary(options: Options): {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly scores: readonly number[];
  readonly root: Node;
} {
  const vocabulary = new Map<string, number>();
  const scores: number[] = [];
  const root: Node = { id: -1, next: new Map() };
  for (const [id, entry] of options.list('vocab').entries()) {
    const [token, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof token !== 'string' || typeof score !== 'number' || !isTokenId(id))
      throw new TokenizerUnsupported(`${options.where}: entry ${id} of vocab is not a token and its score`);
    vocabulary.set(token, id);
    scores.push(score);
    let node = root;
    for (let at = 0; at < token.length; at += 1) {
      const unit = token.charCodeAt(at);
      let child = node.next.get(unit);
      if (child === undefined) node.next.set(unit, (child = { id: -1, next: new Map() }));
      node = child;
    }
    if (token !== '') node.id = id;
  }
  return { vocabulary, scores, root };
}

type Lattice = {
  readonly scores: readonly number[];
  readonly root: Node;
  readonly unknown: number;
  readonly unknownScore: number;
};
type Found = { readonly text: string; readonly id: number };

/**
 * Finds the best path to each position of the word from left to right, then follows the best path back from the end.
 */
function piecesOf(word: string, { scores, root, unknown, unknownScore }: Lattice): readonly Found[] {
  const size = word.length;
  const best = new Float64Array(size + 1);
  const from = new Int32Array(size + 1).fill(-1);
  const ids = new Int32Array(size + 1);
  const reach = (start: number, end: number, id: number, score: number): void => {
    const total = (best[start] ?? 0) + score;
    if (from[end] !== -1 && total <= (best[end] ?? 0)) return;
    best[end] = total;
    from[end] = start;
    ids[end] = id;
  };
  for (let start = 0; start < size;) {
    const letterEnd = start + ((word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
    let hasLetter = false;
    let node: Node | undefined = root;
    for (let at = start; at < size; at += 1) {
      node = node.next.get(word.charCodeAt(at));
      if (node === undefined) break;
      if (node.id < 0) continue;
      reach(start, at + 1, node.id, scores[node.id] ?? 0);
      if (at + 1 === letterEnd) hasLetter = true;
    }
    if (!hasLetter) reach(start, letterEnd, unknown, unknownScore);
    start = letterEnd;
  }
  return backFrom(size, word, { from, ids, unknown });
}

function backFrom(
  size: number,
  word: string,
  { from, ids, unknown }: { readonly from: Int32Array; readonly ids: Int32Array; readonly unknown: number },
): readonly Found[] {
  const found: Found[] = [];
  for (let end = size; end > 0;) {
    const start = from[end] ?? 0;
    const id = ids[end] ?? unknown;
    const last = found.at(-1);
    const text = word.slice(start, end);
    if (id === unknown && last?.id === unknown) found[found.length - 1] = { text: text + last.text, id };
    else found.push({ text, id });
    end = start;
  }
  return found.toReversed();
}
