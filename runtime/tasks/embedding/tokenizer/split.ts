/**
 * Splits text by a pattern, like the tokenizers library.
 *
 * Owns:  the treatment of matches. Empty pieces are dropped. Pure.
 */

export const behaviours = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
export type Behaviour = (typeof behaviours)[number];

export type TextPiece = {
  readonly text: string;
  /** True if the piece is at the start of the request's text; Metaspace can depend on it. */
  readonly first: boolean;
};

export type Splitter = {
  readonly pattern: RegExp;
  readonly behaviour: Behaviour;
  /** True: a match counts as text between matches, and text between matches counts as a match. */
  readonly invert: boolean;
};

type Span = { start: number; end: number; match: boolean };

/** @param pattern with the flag g */
export function splitBy(piece: TextPiece, { pattern, behaviour, invert }: Splitter): readonly TextPiece[] {
  const { text } = piece;
  const kept = mergers[behaviour](spansOf(text, pattern, invert)).filter(({ start, end }) => end > start);
  return kept.map(({ start, end }) => ({ text: text.slice(start, end), first: piece.first && start === 0 }));
}

/** The text with each match replaced; `content` has no placeholders. */
export function replaceAll(text: string, pattern: RegExp, content: string): string {
  return spansOf(text, pattern, false)
    .map(({ start, end, match }) => (match ? content : text.slice(start, end)))
    .join('');
}

/** Divides the whole text into spans. Each span is a match, or text before, between or after matches. */
function spansOf(text: string, pattern: RegExp, invert: boolean): readonly Span[] {
  const spans: Span[] = [];
  let done = 0;
  for (const { start, end } of matchesOf(text, pattern)) {
    // Skip an empty match directly after another match: Oniguruma does not find it.
    if (start === end && start === done && spans.length > 0) continue;
    if (start > done) spans.push({ start: done, end: start, match: invert });
    spans.push({ start, end, match: !invert });
    done = end;
  }
  if (done < text.length) spans.push({ start: done, end: text.length, match: invert });
  return spans;
}

/**
 * Does not use matchAll, which copies the pattern on each call: most texts are one word, so the copies would be costly.
 */
function matchesOf(text: string, pattern: RegExp): readonly { readonly start: number; readonly end: number }[] {
  const matches: { start: number; end: number }[] = [];
  pattern.lastIndex = 0;
  for (let match = text === '' ? null : pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [found] = match;
    matches.push({ start: match.index, end: match.index + found.length });
    if (found === '') pattern.lastIndex += (text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1;
  }
  return matches;
}

const mergers: { readonly [B in Behaviour]: (spans: readonly Span[]) => readonly Span[] } = {
  Removed: (spans) => spans.filter(({ match }) => !match),
  Isolated: (spans) => spans,
  Contiguous: (spans) => merge(spans, (span, last) => span.match === last.match),
  MergedWithPrevious: (spans) => merge(spans, (span, last) => span.match && !last.match),
  MergedWithNext: (spans) => mergeWithNext(spans),
};

/** Joins a span to the span before it if `joins` returns true for the two. */
function merge(spans: readonly Span[], joins: (span: Span, last: Span) => boolean): readonly Span[] {
  const merged: Span[] = [];
  spans.forEach((span, index) => {
    const last = merged.at(-1);
    const before = spans[index - 1];
    if (last !== undefined && before !== undefined && joins(span, before)) last.end = span.end;
    else merged.push({ ...span });
  });
  return merged;
}

function mergeWithNext(spans: readonly Span[]): readonly Span[] {
  const merged: Span[] = [];
  for (let index = spans.length - 1; index >= 0; index -= 1) {
    const span = spans[index];
    const next = merged.at(-1);
    if (span === undefined) continue;
    if (next !== undefined && span.match && spans[index + 1]?.match === false) next.start = span.start;
    else merged.push({ ...span });
  }
  return merged.toReversed();
}
