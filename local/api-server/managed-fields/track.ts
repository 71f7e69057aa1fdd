/**
 * Field ownership after a write other than an apply.
 * Owns: how such a write changes managedFields. A manager is the name of a writer. The manager that writes gets the
 * fields that it added or changed, and other managers lose these fields. All managers lose removed fields.
 */
import type { StoredObject } from '../../objects.ts';
import { recordOf, type JsonRecord } from '../../../lib/json.ts';
import { groupVersionOf, type ObjectDraft, type Resource, type Subresource } from '../resource.ts';
import { askedEntries, isSameManager, readEntries, unowned, writeEntries, type ManagedEntry } from './entries.ts';
import { FieldSet } from './field-set.ts';
import { differenceOf } from './walk.ts';

export type Write = {
  readonly resource: Resource;
  readonly before: StoredObject | undefined;
  /** The object after the write. `recordWrite` replaces its managedFields. */
  readonly after: ObjectDraft;
  readonly manager: string;
  readonly subresource?: Subresource;
  /** The time of the write, which the writer's entry gets when the entry changes. */
  readonly time: string;
};

export function recordWrite(write: Write): void {
  const { resource, before, after, manager, subresource = '' } = write;
  const asked = askedEntries(after.metadata);
  const known = knownEntries(asked, before);
  // As on kube-apiserver, an update of an object without managedFields does not start tracking.
  if (before !== undefined && known.length === 0) {
    delete after.metadata['managedFields'];
    return;
  }
  const { added, modified, removed } = differenceOf(before ?? nothing(resource), after, resource.schema);
  const changed = added.union(modified).without(notTracked(resource, subresource));
  const who = { manager, operation: 'Update', apiVersion: groupVersionOf(resource), subresource } as const;
  const own = known.find((entry) => isSameManager(entry, who)) ?? { ...who, fields: new FieldSet(), time: write.time };
  const entry: ManagedEntry = {
    ...own,
    fields: own.fields.difference(removed).union(changed),
    time: changed.isEmpty() ? own.time : write.time,
  };
  const others = known.filter((other) => other !== own).map((other) => lessened(other, changed, removed));
  setEntries(after, [...others, entry]);
}

/**
 * The state that a new object is compared with. For built-in types it has an empty `spec` and `status`, because Go's
 * structs always have both fields.
 */
function nothing(resource: Resource): JsonRecord {
  return resource.custom ? { metadata: {} } : { metadata: {}, spec: {}, status: {} };
}

function knownEntries(
  asked: ReturnType<typeof askedEntries>,
  before: StoredObject | undefined,
): readonly ManagedEntry[] {
  if (asked === 'reset') return [];
  return asked === 'keep' ? readEntries(recordOf(before?.metadata)['managedFields']) : asked;
}

/** Fields that a write to this endpoint never changes, whatever the sent object contains. */
export function notTracked(resource: Resource, subresource: Subresource): readonly (readonly string[])[] {
  if (subresource === '' && resource.hasStatus) return [...unowned, ['f:status']];
  if (subresource === 'status') return [...unowned, ['f:spec'], ...(resource.custom ? [['f:metadata']] : [])];
  return unowned;
}

/**
 * Removes from an entry the fields that another writer changed or removed. The entry keeps its time, because its
 * manager did not write.
 */
export function lessened(entry: ManagedEntry, changed: FieldSet, removed: FieldSet): ManagedEntry {
  return { ...entry, fields: entry.fields.difference(changed).difference(removed) };
}

export function setEntries(object: ObjectDraft, entries: readonly ManagedEntry[]): void {
  const written = writeEntries(entries);
  if (written.length === 0) delete object.metadata['managedFields'];
  else object.metadata['managedFields'] = written;
}

/** A copy of the object without the times of its managedFields, for comparisons. */
export function withoutTimes(object: ObjectDraft): JsonRecord {
  const managed = object.metadata['managedFields'];
  if (!Array.isArray(managed)) return object;
  const entries = (managed as JsonRecord[]).map(({ time: _time, ...entry }) => entry);
  return { ...object, metadata: { ...object.metadata, managedFields: entries } };
}
