/**
 * Parses JSON from outside without letting its form cost more than its size.
 *
 * Owns:   the bound on nesting, checked on the bytes before the parser allocates for it, and UTF-8 checking.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';

const quote = 0x22;
const backslash = 0x5c;
const opening = new Uint8Array(256);
for (const char of '[{') opening[char.charCodeAt(0)] = 1;
for (const char of ']}') opening[char.charCodeAt(0)] = 2;

const strictText = new TextDecoder('utf-8', { fatal: true });

/**
 * @param what names the text in messages, e.g. "the body"
 * @throws AppError REQUEST_INVALID for what is no JSON, or is nested deeper than `maxDepth`
 */
export function parseJson(bytes: Uint8Array, maxDepth: number, what: string): unknown {
  if (deeperThan(bytes, maxDepth)) throw new AppError('REQUEST_INVALID', { problem: `${what} is nested deeper than ${maxDepth} levels` });
  try {
    return JSON.parse(strictText.decode(bytes));
  } catch (error) {
    throw new AppError('REQUEST_INVALID', { problem: `${what} is not JSON: ${wordsOf(error)}` }, { cause: error });
  }
}

/** Whether brackets outside of strings open more than `maxDepth` deep. Right for every text that is JSON. */
export function deeperThan(bytes: Uint8Array, maxDepth: number): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfString(bytes, at + 1);
    else if (opening[byte] === 1) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (opening[byte] === 2) depth -= 1;
  }
  return false;
}

function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/** The parser quotes the text around the fault; a body's content belongs in no log, so only its position is kept. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/end of JSON input|Unterminated/.test(message)) return 'it ends too early';
  const position = /position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return `unexpected character at position ${position}`;
  return error instanceof SyntaxError ? 'unexpected character' : 'it is not UTF-8';
}
