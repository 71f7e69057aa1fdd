/**
 * Decides how a change of one child (an object that the operator makes for a model) is written: by a merge patch if
 * only values differ, or by server-side apply if one of our fields must be removed.
 *
 * Owns: the shape of a manifest (its field paths without values), and the conversion of managedFields with its patch. A
 * creation or a patch leaves entries with the operation Update; they are converted to entries of server-side apply, so
 * that an apply can remove fields. Pure.
 * Source: managedFields of Kubernetes' server-side apply, and csaupgrade in client-go.
 */
import { createHash } from 'node:crypto';
import { fieldManager } from '../../api/names.ts';
import { isRecord } from '../../api/record.ts';
import type { KubeObject, ManagedFieldsEntry } from '../../api/kube-object.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { JsonRecord } from '../../lib/json.ts';
import type { Manifest } from '../resources/objects.ts';
import { isAtomicMapField, itemKey, itemKeysOf } from './shape.ts';

/**
 * A hash of the field paths that a manifest sets. If two manifests have the same shape, they differ in values only, so
 * no field has to be removed. A value that the API treats as a unit (an atomic map, a list without keys) counts as one
 * field.
 */
export function fieldShapeOf(manifest: Manifest): string {
  return createHash('sha256')
    .update(canonicalJson(outlineOf(manifest, '')))
    .digest('hex')
    .slice(0, 12);
}

function outlineOf(value: unknown, field: string): unknown {
  if (isRecord(value) && !isAtomicMapField(field)) {
    const set = Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== null);
    return Object.fromEntries(set.map(([name, inner]) => [name, outlineOf(inner, name)]));
  }
  if (!Array.isArray(value)) return 0;
  const keys = itemKeysOf(field, value);
  if (keys === undefined) return 0;
  return Object.fromEntries(value.map((item: unknown) => [itemKey(item, keys), outlineOf(item, '')]));
}

/**
 * The managedFields of an object, with all fields of the operator's Update entry moved to its Apply entry. The next
 * apply then removes our fields that it does not set. Undefined when the operator does not have an Update entry,
 * because nothing has to be converted.
 */
export function convertedEntries(
  entries: readonly ManagedFieldsEntry[] | undefined,
): readonly ManagedFieldsEntry[] | undefined {
  const all = entries ?? [];
  const update = all.find((entry) => isOurs(entry) && entry.operation === 'Update');
  if (update === undefined) return undefined;
  const apply = all.find(
    (entry) => isOurs(entry) && entry.operation === 'Apply' && entry.apiVersion === update.apiVersion,
  );
  const joined = { ...update, operation: 'Apply', fieldsV1: unionOf(apply?.fieldsV1, update.fieldsV1) };
  return [...all.filter((entry) => entry !== update && entry !== apply), joined];
}

function isOurs({ manager, subresource }: ManagedFieldsEntry): boolean {
  return manager === fieldManager && (subresource ?? '') === '';
}

/** The union of two sets in the form of FieldsV1, a trie of maps. */
function unionOf(one: unknown, other: unknown): unknown {
  if (!isRecord(one)) return other;
  if (!isRecord(other)) return one;
  const out: JsonRecord = { ...one };
  for (const [step, below] of Object.entries(other)) out[step] = unionOf(one[step], below);
  return out;
}

/** A patch that replaces only managedFields, and only if the object has not changed since it was read. */
export function conversionPatch(live: KubeObject, entries: readonly ManagedFieldsEntry[]): JsonRecord {
  const { uid, resourceVersion } = live.metadata;
  return { metadata: { uid, resourceVersion, managedFields: entries } };
}
