/**
 * Finds the text that a mutant changes: first the file, by an exported name, then the declaration, then the text in the
 * declaration.
 * Pure.
 * Owns: parsing this repository's layout. A top-level declaration begins in the first column. It ends at the next
 * closing bracket in the first column, or before the next declaration. White space and trailing commas in a mutant's
 * text do not matter.
 * Throws: MutantError, for the maintainers of the list.
 */
import type { Mutant } from './mutant.ts';

export class MutantError extends Error {
  override readonly name = 'MutantError';
}

export type Source = { readonly path: string; readonly text: string };
export type Mutated = { readonly path: string; readonly text: string };

/**
 * Applies a mutant. @throws MutantError when the name, or the text in its declaration, is not found or is found more
 * than once
 */
export function mutated(sources: readonly Source[], { name, of, home = '', within, from, to }: Mutant): Mutated {
  const refuse = (problem: string): MutantError => new MutantError(`mutant "${name}": ${problem}`);
  const found = sources.filter(({ path, text }) => path.startsWith(home) && extentOf(text, of, true) !== undefined);
  const [source, other] = found;
  if (source === undefined) throw refuse(`no file exports ${of}`);
  if (other !== undefined) throw refuse(`${found.map(({ path }) => path).join(' and ')} export ${of}`);
  const extent = within === undefined ? extentOf(source.text, of, true) : extentOf(source.text, within, false);
  if (extent === undefined) throw refuse(`${source.path} has no function ${within ?? of}`);
  const [begin, end] = extent;
  const body = source.text.slice(begin, end);
  const places = placesOf(body, from);
  const count = places.length;
  if (count !== 1) throw refuse(`${source.path}: the text occurs ${count} times in ${within ?? of}, not once: ${from}`);
  if (from === to) throw refuse('it changes nothing');
  const changed = places.map(([first, last]) => body.slice(0, first) + to + body.slice(last)).join('');
  return { path: source.path, text: source.text.slice(0, begin) + changed + source.text.slice(end) };
}

type Place = readonly [begin: number, end: number];

/**
 * The positions of one text in another. The layout does not matter. White space at the beginning or end of the wanted
 * text matches any white space.
 */
function placesOf(body: string, wanted: string): readonly Place[] {
  const all = characters(body);
  const plain = all.map(({ character }) => character).join('');
  const sought = characters(wanted.trim())
    .map(({ character }) => character)
    .join('');
  const places: Place[] = [];
  for (let at = plain.indexOf(sought); at >= 0 && sought !== ''; at = plain.indexOf(sought, at + sought.length)) {
    const first = all[at]?.at ?? 0;
    const last = (all[at + sought.length - 1]?.at ?? 0) + 1;
    const begin = /^\s/.test(wanted) ? body.slice(0, first).trimEnd().length : first;
    const end = /\s$/.test(wanted) ? body.length - body.slice(last).trimStart().length : last;
    places.push([begin, end]);
  }
  return places;
}

/**
 * The characters of a text without its layout: one space between words, no other white space, and no trailing comma in
 * a list.
 */
function characters(text: string): readonly { readonly character: string; readonly at: number }[] {
  const left = text.matchAll(/(?<space>(?<=\w)\s+(?=\w))|(?:\s+)|(?:,(?=\s*[)\]}]))|(?<other>[^])/g);
  return [...left].flatMap(({ groups, index }) => {
    const character = groups?.['space'] === undefined ? groups?.['other'] : ' ';
    return character === undefined ? [] : [{ character, at: index }];
  });
}

/** @returns where the declaration begins and ends; undefined when there is no declaration of this name */
export function extentOf(
  text: string,
  name: string,
  exported: boolean,
): readonly [begin: number, end: number] | undefined {
  const head = new RegExp(
    `^${exported ? 'export ' : '(?:export )?'}` +
      String.raw`(?:async )?(?:abstract )?(?:function\*?|class|const|let)\s+${escaped(name)}\b`,
    'm',
  ).exec(text);
  if (head === null) return undefined;
  const begin = head.index;
  const line = endOfLine(text, begin);
  // Return a declaration that fits on one line. If the line leaves a bracket open, the declaration continues below it.
  if (/(?:;|\}|\))$/.test(text.slice(begin, line)) && isClosed(text.slice(begin, line))) return [begin, line];
  const close = /^[}\])]|^(?=\w|\/[/*])/gm;
  close.lastIndex = line;
  const found = close.exec(text);
  // A line such as `): Type {` closes the parameters, but not the declaration.
  for (let at = found; at !== null; at = close.exec(text)) {
    // The next declaration begins here, or the comment above it.
    if (at[0] === '') return [begin, text.slice(0, at.index).trimEnd().length];
    const end = endOfLine(text, at.index);
    if (!text.slice(at.index, end).trimEnd().endsWith('{')) return [begin, end];
  }
  return [begin, text.length];
}

function escaped(name: string): string {
  return name.replace(/[^\w]/g, String.raw`\$&`);
}

/** Whether the line closes every bracket that it opens. Brackets in strings are assumed to be balanced. */
function isClosed(line: string): boolean {
  const count = (pattern: RegExp): number => line.match(pattern)?.length ?? 0;
  return count(/[([{]/g) === count(/[)\]}]/g);
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

/** The mutants of part K of N. Every mutant is in exactly one part. @param part 1 to `parts` */
export function partOf<T>(list: readonly T[], part: number, parts: number): readonly T[] {
  return list.filter((_, index) => index % parts === part - 1);
}

/**
 * The part for a commit. The same hash always gives the same part, and all parts are equally likely. @param hash hex
 * digits
 */
export function partForCommit(hash: string, parts: number): number {
  return 1 + Number(BigInt(`0x${hash}`) % BigInt(parts));
}
