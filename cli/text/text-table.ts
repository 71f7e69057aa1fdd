/** Text in columns and within a width. Pure: each character counts as one column, because colours are added later. */

/** Lines with columns that are separated by two spaces; each line is indented by two spaces. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = columnWidths(rows);
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}

export function columnWidths(rows: readonly (readonly string[])[]): readonly number[] {
  return rows.reduce<readonly number[]>(
    (so, row) =>
      Array.from({ length: Math.max(so.length, row.length) }, (_, i) => Math.max(so[i] ?? 0, row[i]?.length ?? 0)),
    [],
  );
}

/** Wraps words into lines of at most `width` columns. A word that is longer gets a line of its own. */
export function wrapped(words: readonly string[], width: number, gap = ' '): readonly string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + gap.length + word.length <= width)
      lines[lines.length - 1] = `${last}${gap}${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Cuts a line to at most `width` columns; `…` marks the cut. */
export function cutTo(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
