/**
 * The last words of a container: its termination message, at most 4096 bytes of JSON. The operator reads the last words
 * from the pod's status, so that pods need no credentials for the API server.
 *
 * Terms: `prepare` is the init container, which fetches and checks the model.
 * Owns: the two forms, `resolved` (the result of `prepare`) and `failed`. Reading never throws: a container may be
 *       killed while it writes, or run another image.
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

/** Kubernetes cuts a termination message at this length. */
export const lastWordsLimitBytes = 4096;

const digest = () => k.string({ ...bounds.digest, pattern: digestPattern });
const words = () => k.string({ max: lastWordsLimitBytes });

/** What `prepare` found in the fetched files. Later pods of the revision refuse files that differ. */
const resolvedSchema = k.object({
  digest: digest().doc('SHA-256 of the source: of the file, or of the listing of the folder.'),
  bytes: c.number().doc('Size of the source in bytes.'),
  signature: words().doc('SHA-256 over names, types and shapes of inputs and outputs.'),
  opset: c.number().doc('Version of the operator set.'),
  // Only the lengths of `precision` and `provider` are checked, because a later version may write other words. The
  // maximum lengths are the same as in the status.
  precision: c.wordOf<Precision>({ max: 16 }).doc('Precision that is served: the requested one, or Source.'),
  provider: c.wordOf<ProviderName>({ max: 32 }).doc('The first provider that the session was built with.'),
  memoryEstimateBytes: c.number().doc('Bytes of anonymous memory that loading and one run needed; 0: not measured.'),
});

export type Resolved = Infer<typeof resolvedSchema> & {
  /**
   * Digest of the served file, with its external weights if there are any. Absent when an older runtime wrote the
   * message.
   */
  readonly served?: string;
  /** Inputs and outputs of the model. Absent when they do not fit into the message. */
  readonly io?: ModelIo;
  /**
   * Outputs that are not tensors and so are not returned; at most `maxLeftOut` characters. Absent when every output is
   * a tensor.
   */
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

/** Returns the check of an optional part of the message. A part that fails its check is ignored; the rest is used. */
function valid(schema: Schema<string>): (value: unknown) => boolean {
  const checkPart = checkOf(schema, 'Ignore');
  return (value) => checkPart(value) === undefined;
}

export function printLastWords(words: LastWords): string {
  const text = JSON.stringify({ schema: 1, ...words });
  if (new TextEncoder().encode(text).length <= lastWordsLimitBytes) return text;
  // Only `io` can make this message too long, so leave it out. The signature's hash is kept.
  if (words.kind === 'resolved')
    return JSON.stringify({ schema: 1, kind: 'resolved', resolved: { ...words.resolved, io: undefined } });
  // 600 UTF-16 units take at most 3600 bytes: JSON encodes each unit in at most 6 bytes.
  return JSON.stringify({ schema: 1, ...words, message: words.message.slice(0, 600) });
}

/** @returns undefined when the text does not have this form */
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
