/**
 * Reads, compares, copies, changes and freezes plain JSON of any shape. Nothing here depends on Kubernetes.
 * Pure: except `recordIn`, `setDefault`, `put` and `freeze`, which change their argument. Numbers are JavaScript
 * numbers, as JSON.parse makes them.
 */
import { isRecord } from '../api/record.ts';

export type JsonRecord = { [field: string]: unknown };

/** The value itself when it is an object, otherwise an empty object. */
export function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

/** The value itself when it is a list, otherwise an empty list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Follows field names; undefined when one is missing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here: unknown = value;
  for (const name of path) {
    if (!isRecord(here) || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}

/** The same as `at`, but undefined when the value is not a string. */
export function stringAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

/** The same as `at`, but undefined when the value is not a number. */
export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

/** The object at a field of `parent`; created when it is missing. */
export function recordIn(parent: JsonRecord, field: string): JsonRecord {
  const found = parent[field];
  if (isRecord(found)) return found;
  const made: JsonRecord = {};
  parent[field] = made;
  return made;
}

/** The objects in a list; other items are skipped. */
export function recordsOf(value: unknown): JsonRecord[] {
  return listOf(value).filter(isRecord);
}

/** Sets the field unless it has a value already. Null does not count as a value. */
export function setDefault(parent: JsonRecord, field: string, value: unknown): void {
  if (parent[field] === undefined || parent[field] === null) parent[field] = value;
}

/** Structural equality. The order of an object's fields does not matter; the order of a list does. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  if (!isRecord(a) || !isRecord(b)) return false;
  const fields = Object.keys(a);
  return (
    fields.length === Object.keys(b).length &&
    fields.every((field) => Object.hasOwn(b, field) && isSame(a[field], b[field]))
  );
}

/** The same as `isSame`, but a field that is `undefined` equals an absent one, as in JSON. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSameJson(item, b[index]));
  if (!isRecord(a) || !isRecord(b)) return false;
  return (
    Object.keys(a).every((field) => isSameJson(a[field], own(b, field))) &&
    Object.keys(b).every((field) => b[field] === undefined || own(a, field) !== undefined)
  );
}

function own(record: JsonRecord, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

/** A deep copy that may be changed. Fields that are `undefined` are dropped, as JSON.stringify does. */
export function copyOf<T>(value: T): T {
  return copy(value) as T;
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (!isRecord(value)) return value;
  const out: JsonRecord = {};
  for (const [field, item] of Object.entries(value)) if (item !== undefined) put(out, field, copy(item));
  return out;
}

/** A deep copy whose fields are sorted by name at every level, as Go writes a map. */
export function sorted<T>(value: T): T {
  return sortedValue(value) as T;
}

function sortedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedValue);
  if (!isRecord(value)) return value;
  const out: JsonRecord = {};
  for (const field of Object.keys(value).sort()) put(out, field, sortedValue(value[field]));
  return out;
}

/** Assigns a field as data, also when its name is `__proto__`. */
export function put(target: JsonRecord, field: string, value: unknown): void {
  if (field === '__proto__')
    Object.defineProperty(target, field, { value, enumerable: true, configurable: true, writable: true });
  else target[field] = value;
}

/** Freezes a value and all values inside it. An object that is frozen already is assumed to be deeply frozen. */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) freeze(item);
  }
  return value;
}

/** The depth of the deepest nesting of lists and objects; a scalar has depth 0. Counting stops at `limit`. */
export function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null || limit <= 0) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, limit - 1));
  return deepest + 1;
}
