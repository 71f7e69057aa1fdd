/**
 * Schemas of contracts: the JSON that our processes exchange, and users' files. Pure.
 *
 * Owns: the kinds of schema that a CRD cannot have: nulls, variants by `kind`, patterns of keys, rules over several
 *       fields. check.ts uses these schemas to check values, and scripts/generate/contract-reference.ts prints them.
 */
import {
  k,
  Schema,
  type AnySchema,
  type ContractWords,
  type SchemaFault,
  type SchemaFields,
  type Infer,
  type JsonSchema,
} from './builder.ts';
import type { ObjectOf, Presence } from './builder.ts';

function schemaOf<T>(json: JsonSchema): Schema<T> {
  return new Schema<T>(() => json, 'required');
}

/** A copy of the schema with more keywords of contracts. */
function saying<T, P extends Presence>(schema: Schema<unknown, P>, words: ContractWords): Schema<T, P> {
  return new Schema<T, P>(
    (stage) => {
      const json = schema.json(stage);
      return { ...json, contract: { ...json.contract, ...words } };
    },
    schema.presence,
    schema.defaultText,
  );
}

/**
 * @param rule.max length in characters
 * @param rule.name how messages name such a text, with an article; messages show this name instead of the pattern
 */
function text(rule: {
  readonly max: number;
  readonly min?: number;
  readonly pattern?: string;
  readonly name?: string;
}): Schema<string> {
  const { name, ...bound } = rule;
  return name === undefined ? k.string(bound) : named(k.string(bound), name);
}

/** @param name name of such a value in messages, with its article */
function named<T, P extends Presence>(schema: Schema<T, P>, name: string): Schema<T, P> {
  return saying(schema, { patternName: name });
}

/** A finite number. @param bound `above`: the number must be greater than this */
function number(bound: { readonly min?: number; readonly above?: number; readonly max?: number } = {}): Schema<number> {
  const { min, above, max } = bound;
  return schemaOf({
    type: 'number',
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
    ...(above === undefined ? {} : { contract: { above } }),
  });
}

/** An integer of at least 0. */
function count(): Schema<number> {
  return k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' });
}

function orNull<T, P extends Presence>(schema: Schema<T, P>): Schema<T | null, P> {
  return saying(schema, { orNull: true });
}

function only<const V extends string | number>(value: V): Schema<V> {
  return schemaOf({ type: typeof value === 'number' ? 'integer' : 'string', contract: { only: value } });
}

/** A word from a list that a later version may extend, so only its length is checked. */
function wordOf<V extends string>(bound: { readonly max: number }): Schema<V> {
  return schemaOf({ type: 'string', maxLength: bound.max });
}

/** A map whose keys match a pattern. @param rule.max entries */
function table<S extends AnySchema>(
  value: S,
  rule: { readonly keys: string; readonly max: number },
): Schema<Readonly<Record<string, Infer<S>>>> {
  return saying(k.map(value, rule), { keys: rule.keys });
}

/** An object with an optional field for each of these names, all with the same schema. */
function eachOf<const N extends string, S extends AnySchema>(
  names: readonly N[],
  value: S,
): Schema<Readonly<Partial<Record<N, Infer<S>>>>> {
  const fields = Object.fromEntries(names.map((name) => [name, value.optional()]));
  return new Schema<Readonly<Partial<Record<N, Infer<S>>>>>((stage) => k.object(fields).json(stage), 'required');
}

type Variants = Readonly<Record<string, SchemaFields>>;
type VariantsOf<V extends Variants> = {
  [K in keyof V & string]: { readonly kind: K } & ObjectOf<V[K]>;
}[keyof V & string];

/** One of several objects, distinguished by the field `kind`. */
function variants<V extends Variants>(kinds: V): Schema<VariantsOf<V>> {
  return new Schema<VariantsOf<V>>((stage) => {
    const each = Object.entries(kinds).map(([kind, fields]) => {
      const own = k.object({ kind: only(kind).doc(`This variant: ${kind}.`), ...fields });
      return [kind, own.json(stage)];
    });
    return { type: 'object', contract: { variants: Object.fromEntries(each) as Record<string, JsonSchema> } };
  }, 'required');
}

/** @param rule over the whole value, applied when all fields are valid */
function ruled<T, P extends Presence>(schema: Schema<T, P>, rule: (value: T) => SchemaFault | undefined): Schema<T, P> {
  return saying(schema, { rule });
}

type Filled<F extends SchemaFields, O extends keyof F> = {
  readonly [N in keyof F]: N extends O ? F[N] : F[N] extends Schema<infer T, 'optional'> ? Schema<T> : F[N];
};

/**
 * The fields of a spec whose defaults are filled in. All fields are required, except planned fields and the fields in
 * `open`.
 */
function filled<F extends SchemaFields, const O extends keyof F & string = never>(
  fields: F,
  open: readonly O[] = [],
): Filled<F, O> {
  const entries = Object.entries(fields).map(([name, field]) => {
    const stays = field.presence !== 'optional' || (open as readonly string[]).includes(name);
    return [name, stays ? field : field.required()];
  });
  return Object.fromEntries(entries) as Filled<F, O>;
}

type Loose<F extends SchemaFields> = {
  readonly [N in keyof F]: F[N] extends Schema<infer T, 'required' | 'optional'> ? Schema<T, 'optional'> : F[N];
};

/** A copy of the fields in which every field is optional. */
function loose<F extends SchemaFields>(fields: F): Loose<F> {
  const entries = Object.entries(fields).map(([name, field]) => [
    name,
    field.presence === 'planned' ? field : field.optional(),
  ]);
  return Object.fromEntries(entries) as Loose<F>;
}

/** Functions that build contracts, in addition to the functions of builder.ts. */
export const c = {
  text,
  named,
  number,
  count,
  orNull,
  only,
  wordOf,
  table,
  eachOf,
  variants,
  ruled,
  filled,
  loose,
} as const;
