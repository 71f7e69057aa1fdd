/**
 * What a container says as it ends: the termination message, at most 4096 bytes of JSON.
 *
 * `prepare` says what it learned (or why it failed); `runtime` says why it died. The operator reads it
 * from the pod's status, so no pod needs credentials for the API.
 *
 * Owns:  the two shapes and reading them back. Reading never throws: a container may have been killed
 *        in mid-sentence, or be somebody else's image.
 */
import { bounds } from './bounds.ts';
import type { Precision, ProviderName } from './choices.ts';
import { readModelIo, type ModelIo } from './model-io.ts';
import { present } from './present.ts';
import { parseSchemaOne } from './record.ts';
import { k, type Infer, type Schema } from './schema/builder.ts';
import { checkOf } from './schema/check.ts';
import { c } from './schema/contract.ts';
import { digestPattern } from './schema/values.ts';

export const maxLeftOut = 300;

/** Kubernetes cuts a termination message at this many bytes. */
export const lastWordsLimitBytes = 4096;

const digest = () => k.string({ ...bounds.digest, pattern: digestPattern });
const words = () => k.string({ max: lastWordsLimitBytes });

/** What only the bytes could tell. Later pods of the revision refuse anything else. */
const resolvedSchema = k.object({
  digest: digest().doc('Of the source as the spec names it: of a file its SHA-256, of a folder that of its listing.'),
  bytes: c.number().doc('Bytes of the source.'),
  signature: words().doc('SHA-256 over names, types and shapes of inputs and outputs.'),
  opset: c.number().doc('Version of the operator set.'),
  // Of a later version, perhaps. They go into a status, whose fields are as long as these.
  precision: c.wordOf<Precision>({ max: 16 }).doc('What is served: a precision that was asked for, or Source.'),
  provider: c.wordOf<ProviderName>({ max: 32 }).doc('The first provider that the session was really built with.'),
  memoryEstimateBytes: c
    .number()
    .doc('Bytes of anonymous memory that loading and one run needed; 0 when not measured.'),
});

export type Resolved = Infer<typeof resolvedSchema> & {
  /** Of the file that is served, with its external weights if it has any. Absent: an older runtime said this. */
  readonly served?: string;
  /** What it takes and gives; absent when that is too long to be said here. */
  readonly io?: ModelIo;
  /** Outputs that are not tensors, so that no answer has them; at most `maxLeftOut` characters. Absent without any. */
  readonly leftOut?: string;
};

export type LastWords =
  | { readonly kind: 'resolved'; readonly resolved: Resolved }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

const check = checkOf(
  c.variants({ resolved: { resolved: resolvedSchema }, failed: { code: words(), message: words() } }),
  'Ignore',
);
const isDigest = valid(digest());
const isLeftOut = valid(k.string({ max: maxLeftOut }));

/** Of a part that is left out when it is wrong. */
function valid(schema: Schema<string>): (value: unknown) => boolean {
  const checkPart = checkOf(schema, 'Ignore');
  return (value) => checkPart(value) === undefined;
}

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
  if (value === undefined || check(value) !== undefined) return undefined;
  const said = value as LastWords;
  if (said.kind === 'failed') return { kind: 'failed', code: said.code, message: said.message };
  const { io: given, served, leftOut, ...resolved } = said.resolved;
  const parts = {
    io: readModelIo(given),
    served: isDigest(served) ? served : undefined,
    leftOut: isLeftOut(leftOut) ? leftOut : undefined,
  };
  return { kind: 'resolved', resolved: { ...resolved, ...present(parts) } };
}
