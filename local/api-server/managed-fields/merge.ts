/**
 * Merges an applied configuration into the live object, and removes fields that its applier no longer includes. A
 * manager (the name of a writer, here the applier) claims the fields that its configuration contains.
 * Pure: the two steps of server-side apply that change the object. apply.ts decides whether the steps are allowed.
 */
import { isRecord } from '../../../api/record.ts';
import { copyOf, put, type JsonRecord } from '../../../lib/json.ts';
import {
  anything,
  isAtomicMap,
  isDescribed,
  listTypeOf,
  schemaOfField,
  schemaOfItems,
  stepOfItem,
  type OpenApiSchema,
} from '../../../kube/schema/schema.ts';
import type { FieldSet } from './field-set.ts';

/**
 * @returns a copy that has the values of the configuration; fields that the configuration does not contain have the
 * live object's values
 */
export function mergeValue(live: unknown, config: unknown, schema: OpenApiSchema): unknown {
  if (isRecord(live) && isRecord(config) && !isAtomicMap(schema)) {
    const out: JsonRecord = { ...live };
    for (const [field, value] of Object.entries(config)) {
      const below = Object.hasOwn(live, field) ? live[field] : undefined;
      put(out, field, mergeValue(below, value, schemaOfField(schema, field) ?? anything));
    }
    return out;
  }
  if (Array.isArray(live) && Array.isArray(config) && listTypeOf(schema) !== 'atomic')
    return mergeLists(live, config, schema);
  return copyOf(config);
}

/**
 * Merges two lists. Items of the configuration stay in the order of the configuration. An item that only the live list
 * has stays before the item that follows it in the live list.
 */
function mergeLists(live: readonly unknown[], config: readonly unknown[], schema: OpenApiSchema): unknown[] {
  const liveByStep = new Map(live.map((item) => [stepOfItem(item, schema), item]));
  const wanted = config.map((item) => ({ step: stepOfItem(item, schema), item }));
  const wantedSteps = new Set(wanted.map(({ step }) => step));
  const out: unknown[] = [];
  let next = 0;
  const takeThrough = (last: number): void => {
    for (; next <= last; next += 1) {
      const one = wanted[next];
      if (one !== undefined) out.push(mergeValue(liveByStep.get(one.step), one.item, schemaOfItems(schema)));
    }
  };
  for (const item of live) {
    const step = stepOfItem(item, schema);
    if (!wantedSteps.has(step)) out.push(item);
    else {
      const shared = wanted.findIndex((one, index) => index >= next && liveByStep.has(one.step));
      if (shared >= 0 && wanted[shared]?.step === step) takeThrough(shared);
    }
  }
  takeThrough(wanted.length - 1);
  return out;
}

/**
 * Removes the fields that the applier claimed before and that no manager claims now.
 * @param last the fields that the applier claimed before
 * @param owned the fields that all managers claim now, including the applier's new claims
 */
export function removeGivenUp(
  value: unknown,
  schema: OpenApiSchema,
  last: FieldSet,
  owned: FieldSet | undefined,
): unknown {
  if (isRecord(value) && !isAtomicMap(schema)) {
    const entries = Object.entries(value).flatMap(([field, item]) => {
      const kept = keep(item, {
        schema: schemaOfField(schema, field) ?? anything,
        step: `f:${field}`,
        last,
        owned,
        isWhole: isDescribed(schema, field),
      });
      return kept === undefined ? [] : [[field, kept.value] as const];
    });
    return Object.fromEntries(entries);
  }
  if (!Array.isArray(value) || listTypeOf(schema) === 'atomic') return value;
  return value.flatMap(
    (item) =>
      keep(item, { schema: schemaOfItems(schema), step: stepOfItem(item, schema), last, owned, isWhole: false })
        ?.value ?? [],
  );
}

type Part = {
  readonly schema: OpenApiSchema;
  readonly step: string;
  readonly last: FieldSet;
  readonly owned: FieldSet | undefined;
  readonly isWhole: boolean;
};

/**
 * The value that stays at one step of a path (a field, a key or a list item); undefined when the value is removed. A
 * field that the schema declares is removed with everything below it. A key of a map or an item of a list is removed
 * only when the applier claimed the key or item itself.
 */
function keep(value: unknown, part: Part): { readonly value: unknown } | undefined {
  const last = part.last.at(part.step);
  if (last === undefined) return { value };
  const owned = part.owned?.at(part.step);
  if (owned === undefined && (last.isMember || part.isWhole)) return undefined;
  return { value: removeGivenUp(value, part.schema, last, owned) };
}
