/**
 * Kubernetes' strategic merge patch: a merge patch that merges lists of items by key.
 * Pure.
 * It uses the patch merge keys in the schemas of the built-in types, and the directives `$patch`, `$retainKeys`,
 * `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`.
 */
import { isRecord } from '../../../api/record.ts';
import { copyOf, isSame, listOf, type JsonRecord } from '../../../lib/json.ts';
import { anything, schemaOfField, schemaOfItems, type OpenApiSchema } from '../../../kube/schema/schema.ts';
import { badRequest } from '../status.ts';

const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/**
 * @returns the patched copy
 * @throws StatusError 400 when the patch is not an object, or when a list item in the patch has no merge key
 */
export function applyStrategicMergePatch(target: unknown, patch: unknown, schema: OpenApiSchema): unknown {
  if (!isRecord(patch))
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${Array.isArray(patch) ? 'array' : typeof patch} into Go ` +
        'value of type map[string]interface {}',
    );
  return mergeObject(isRecord(target) ? target : {}, patch, schema);
}

function mergeObject(target: JsonRecord, patch: JsonRecord, schema: OpenApiSchema): JsonRecord {
  if (patch['$patch'] === 'replace') return plain(patch);
  if (patch['$patch'] === 'delete') return {};
  const retained = patch['$retainKeys'];
  const out: JsonRecord = Array.isArray(retained)
    ? Object.fromEntries(Object.entries(target).filter(([field]) => retained.includes(field)))
    : { ...target };
  for (const [field, value] of Object.entries(patch)) {
    if (field.startsWith('$')) continue;
    if (value === null) delete out[field];
    else
      out[field] = mergeField(out[field], value, {
        schema: schemaOfField(schema, field) ?? anything,
        order: patch[`${orderPrefix}${field}`],
        removed: patch[`${deletePrefix}${field}`],
      });
  }
  for (const [field, value] of Object.entries(patch)) mergeDirectiveOnly(out, field, value, { patch, schema });
  return out;
}

/** Applies a directive that reorders a list or removes items of it, when the patch does not contain the list itself. */
function mergeDirectiveOnly(
  out: JsonRecord,
  directive: string,
  value: unknown,
  of: { patch: JsonRecord; schema: OpenApiSchema },
): void {
  const prefix = [orderPrefix, deletePrefix].find((one) => directive.startsWith(one));
  const field = prefix === undefined ? '' : directive.slice(prefix.length);
  if (prefix === undefined || of.patch[field] !== undefined || !Array.isArray(out[field])) return;
  const how: How = {
    schema: schemaOfField(of.schema, field) ?? anything,
    order: prefix === orderPrefix ? value : undefined,
    removed: prefix === deletePrefix ? value : undefined,
  };
  out[field] = mergeField(out[field], [], how);
}

type How = { readonly schema: OpenApiSchema; readonly order: unknown; readonly removed: unknown };

function mergeField(target: unknown, value: unknown, how: How): unknown {
  if (isRecord(value)) return mergeObject(isRecord(target) ? target : {}, value, how.schema);
  if (!Array.isArray(value)) return value;
  const strategy = how.schema['x-kubernetes-patch-strategy'] ?? '';
  if (!strategy.split(',').includes('merge')) return copyOf(value);
  const key = how.schema['x-kubernetes-patch-merge-key'];
  return key === undefined
    ? mergeScalars(listOf(target), value, how)
    : mergeItems(listOf(target), value, { ...how, key });
}

function mergeScalars(target: readonly unknown[], patch: readonly unknown[], how: How): unknown[] {
  const removed = listOf(how.removed);
  const kept = target.filter((item) => !removed.includes(item));
  const all = [...kept, ...patch.filter((item) => !kept.includes(item))];
  return ordered(all, { order: orderOf(how, patch), isSameItem: (a, b) => a === b, before: target });
}

function mergeItems(
  target: readonly unknown[],
  patch: readonly unknown[],
  how: How & { readonly key: string },
): unknown[] {
  if (patch.some((item) => isRecord(item) && item['$patch'] === 'replace'))
    return patch.filter((item) => isRecord(item) && item['$patch'] === undefined).map(copyOf);
  const isSameItem = (a: unknown, b: unknown): boolean => isRecord(a) && isRecord(b) && isSame(a[how.key], b[how.key]);
  let items = [...target];
  for (const change of patch) {
    if (!isRecord(change) || change[how.key] === undefined)
      throw badRequest(`map: ${JSON.stringify(change)} does not contain declared merge key: ${how.key}`);
    const at = items.findIndex((item) => isSameItem(item, change));
    const merged = mergeObject(at < 0 ? {} : (items[at] as JsonRecord), change, schemaOfItems(how.schema));
    if (change['$patch'] === 'delete') items = items.filter((item) => !isSameItem(item, change));
    else if (at < 0) items.push(merged);
    else items[at] = merged;
  }
  return ordered(items, { order: orderOf(how, patch), isSameItem, before: target });
}

/** The requested order, or else the order of the items in the patch. */
function orderOf(how: How, patch: readonly unknown[]): readonly unknown[] {
  const asked = listOf(how.order);
  return asked.length > 0 ? asked : patch;
}

type Ordering = {
  readonly order: readonly unknown[];
  readonly isSameItem: (a: unknown, b: unknown) => boolean;
  readonly before: readonly unknown[];
};

/**
 * Orders the items of a merged list. The items that `order` names get this order. Any other item stays before the items
 * that it preceded in the live list. Example: live [a, x, b], order [new, b, a]: the result is [new, x, b, a].
 */
function ordered(items: readonly unknown[], { order, isSameItem, before }: Ordering): unknown[] {
  const placeOf = (item: unknown): number => before.findIndex((one) => isSameItem(one, item));
  const named = order.flatMap((one) => items.filter((item) => isSameItem(one, item)));
  const others = items.filter((item) => !named.includes(item));
  const out: unknown[] = [];
  for (const item of named) {
    const place = placeOf(item);
    while (others.length > 0 && place >= 0 && placeOf(others[0]) < place) out.push(others.shift());
    out.push(item);
  }
  return [...out, ...others];
}

/** A copy of an object without directives. */
function plain(value: unknown): JsonRecord {
  const entries = Object.entries(value as JsonRecord).filter(([field]) => !field.startsWith('$'));
  return copyOf(Object.fromEntries(entries));
}
