/**
 * Computes the revision of a spec.
 *
 * Owns: the hash: the first 10 hex digits of SHA-256 over the canonical JSON (RFC 8785) of the hashed part of the
 *       spec as the user wrote it, with durations and quantities normalised. Defaults are not hashed, so that a new
 *       default does not change the revision of an unchanged spec.
 */
import { createHash } from 'node:crypto';
import { revisionFieldNames, type OnnxModelSpec, type RevisionSpec } from '../../api/onnxmodel.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { parseDurationMs } from '../../api/units.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { Revision } from '../rollout/state.ts';

/** The part of a spec that determines the revision. */
export function revisionSpecOf(spec: OnnxModelSpec): RevisionSpec {
  return Object.fromEntries(
    revisionFieldNames.filter((name) => spec[name] !== undefined).map((name) => [name, spec[name]]),
  ) as RevisionSpec;
}

export function revisionOf(spec: OnnxModelSpec): Revision {
  return createHash('sha256')
    .update(canonicalJson(normalise(revisionSpecOf(spec))))
    .digest('hex')
    .slice(0, 10);
}

/** Paths in the hashed spec whose value can be written in several equivalent ways. `*` matches any key. */
const sameInOtherWords: readonly {
  readonly path: readonly string[];
  readonly parse: (text: string) => number | undefined;
}[] = [
  { path: ['batching', 'maxQueueDelay'], parse: parseDurationMs },
  { path: ['warmup', 'timeout'], parse: parseDurationMs },
  { path: ['memory', 'limit'], parse: parseQuantity },
  { path: ['resources', 'requests', '*'], parse: parseQuantity },
  { path: ['resources', 'limits', '*'], parse: parseQuantity },
];

function normalise(spec: RevisionSpec): unknown {
  return walk(spec, []);
}

function walk(value: unknown, path: readonly string[]): unknown {
  const row = sameInOtherWords.find(
    (candidate) =>
      candidate.path.length === path.length && candidate.path.every((part, i) => part === '*' || part === path[i]),
  );
  if (row !== undefined) return amountOf(row.parse(String(value)), value);
  if (Array.isArray(value)) return value.map((item) => walk(item, [...path, '[]']));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, [...path, key])]));
}

/** The parsed amount, or the text if it does not parse. Infinity becomes null, as in JSON. */
function amountOf(parsed: number | undefined, text: unknown): unknown {
  if (parsed === undefined) return text;
  return Number.isFinite(parsed) ? parsed : null;
}
