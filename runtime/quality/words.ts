/**
 * Word errors of a text.
 *
 * Pure. Source: the usual word error rate, Levenshtein's distance over words. Case and punctuation count; white space
 * does not.
 */

/**
 * Longer than the transcript of an hour of speech. The limit exists because the cost is the product of both lengths.
 */
const maxWords = 10_000;

export function wordsOf(texts: readonly string[]): readonly string[] {
  return texts
    .join(' ')
    .split(/\s+/u)
    .filter((word) => word !== '')
    .slice(0, maxWords);
}

/** The minimum number of insertions, deletions and replacements of words that turn `want` into `got`. */
export function wordErrors(want: readonly string[], got: readonly string[]): number {
  let before = Array.from({ length: got.length + 1 }, (_, column) => column);
  for (const [row, word] of want.entries()) {
    const now = [row + 1];
    for (const [column, other] of got.entries()) {
      const replaced = (before[column] ?? 0) + (word === other ? 0 : 1);
      now.push(Math.min(replaced, (before[column + 1] ?? 0) + 1, (now[column] ?? 0) + 1));
    }
    before = now;
  }
  return before[got.length] ?? 0;
}
