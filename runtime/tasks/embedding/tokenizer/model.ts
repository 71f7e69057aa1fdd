/**
 * The port of a tokenizer's model: converts one word to token ids. A word is a piece into which pre-tokenizers split a
 * text.
 *
 * Limits: caches the ids of 10,000 words of up to 256 code units.
 */

export type TokenModel = {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Appends the ids of a non-empty word. */
  readonly add: (word: string, ids: number[]) => void;
};

const maxRemembered = 10_000;
const maxRememberedLength = 256;

/** Adds a cache of words to a model, because words repeat in texts. */
export function remembering({
  vocabulary,
  piecesOf,
}: {
  readonly vocabulary: TokenModel['vocabulary'];
  readonly piecesOf: (word: string) => readonly number[];
}): TokenModel {
  const remembered = new Map<string, readonly number[]>();
  const idsOf = (word: string): readonly number[] => {
    const known = remembered.get(word);
    if (known !== undefined) return known;
    const ids = piecesOf(word);
    if (word.length > maxRememberedLength) return ids;
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(word, ids);
    return ids;
  };
  return {
    vocabulary,
    add: (word, ids) => {
      // Do not use push(...ids): a text without blanks is one word, and its ids could exceed the maximum number of
      // arguments.
      for (const id of idsOf(word)) ids.push(id);
    },
  };
}
