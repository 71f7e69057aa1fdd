/**
 * Real English texts: the sentences of the Apache License that this repository contains.
 * Pure.
 */

/** The paragraphs of the licence as single lines, without headings, cut at sentences; from 20 to 600 characters. */
export function sentencesOf(licence: string): readonly string[] {
  return licence
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replaceAll(/\s+/g, ' ').trim())
    .flatMap((paragraph) => paragraph.split(/(?<=[.;:])\s+(?=[A-Z("])/))
    .filter(({ length }) => length >= 20 && length <= 600);
}
