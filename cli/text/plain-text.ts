/**
 * Makes the text of other programs safe for the terminal, because a container's message may contain escape sequences.
 * Pure.
 */

/** One line without control characters. */
export function plainLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** The lines without control characters; empty lines are left out. */
export function plainLines(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map(plainLine)
    .filter((line) => line !== '');
}
