/**
 * Checks a value by a schema: types, bounds, patterns, required and unknown fields. Ignores CEL rules. Pure; never
 * throws.
 *
 * Owns: the messages. A schema is compiled once, and a path is built only for a wrong value, because the report of each
 *       pod is checked every few seconds.
 */
import { nearest } from '../nearest-word.ts';
import { isRecord } from '../record.ts';
import { cut } from '../text.ts';
import type { AnySchema, ContractWords, SchemaFault, JsonSchema } from './builder.ts';

/**
 * Refuse: an unknown field is a fault. Ignore: an unknown field is ignored, because a later version may have written
 * it.
 */
export type UnknownFields = 'Refuse' | 'Ignore';

/** Maximum number of characters of a value or a name in a message. */
const maxShown = 60;

/**
 * A fault that a check found. Checks of nested values return it outwards, and each caller prepends its own field to the
 * path. So only a wrong value costs the time to build a path.
 */
type Found = { path: string; problem: string };
type Check = (value: unknown) => Found | undefined;

/**
 * @returns a function that checks a value by the schema and returns its first fault, with a path such as
 * `providers[1].name`
 */
export function checkOf(schema: AnySchema, unknown: UnknownFields): (value: unknown) => SchemaFault | undefined {
  const check = compile(schema.json('published'), unknown);
  return (value) => {
    const found = check(value);
    return found === undefined ? undefined : { path: found.path.replace(/^\./, ''), problem: found.problem };
  };
}

function compile(json: JsonSchema, unknown: UnknownFields): Check {
  const { orNull, rule } = json.contract ?? {};
  const plain = byType(json, unknown);
  const check = rule === undefined ? plain : ruled(plain, rule);
  return orNull === true ? nullable(check) : check;
}

function byType(json: JsonSchema, unknown: UnknownFields): Check {
  const { only, variants } = json.contract ?? {};
  if (json['x-kubernetes-int-or-string'] === true) return amount(json);
  if (only !== undefined) return oneOf([only]);
  if (json.enum !== undefined) return oneOf(json.enum);
  if (variants !== undefined) return ofKind(variants, unknown);
  return json.type === undefined ? () => undefined : ofType[json.type](json, unknown);
}

const ofType: Readonly<Record<NonNullable<JsonSchema['type']>, (json: JsonSchema, unknown: UnknownFields) => Check>> = {
  string: text,
  integer: number,
  number,
  boolean: () => flag,
  array: list,
  object: (json, unknown) => (json.additionalProperties === undefined ? object(json, unknown) : map(json, unknown)),
};

function at(step: string, found: Found): Found {
  found.path = step + found.path;
  return found;
}

function fault(problem: string, path = ''): Found {
  return { path, problem };
}

function ruled(check: Check, rule: NonNullable<ContractWords['rule']>): Check {
  return (value) => {
    const found = check(value);
    if (found !== undefined) return found;
    const broken = rule(value as never);
    return broken === undefined ? undefined : { ...broken };
  };
}

function nullable(check: Check): Check {
  return (value) => {
    const found = value === null ? undefined : check(value);
    return found?.path === '' ? fault(`${found.problem}, nor null`.replace(' is not ', ' is neither ')) : found;
  };
}

function oneOf(choices: readonly (string | number)[]): Check {
  const known = new Set<unknown>(choices);
  return (value) => (known.has(value) ? undefined : fault(`${shown(value)} is not one of ${choices.join(', ')}`));
}

function text({ minLength: min = 0, maxLength: max = 0, pattern, contract }: JsonSchema): Check {
  const form = pattern === undefined ? undefined : new RegExp(pattern, 'u');
  const name = contract?.patternName ?? `text of the form ${pattern}`;
  return (value) => {
    if (typeof value !== 'string') return fault(`${shown(value)} is not ${contract?.patternName ?? 'text'}`);
    // The API server counts code points, not UTF-16 units.
    if (value.length > max && Array.from(value).length > max) return fault(`is longer than ${max} characters`);
    if (value.length < 2 * min && Array.from(value).length < min) return fault(`is shorter than ${min} characters`);
    return form?.test(value) === false ? fault(`${shown(value)} is not ${name}`) : undefined;
  };
}

function number({ type, minimum = -Infinity, maximum = Infinity, contract }: JsonSchema): Check {
  const { above = -Infinity } = contract ?? {};
  const isNumber = type === 'integer' ? Number.isSafeInteger : Number.isFinite;
  const what = `${type === 'integer' ? 'an integer' : 'a number'}${rangeOf({ minimum, maximum, above })}`;
  return (value) =>
    isNumber(value) && (value as number) >= minimum && (value as number) <= maximum && (value as number) > above
      ? undefined
      : fault(`${shown(value)} is not ${what}`);
}

/** Checks int-or-string: a text or an integer. */
function amount(json: JsonSchema): Check {
  const [ofNumber, ofText] = [number({ ...json, type: 'integer' }), text(json)];
  return (value) => (typeof value === 'number' ? ofNumber(value) : ofText(value));
}

type Range = { readonly minimum: number; readonly maximum: number; readonly above: number };

function rangeOf({ minimum, maximum, above }: Range): string {
  if (above > -Infinity) return ` above ${above}`;
  if (minimum === -Infinity) return '';
  return maximum >= Number.MAX_SAFE_INTEGER ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
}

const flag: Check = (value) =>
  typeof value === 'boolean' ? undefined : fault(`${shown(value)} is neither true nor false`);

function list({ items = {}, minItems: min = 0, maxItems: max = 0 }: JsonSchema, unknown: UnknownFields): Check {
  const check = compile(items, unknown);
  return (value) => {
    if (!Array.isArray(value)) return fault(`${shown(value)} is not a list`);
    const { length } = value;
    if (length > max || length < min) return fault(`has ${length} entries, ${min} to ${max} are allowed`);
    for (let index = 0; index < length; index += 1) {
      const found = check(value[index]);
      if (found !== undefined) return at(`[${index}]`, found);
    }
    return undefined;
  };
}

function map(
  { additionalProperties = {}, maxProperties: max = 0, contract }: JsonSchema,
  unknown: UnknownFields,
): Check {
  const check = compile(additionalProperties, unknown);
  const keys = contract?.keys === undefined ? undefined : new RegExp(contract.keys, 'u');
  return (value) => {
    if (!isRecord(value)) return fault(`${shown(value)} is not an object`);
    const names = Object.keys(value);
    if (names.length > max) return fault(`has ${names.length} entries, at most ${max} are allowed`);
    for (const name of names) {
      if (keys?.test(name) === false) return fault(`key ${shown(name)} is not of the form ${keys.source}`);
      const found = check(value[name]);
      if (found !== undefined) return at(`.${cut(name, maxShown)}`, found);
    }
    return undefined;
  };
}

function object({ properties = {}, required = [] }: JsonSchema, unknown: UnknownFields): Check {
  const fields = Object.entries(properties).map(([name, json]) => ({
    name,
    check: compile(json, unknown),
    isRequired: required.includes(name),
  }));
  const strange = unknown === 'Refuse' ? strangerAmong(properties) : undefined;
  return (value) => {
    if (!isRecord(value)) return fault(`${shown(value)} is not an object`);
    const refused = strange?.(value);
    if (refused !== undefined) return refused;
    for (const { name, check, isRequired } of fields) {
      const inner = value[name];
      if (inner === undefined) {
        if (isRequired) return fault('is missing', `.${name}`);
        continue;
      }
      const found = check(inner);
      if (found !== undefined) return at(`.${name}`, found);
    }
    return undefined;
  };
}

/** Finds the first unknown field. A misspelt field would otherwise silently have its default. */
function strangerAmong(properties: Readonly<Record<string, unknown>>): (value: object) => Found | undefined {
  return (value) => {
    const name = Object.keys(value).find((each) => !Object.hasOwn(properties, each));
    if (name === undefined) return undefined;
    const names = Object.keys(properties);
    const close = nearest(cut(name, maxShown), names);
    const meant = close === undefined ? '' : `did you mean ${close}? `;
    return fault(`unknown field; ${meant}available fields: ${names.join(', ')}`, `.${cut(name, maxShown)}`);
  };
}

function ofKind(variants: Readonly<Record<string, JsonSchema>>, unknown: UnknownFields): Check {
  const checks = new Map(Object.entries(variants).map(([kind, json]) => [kind, compile(json, unknown)]));
  const kinds = oneOf(Object.keys(variants));
  return (value) => {
    if (!isRecord(value)) return fault(`${shown(value)} is not an object`);
    const { kind } = value;
    const found = kinds(kind);
    return found === undefined ? checks.get(kind as string)?.(value) : at('.kind', found);
  };
}

function shown(value: unknown): string {
  // JSON cannot represent NaN and Infinity.
  if (typeof value === 'number') return String(value);
  // Cut before encoding, because the text may have megabytes.
  return cut(JSON.stringify(typeof value === 'string' ? value.slice(0, maxShown) : value) ?? 'nothing', maxShown);
}
