/**
 * The terminal that a command writes to.
 *
 * Owns: the styles and their colours. Text is coloured only on a terminal, and only if NO_COLOR is empty or not set.
 */

export type Style = 'good' | 'bad' | 'open' | 'strong' | 'faint';
export type Paint = (style: Style, text: string) => string;

export type Terminal = {
  /** True: standard output is a terminal, so lines may be overwritten. */
  readonly isLive: boolean;
  readonly paint: Paint;
  /** The number of columns; Infinity when lines must not be cut. */
  columns(): number;
  rows(): number;
};

const codes: Readonly<Record<Style, number>> = { good: 32, bad: 31, open: 33, strong: 1, faint: 2 };

export const unpainted: Paint = (_style, text) => text;
export const coloured: Paint = (style, text) => (text === '' ? '' : `\u001b[${codes[style]}m${text}\u001b[0m`);

/** Output to a file or a pipe: text is not cut, coloured or overwritten. */
export const noTerminal: Terminal = { isLive: false, paint: unpainted, columns: () => Infinity, rows: () => Infinity };
