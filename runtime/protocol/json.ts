/**
 * Parses JSON from outside without letting its form cost more than its size.
 *
 * Owns:   the bounds on nesting and on the memory that parsing takes, both checked on the bytes before the parser
 *         allocates anything, and UTF-8 checking.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';

export type JsonRules = {
  readonly maxDepth: number;
  /** Most bytes of memory that parsing may take, by `parsedBytes`; absent: no bound. */
  readonly memoryBytes?: number;
  /** What a client can do whose JSON is refused for `memoryBytes`. */
  readonly advice?: string;
};

/** What a text of JSON is made of. Right for every text that is JSON, an upper bound for any other. */
export type JsonParts = {
  /** Bytes of the text. */
  readonly bytes: number;
  /** Deepest nesting of lists and objects; counting stops at the first level beyond the limit. */
  readonly depth: number;
  readonly lists: number;
  readonly objects: number;
  readonly keys: number;
  /** Values and keys that are texts. */
  readonly texts: number;
  /** Entries of all lists and objects. */
  readonly entries: number;
  /** Whether a character may take two bytes of memory. */
  readonly wide: boolean;
};

const kinds = { other: 0, open: 1, close: 2, quote: 3, comma: 4, colon: 5, wide: 6 } as const;
const kindOf = new Uint8Array(256);
for (const [chars, kind] of [['[{', kinds.open], [']}', kinds.close], ['"', kinds.quote], [',', kinds.comma], [':', kinds.colon]] as const) {
  for (const char of chars) kindOf[char.charCodeAt(0)] = kind;
}
kindOf.fill(kinds.wide, 0x80);
const quote = 0x22;
const backslash = 0x5c;
const bracket = 0x5b;

const strictText = new TextDecoder('utf-8', { fatal: true });

/**
 * @param what names the text in messages, e.g. "the body"
 * @throws AppError REQUEST_INVALID for what is not JSON, or is nested deeper than `maxDepth`; REQUEST_TOO_LARGE when parsing
 *         would take more than `memoryBytes`
 */
export function parseJson(bytes: Uint8Array, rules: JsonRules, what: string): unknown {
  checkParts(countParts(bytes, rules.maxDepth), rules, what);
  try {
    return JSON.parse(strictText.decode(bytes));
  } catch (error) {
    throw new AppError('REQUEST_INVALID', { problem: `${what} is not JSON: ${wordsOf(error)}` }, { cause: error });
  }
}

function checkParts(parts: JsonParts, { maxDepth, memoryBytes = Infinity, advice }: JsonRules, what: string): void {
  if (parts.depth > maxDepth) throw new AppError('REQUEST_INVALID', { problem: `${what} is nested deeper than ${maxDepth} levels` });
  const need = parsedBytes(parts);
  if (need <= memoryBytes) return;
  throw new AppError('REQUEST_TOO_LARGE', {
    what: `the memory to parse ${what}, about ${need} bytes for JSON of ${parts.bytes} bytes with ${parts.entries} entries, ${parts.lists} lists and ${parts.objects} objects,`,
    limit: memoryBytes, ...(advice === undefined ? {} : { advice }),
  });
}

/**
 * An upper bound of the memory that parsing takes at its peak, the text's decoded copy included.
 *
 * Measured with V8 of Node 26: an entry is a slot in the parser's growing stack, one in its list, and a number of 16
 * bytes; a list or an object has a head of up to 64 bytes; each new key may make a new hidden class.
 */
export function parsedBytes({ bytes, lists, objects, keys, texts, entries, wide }: JsonParts): number {
  const perByte = wide ? 2 : 1;
  return 2 * perByte * bytes + 48 * entries + 64 * (lists + objects) + 256 * keys + 24 * texts;
}

/** Counts without parsing, in one pass; stops at the first bracket that opens deeper than `maxDepth`. */
export function countParts(bytes: Uint8Array, maxDepth: number): JsonParts {
  const count = { depth: 0, lists: 0, objects: 0, keys: 0, texts: 0, entries: 1, wide: false };
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const kind = kindOf[bytes[at] ?? 0];
    if (kind === kinds.other) continue;
    if (kind === kinds.comma) count.entries += 1;
    else if (kind === kinds.quote) at = endOfText(bytes, at + 1, count);
    else if (kind === kinds.open) {
      count[bytes[at] === bracket ? 'lists' : 'objects'] += 1;
      count.entries += 1;
      depth += 1;
      if (depth > count.depth) count.depth = depth;
      if (depth > maxDepth) break;
    } else if (kind === kinds.close) depth -= 1;
    else if (kind === kinds.colon) count.keys += 1;
  }
  return { bytes: bytes.length, ...count };
}

/** @returns where the text ends, its closing quote */
function endOfText(bytes: Uint8Array, from: number, count: { texts: number; wide: boolean }): number {
  count.texts += 1;
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) break;
    // An escape may stand for any character, an escaped quote does not end the text.
    if (byte === backslash) at += 1;
    if (byte === backslash || byte >= 0x80) count.wide = true;
  }
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
