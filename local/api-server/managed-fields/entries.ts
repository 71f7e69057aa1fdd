/**
 * `metadata.managedFields`: reading and writing which manager owns which fields.
 * Owns: the identity, order and number of entries. A manager that applies has one entry for all API versions. A manager
 * that updates has one entry for each version. Each manager has a separate entry for each subresource.
 * Limits: when there are more than ten entries of updates, the oldest are merged into an entry `ancient-changes` for
 * each API version.
 */
import { isRecord } from '../../../api/record.ts';
import { recordsOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import { FieldSet } from './field-set.ts';

export type ManagedEntry = {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
};

const maxUpdaters = 10;
const ancient = 'ancient-changes';

/** Fields that never have an owner: fields that the server sets, and fields that identify the object. */
export const unowned: readonly (readonly string[])[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata', '.'],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ].map((field) => ['f:metadata', `f:${field}`]),
];

export function readEntries(managedFields: unknown): ManagedEntry[] {
  return recordsOf(managedFields).map((entry) => ({
    manager: stringAt(entry, 'manager') ?? '',
    operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
    apiVersion: stringAt(entry, 'apiVersion') ?? '',
    subresource: stringAt(entry, 'subresource') ?? '',
    time: stringAt(entry, 'time') ?? '',
    fields: FieldSet.fromJson(entry['fieldsV1']),
  }));
}

export function writeEntries(entries: readonly ManagedEntry[]): JsonRecord[] {
  const kept = capped(entries.filter((entry) => !entry.fields.isEmpty()));
  return kept.sort(inOrder).map((entry) => ({
    manager: entry.manager,
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    ...(entry.time === '' ? {} : { time: entry.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: entry.fields.toJson(),
    ...(entry.subresource === '' ? {} : { subresource: entry.subresource }),
  }));
}

export function isSameManager(
  entry: ManagedEntry,
  other: Pick<ManagedEntry, 'manager' | 'operation' | 'apiVersion' | 'subresource'>,
): boolean {
  if (entry.manager !== other.manager || entry.operation !== other.operation || entry.subresource !== other.subresource)
    return false;
  return entry.operation === 'Apply' || entry.apiVersion === other.apiVersion;
}

/**
 * What a client sent as managedFields: a list of entries, 'reset' when the client asks to remove all entries, or 'keep'
 * when it sent nothing.
 */
export function askedEntries(metadata: JsonRecord): 'keep' | 'reset' | readonly ManagedEntry[] {
  const sent = metadata['managedFields'];
  if (!Array.isArray(sent)) return 'keep';
  const entries = sent.filter(isRecord);
  if (entries.length === 0 || (entries.length === 1 && Object.keys(entries[0] ?? {}).length === 0)) return 'reset';
  return readEntries(entries);
}

function inOrder(a: ManagedEntry, b: ManagedEntry): number {
  const keys = (entry: ManagedEntry): readonly string[] => [
    entry.operation,
    entry.time,
    entry.manager,
    entry.apiVersion,
    entry.subresource,
  ];
  const [left, right] = [keys(a), keys(b)];
  for (const [index, key] of left.entries()) {
    const other = right[index] ?? '';
    if (key !== other) return key < other ? -1 : 1;
  }
  return 0;
}

function capped(entries: readonly ManagedEntry[]): ManagedEntry[] {
  const updaters = entries.filter((entry) => entry.operation === 'Update').sort(inOrder);
  const tooMany = updaters.length - maxUpdaters;
  if (tooMany <= 0) return [...entries];
  const old = new Set(updaters.slice(0, tooMany + 1));
  const merged = new Map<string, ManagedEntry>();
  for (const entry of old) {
    const soFar = merged.get(entry.apiVersion);
    merged.set(entry.apiVersion, {
      ...entry,
      manager: ancient,
      subresource: '',
      fields: soFar === undefined ? entry.fields : soFar.fields.union(entry.fields),
    });
  }
  return [...entries.filter((entry) => !old.has(entry)), ...merged.values()];
}
