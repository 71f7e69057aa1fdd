/**
 * The port of a tokenizer's model: one pre-tokenised word to token ids.
 *
 * Limits: the ids of 10,000 words of up to 256 code units are remembered.
 */

export type TokenModel = {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Appends the ids of a word that is not empty. */
  readonly add: (word: string, ids: number[]) => void;
};

const maxRemembered = 10_000;
const maxRememberedLength = 256;

/** A model that remembers the words it has seen: texts repeat theirs. */
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
      // Not push(...ids): a word without blanks can be as long as a text.
      for (const id of idsOf(word)) ids.push(id);
    },
  };
}
