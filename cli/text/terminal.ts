/**
 * What a command may do with the terminal it writes to.
 *
 * Owns: the styles and their colours. Without a terminal, or where NO_COLOR is set, there are none.
 */

export type Style = 'good' | 'bad' | 'open' | 'strong' | 'faint';
export type Paint = (style: Style, text: string) => string;

export type Terminal = {
  /** Lines may be written over: standard output is a terminal that a person looks at. */
  readonly isLive: boolean;
  readonly paint: Paint;
  /** Infinity where nothing is cut. */
  columns(): number;
  rows(): number;
};

const codes: Readonly<Record<Style, number>> = { good: 32, bad: 31, open: 33, strong: 1, faint: 2 };

export const unpainted: Paint = (_style, text) => text;
export const coloured: Paint = (style, text) => (text === '' ? '' : `\u001b[${codes[style]}m${text}\u001b[0m`);

/** A file or a pipe: nothing is cut, painted or written over. */
export const noTerminal: Terminal = { isLive: false, paint: unpainted, columns: () => Infinity, rows: () => Infinity };
