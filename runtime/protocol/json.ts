/**
 * Parses JSON from outside within limits on nesting and memory.
 *
 * Owns:   the limits, which are checked on the bytes before the parser allocates anything, and the check of UTF-8.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';
import { formatBytes } from '../../api/units.ts';

export type JsonRules = {
  readonly maxDepth: number;
  /** Maximum bytes of memory for parsing, as `parsedBytes` estimates it; absent when there is no limit. */
  readonly memoryBytes?: number;
  /** What a client can do when its JSON exceeds `memoryBytes`. */
  readonly advice?: string;
};

/** Counts of the parts of a JSON text. For valid JSON they are exact, except that `entries` is an upper bound. */
export type JsonParts = {
  /** Bytes of the text. */
  readonly bytes: number;
  /** Deepest nesting of lists and objects; counting stops at the first level beyond the limit. */
  readonly depth: number;
  readonly lists: number;
  readonly objects: number;
  readonly keys: number;
  /** Number of strings, including keys. */
  readonly texts: number;
  /** At least the number of entries of all lists and objects. */
  readonly entries: number;
  /** True if the parser may need two bytes of memory for each character. */
  readonly wide: boolean;
};

const kinds = { list: 1, object: 2, close: 3, quote: 4, comma: 5, colon: 6 } as const;
const kindOf = new Uint8Array(256);
for (const [chars, kind] of [
  ['[', kinds.list],
  ['{', kinds.object],
  [']}', kinds.close],
  ['"', kinds.quote],
  [',', kinds.comma],
  [':', kinds.colon],
] as const) {
  for (const char of chars) kindOf[char.charCodeAt(0)] = kind;
}
/** How much each kind of byte adds to the depth. */
const stepOf = Int8Array.of(0, 1, 1, -1, 0, 0, 0, 0);
const quote = 0x22;
const backslash = 0x5c;

const strictText = new TextDecoder('utf-8', { fatal: true });

/**
 * @param what names the text in messages, e.g. "the body"
 * @throws AppError REQUEST_INVALID for text that is not JSON or is nested deeper than `maxDepth`; REQUEST_TOO_LARGE
 *   when parsing would take more than `memoryBytes`
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
  if (parts.depth > maxDepth)
    throw new AppError('REQUEST_INVALID', { problem: `${what} is nested deeper than ${maxDepth} levels` });
  const need = parsedBytes(parts);
  if (need <= memoryBytes) return;
  throw new AppError('REQUEST_TOO_LARGE', {
    what:
      `parsing ${what} needs about ${formatBytes(need)} of memory (${parts.bytes} bytes of JSON with ` +
      `${parts.entries} entries, ${parts.lists} lists and ${parts.objects} objects)`,
    limit: formatBytes(memoryBytes),
    ...(advice === undefined ? {} : { advice }),
  });
}

/**
 * An upper bound of the peak memory of parsing, including the text's decoded copy.
 *
 * Measured with V8 of Node 26: an entry takes a slot in the parser's growing stack, a slot in its list, and a number of
 * 16 bytes; a list or an object has a header of up to 64 bytes; each new key may create a new hidden class.
 */
export function parsedBytes({ bytes, lists, objects, keys, texts, entries, wide }: JsonParts): number {
  const perByte = wide ? 2 : 1;
  return 2 * perByte * bytes + 48 * entries + 64 * (lists + objects) + 256 * keys + 24 * texts;
}

/** Counts in one pass without parsing; stops at the first bracket nested deeper than `maxDepth`. */
export function countParts(bytes: Uint8Array, maxDepth: number): JsonParts {
  const counts = new Uint32Array(8);
  const text = { wide: false };
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < bytes.length && depth <= maxDepth; at += 1) {
    const kind = kindOf[bytes[at] as number] as number;
    counts[kind] = (counts[kind] as number) + 1;
    depth += stepOf[kind] as number;
    if (depth > deepest) deepest = depth;
    if (kind === kinds.quote) at = endOfText(bytes, at + 1, text);
  }
  const [, lists, objects, , texts, commas, keys] = counts as unknown as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    bytes: bytes.length,
    depth: deepest,
    lists,
    objects,
    keys,
    texts,
    entries: 1 + commas + lists + objects,
    wide: text.wide,
  };
}

/** @returns the position of the string's closing quote */
function endOfText(bytes: Uint8Array, from: number, state: { wide: boolean }): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) break;
    // An escape may stand for any character; an escaped quote does not end the string.
    if (byte === backslash) at += 1;
    if (byte === backslash || byte >= 0x80) state.wide = true;
  }
  return at;
}

/**
 * The parser's message quotes the text around the error. Keep only the position, because logs must not contain a body's
 * content.
 */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/end of JSON input|Unterminated/.test(message)) return 'it ends too early';
  const position = /position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return `unexpected character at position ${position}`;
  return error instanceof SyntaxError ? 'unexpected character' : 'it is not UTF-8';
}
