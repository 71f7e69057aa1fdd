/**
 * Copies from an object only the fields that its readers use, so that a cache of thousands of objects stays small.
 * Owns: the meaning of a table of fields. The table's type requires an entry for every field of the object's type, so
 * that a new field cannot be forgotten.
 * Pure.
 */
import { isRecord } from '../../api/record.ts';

/**
 * Which parts of a value are kept. `true`: all parts. `false`: no part. A function: the result of the function for the
 * object or list. A record: for each field, its own rule. A list of one entry: for each item, the rule in that entry.
 */
export type Keep<T> = boolean | ((value: NonNullable<T>) => unknown) | KeepParts<NonNullable<T>>;
type KeepParts<T> = T extends readonly (infer Item)[]
  ? readonly [Keep<Item>]
  : T extends object
    ? { readonly [Field in keyof T]-?: Keep<T[Field]> }
    : never;

type AnyKeep = boolean | ((value: never) => unknown) | readonly [AnyKeep] | { readonly [field: string]: AnyKeep };

/**
 * A new object with the kept parts. A part with the rule `true` is not copied: the new object and the given object
 * share it.
 */
export function keptFields<T extends object>(object: T, keep: Keep<T>): T {
  return partOf(object, keep as AnyKeep) as T;
}

function partOf(value: unknown, keep: AnyKeep): unknown {
  if (typeof value !== 'object' || value === null || typeof keep === 'boolean')
    return keep === false ? undefined : value;
  if (typeof keep === 'function') return (keep as (value: unknown) => unknown)(value);
  if (isList(keep)) return Array.isArray(value) ? value.map((item) => partOf(item, keep[0])) : value;
  return isRecord(value) ? fieldsOf(value, keep) : value;
}

function fieldsOf(value: Record<string, unknown>, keep: { readonly [field: string]: AnyKeep }): unknown {
  const out: Record<string, unknown> = {};
  for (const field of Object.keys(keep)) {
    const part = partOf(value[field], keep[field] ?? false);
    if (part !== undefined) out[field] = part;
  }
  return out;
}

function isList(keep: AnyKeep): keep is readonly [AnyKeep] {
  return Array.isArray(keep);
}
