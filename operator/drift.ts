/**
 * Whether a live object already is what is wanted.
 *
 * Owns:  the comparison that lets a quiet cluster see no write. Two questions: is everything that is wanted
 *        there, and was the last thing applied the same (a hash kept as an annotation: a field that is no
 *        longer wanted shows only in that)?
 * Pure:  but for the hash function. Quantities compare by value, because the API server rewrites them.
 */
import { createHash } from 'node:crypto';
import { annotations } from '../api/names.ts';
import { parseQuantity } from '../api/quantities.ts';
import type { KubeObject } from './kube/object.ts';
import type { Manifest } from './resources/objects.ts';
import { canonicalJson } from './revision.ts';

/** The manifest with the hash of itself among its annotations: what is really applied. */
export function stamped(wanted: Manifest): Manifest {
  const hash = createHash('sha256').update(canonicalJson(wanted)).digest('hex').slice(0, 16);
  return { ...wanted, metadata: { ...wanted.metadata, annotations: { ...wanted.metadata.annotations, [annotations.applied]: hash } } };
}

/** @param wanted as `stamped` made it. @param live as the API server shows it */
export function isApplied(wanted: Manifest, live: KubeObject | undefined): boolean {
  return live !== undefined && live.metadata.deletionTimestamp === undefined && contains(live, wanted);
}

/** Whether every field of `wanted` has that value in `live`. Lists have to match item by item. */
function contains(live: unknown, wanted: unknown): boolean {
  // Nothing, an empty text and an empty list are one to the server, which keeps none of them.
  if (live === undefined && isEmpty(wanted)) return true;
  if (Array.isArray(wanted)) return Array.isArray(live) && live.length === wanted.length && wanted.every((item, i) => contains(live[i], item));
  if (typeof wanted === 'object' && wanted !== null) return containsFields(live, wanted);
  return live === wanted || sameQuantity(live, wanted);
}

function isEmpty(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0);
}

function containsFields(live: unknown, wanted: object): boolean {
  // An empty map is not kept by the server.
  if (typeof live !== 'object' || live === null) return Object.keys(wanted).length === 0;
  const fields = live as Readonly<Record<string, unknown>>;
  return Object.entries(wanted).every(([name, value]) => contains(fields[name], value));
}

function sameQuantity(a: unknown, b: unknown): boolean {
  const [first, second] = [amountOf(a), amountOf(b)];
  return first !== undefined && first === second;
}

function amountOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? parseQuantity(value) : undefined;
}
