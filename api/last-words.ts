/**
 * What a container says as it ends: the termination message, at most 4096 bytes of JSON.
 *
 * `prepare` says what it learned (or why it failed); `runtime` says why it died. The operator reads it
 * from the pod's status, so no pod needs credentials for the API.
 *
 * Owns:  the two shapes and reading them back. Reading never throws: a container may have been killed
 *        in mid-sentence, or be somebody else's image.
 */
import { readModelIo, type ModelIo } from './model-io.ts';
import { present } from './present.ts';
import { isRecord, parseSchemaOne } from './record.ts';
import type { Precision, ProviderName } from './choices.ts';

/** What only the bytes could tell. Later pods of the revision refuse anything else. */
export type Resolved = {
  /** Of the source as the spec's digest would name it: of a file its SHA-256, of a folder that of its listing. */
  readonly digest: string;
  /** Of the file that is served, with its external weights if it has any. Absent: an older runtime said this. */
  readonly served?: string;
  readonly bytes: number;
  /** SHA-256 over names, types and shapes of inputs and outputs. */
  readonly signature: string;
  readonly opset: number;
  /** What is served: a precision that was asked for, or Source. */
  readonly precision: Precision;
  /** The first provider that the session was really built with. */
  readonly provider: ProviderName;
  /** Bytes of anonymous memory that loading and one run needed; 0 when not measured. */
  readonly memoryEstimateBytes: number;
  /** What it takes and gives; absent when that is too long to be said here. */
  readonly io?: ModelIo;
  /** Outputs that are not tensors, so that no answer has them; at most `maxLeftOut` characters. Absent without any. */
  readonly leftOut?: string;
};

export const maxLeftOut = 300;

export type LastWords =
  | { readonly kind: 'resolved'; readonly resolved: Resolved }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** Kubernetes cuts a termination message at this many bytes. */
export const lastWordsLimitBytes = 4096;

export function printLastWords(words: LastWords): string {
  const text = JSON.stringify({ schema: 1, ...words });
  if (new TextEncoder().encode(text).length <= lastWordsLimitBytes) return text;
  // Of what was resolved only the names of many inputs and outputs can be long; the signature stands for them.
  if (words.kind === 'resolved')
    return JSON.stringify({ schema: 1, kind: 'resolved', resolved: { ...words.resolved, io: undefined } });
  // A character is at most 4 bytes, escaped at most 6.
  return JSON.stringify({ schema: 1, ...words, message: words.message.slice(0, 600) });
}

/** @returns undefined when the text is not of this form */
export function parseLastWords(text: string): LastWords | undefined {
  if (text.length > lastWordsLimitBytes) return undefined;
  const value = parseSchemaOne(text);
  if (value === undefined) return undefined;
  if (value['kind'] === 'failed' && typeof value['code'] === 'string' && typeof value['message'] === 'string') {
    return { kind: 'failed', code: value['code'], message: value['message'] };
  }
  return value['kind'] === 'resolved' ? parseResolved(value['resolved']) : undefined;
}

const resolvedShape = {
  digest: 'string',
  bytes: 'number',
  signature: 'string',
  opset: 'number',
  precision: 'string',
  provider: 'string',
  memoryEstimateBytes: 'number',
} as const satisfies Record<Exclude<keyof Resolved, 'io' | 'served' | 'leftOut'>, 'string' | 'number'>;

function parseResolved(value: unknown): LastWords | undefined {
  if (!isRecord(value)) return undefined;
  for (const [name, type] of Object.entries(resolvedShape)) if (typeof value[name] !== type) return undefined;
  // They go into a status, whose fields are as long as these.
  if (!isDigest(value['digest']) || String(value['precision']).length > 16 || String(value['provider']).length > 32)
    return undefined;
  const { io: said, served, leftOut, ...resolved } = value as Resolved;
  const io = readModelIo(said);
  const left = typeof leftOut === 'string' && leftOut.length <= maxLeftOut ? leftOut : undefined;
  return {
    kind: 'resolved',
    resolved: { ...resolved, ...present({ io, served: isDigest(served) ? served : undefined, leftOut: left }) },
  };
}

function isDigest(value: unknown): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(String(value));
}
