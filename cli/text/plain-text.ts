/**
 * Text of others on the user's terminal: what a container said may hold anything, escape sequences too.
 * Pure.
 */

/** One line without control characters. */
export function plainLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** The lines without control characters; empty ones are left out. */
export function plainLines(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map(plainLine)
    .filter((line) => line !== '');
}
