/**
 * The fields of an object that can have owners, and how two states of the object differ.
 * Pure: follows the list types and map types of the schema by the rules of structured-merge-diff v6, which the real
 * server uses. A list without a list type has a single owner; in a map, each key has its own owner.
 */
import { isRecord } from '../../../api/record.ts';
import { isSame } from '../../../lib/json.ts';
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
import { FieldSet } from './field-set.ts';

export type Child = { readonly value: unknown; readonly schema: OpenApiSchema };

/**
 * The parts of a value that can have different owners, in order. The keys are steps as in managedFields, such as
 * `f:name` for a field. Undefined when the value has one owner.
 */
export function childrenOf(value: unknown, schema: OpenApiSchema): Map<string, Child> | undefined {
  if (isRecord(value)) {
    if (isAtomicMap(schema)) return undefined;
    return new Map(
      Object.entries(value).map(([field, inner]) => [
        `f:${field}`,
        { value: inner, schema: schemaOfField(schema, field) ?? anything },
      ]),
    );
  }
  if (!Array.isArray(value) || listTypeOf(schema) === 'atomic') return undefined;
  const items = schemaOfItems(schema);
  return new Map(value.map((item) => [stepOfItem(item, schema), { value: item as unknown, schema: items }]));
}

/** The fields that an applied configuration claims: its leaves, the keys of its maps and the items of its lists. */
export function fieldsOf(value: unknown, schema: OpenApiSchema): FieldSet {
  const set = new FieldSet();
  claim(set, [], value, schema);
  return set;
}

function claim(set: FieldSet, path: readonly string[], value: unknown, schema: OpenApiSchema): void {
  const children = childrenOf(value, schema);
  if (children === undefined) {
    if (path.length > 0) set.add(path);
    return;
  }
  for (const [step, child] of children) {
    const below = [...path, step];
    const isItem = !step.startsWith('f:');
    if (isItem || isNothing(child.value) || !isDescribed(schema, step.slice(2))) set.add(below);
    if (!isNothing(child.value)) claim(set, below, child.value, child.schema);
  }
}

/** True for null and for an empty object. Such a value has no fields, so the manager claims the value itself. */
function isNothing(value: unknown): boolean {
  return value === null || (isRecord(value) && Object.keys(value).length === 0);
}

export type Difference = { readonly added: FieldSet; readonly modified: FieldSet; readonly removed: FieldSet };

/** The fields that were added, changed or removed between two states. */
export function differenceOf(before: unknown, after: unknown, schema: OpenApiSchema): Difference {
  const out: Difference = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
  compare(out, [], { before, after, schema });
  return out;
}

type Pair = { readonly before: unknown; readonly after: unknown; readonly schema: OpenApiSchema };

function compare(out: Difference, path: readonly string[], pair: Pair): void {
  const { before, after, schema } = pair;
  if (before === after) return;
  const was = childrenOf(before, schema);
  const is = childrenOf(after, schema);
  const isWhole = isLeaf(was, before) || isLeaf(is, after) || (isBare(was) && isBare(is));
  if (isWhole) compareLeaf(out, path, before, after);
  else {
    for (const [step, below] of pairsOf(was ?? none, is ?? none)) compare(out, [...path, step], below);
    noteWhole(out, path, before, after);
  }
}

const none: ReadonlyMap<string, Child> = new Map();

function* pairsOf(was: ReadonlyMap<string, Child>, is: ReadonlyMap<string, Child>): Generator<readonly [string, Pair]> {
  for (const [step, now] of is) yield [step, { before: was.get(step)?.value, after: now.value, schema: now.schema }];
  for (const [step, old] of was)
    if (!is.has(step)) yield [step, { before: old.value, after: undefined, schema: old.schema }];
}

function compareLeaf(out: Difference, path: readonly string[], before: unknown, after: unknown): void {
  if (before === undefined || after === undefined) noteWhole(out, path, before, after);
  else if (!isSame(before, after) && path.length > 0) out.modified.add(path);
}

function noteWhole(out: Difference, path: readonly string[], before: unknown, after: unknown): void {
  if (path.length === 0) return;
  if (before === undefined) out.added.add(path);
  else if (after === undefined) out.removed.add(path);
}

/** True when the value is present and has no parts that can have different owners. */
function isLeaf(children: Map<string, Child> | undefined, value: unknown): boolean {
  return children === undefined && value !== undefined;
}

function isBare(children: Map<string, Child> | undefined): boolean {
  return children === undefined || children.size === 0;
}
