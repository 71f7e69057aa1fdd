/**
 * Validates a value against its schema, with the sentences of kube-apiserver.
 * Pure. Updates are ratcheting: an unchanged value passes even when the schema has become stricter, so that other parts
 * of an old object can still be changed.
 */
import { isRecord, ownValue } from '../../api/record.ts';
import { isSame, type JsonRecord } from '../../lib/json.ts';
import { duplicateValue, invalidValue, requiredValue, shownValue, unsupportedValue, type Cause } from './cause.ts';
import { listTypeOf, schemaOfField, schemaOfItems, stepOfItem, type OpenApiSchema } from './schema.ts';

/**
 * @param old the value before an update; undefined when it did not exist
 * @param path `spec.parts[0]`; '' for the root
 */
export function validateValue(value: unknown, schema: OpenApiSchema, path: string, old?: unknown): Cause[] {
  if (old !== undefined && isSame(value, old)) return [];
  if (value === null && schema.nullable === true) return [];
  const wrongType = typeProblem(value, schema, path);
  if (wrongType !== undefined) return [wrongType];
  return [
    ...ofKind(value, schema, path, old),
    ...enumProblem(value, schema, path),
    ...combinations(value, schema, path),
  ];
}

function ofKind(value: unknown, schema: OpenApiSchema, path: string, old: unknown): Cause[] {
  if (typeof value === 'string') return stringProblems(value, schema, path);
  if (typeof value === 'number') return numberProblems(value, schema, path);
  if (Array.isArray(value)) return listProblems(value, schema, path, old);
  return isRecord(value) ? objectProblems(value, schema, path, old) : [];
}

export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeProblem(value: unknown, schema: OpenApiSchema, path: string): Cause | undefined {
  const actual = typeName(value);
  const wanted =
    schema['x-kubernetes-int-or-string'] === true
      ? ['integer', 'string']
      : schema.type === undefined
        ? []
        : [schema.type];
  if (wanted.length === 0 || wanted.includes(actual) || (actual === 'integer' && wanted.includes('number')))
    return undefined;
  return {
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: "${actual}": ${path} in body must be of type ${wanted.join(',')}: "${actual}"`,
    field: path,
  };
}

/** Reports only the first problem of a string. */
function stringProblems(value: string, schema: OpenApiSchema, path: string): Cause[] {
  const length = Array.from(value).length;
  if (schema.maxLength !== undefined && length > schema.maxLength)
    return [
      { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${schema.maxLength} bytes`, field: path },
    ];
  if (schema.minLength !== undefined && length < schema.minLength)
    return [invalidValue(path, value, `${path} in body should be at least ${schema.minLength} chars long`)];
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
    return [invalidValue(path, value, `${path} in body should match '${schema.pattern}'`)];
  if (schema.format !== undefined && !hasFormat(value, schema.format)) {
    const text = shownValue(value);
    return [
      {
        reason: 'FieldValueTypeInvalid',
        message: `Invalid value: ${text}: ${path} in body must be of type ${schema.format}: ${text}`,
        field: path,
      },
    ];
  }
  return [];
}

function numberProblems(value: number, schema: OpenApiSchema, path: string): Cause[] {
  const problem = lowProblem(value, schema) ?? highProblem(value, schema) ?? oddProblem(value, schema);
  return problem === undefined ? [] : [invalidValue(path, value, `${path} in body should be ${problem}`)];
}

function lowProblem(value: number, { minimum, exclusiveMinimum }: OpenApiSchema): string | undefined {
  if (minimum === undefined || value > minimum || (value === minimum && exclusiveMinimum !== true)) return undefined;
  return `greater than ${exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`;
}

function highProblem(value: number, { maximum, exclusiveMaximum }: OpenApiSchema): string | undefined {
  if (maximum === undefined || value < maximum || (value === maximum && exclusiveMaximum !== true)) return undefined;
  return `less than ${exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`;
}

function oddProblem(value: number, { multipleOf }: OpenApiSchema): string | undefined {
  return multipleOf === undefined || Number.isInteger(value / multipleOf) ? undefined : `a multiple of ${multipleOf}`;
}

function listProblems(value: readonly unknown[], schema: OpenApiSchema, path: string, old: unknown): Cause[] {
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    return [tooMany(path, value.length, schema.maxItems)];
  if (schema.minItems !== undefined && value.length < schema.minItems)
    return [invalidValue(path, value.length, `${path} in body should have at least ${schema.minItems} items`)];
  const before = correlated(old, schema);
  return value.flatMap((item, index) =>
    validateValue(item, schemaOfItems(schema), `${path}[${index}]`, before?.get(stepOfItem(item, schema))),
  );
}

/** The items of the old list, by their keys. Undefined for an atomic list, whose items have no keys. */
function correlated(old: unknown, schema: OpenApiSchema): Map<string, unknown> | undefined {
  if (!Array.isArray(old) || listTypeOf(schema) === 'atomic') return undefined;
  return new Map(old.map((item) => [stepOfItem(item, schema), item as unknown]));
}

function tooMany(path: string, count: number, most: number): Cause {
  return { reason: 'FieldValueTooMany', message: `Too many: ${count}: must have at most ${most} items`, field: path };
}

function objectProblems(value: JsonRecord, schema: OpenApiSchema, path: string, old: unknown): Cause[] {
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties)
    return [tooMany(path, count, schema.maxProperties)];
  if (schema.minProperties !== undefined && count < schema.minProperties)
    return [invalidValue(path, count, `${path} in body should have at least ${schema.minProperties} properties`)];
  const within = (field: string): string => (path === '' ? field : `${path}.${field}`);
  const missing = (schema.required ?? []).filter(
    (field) =>
      !Object.hasOwn(value, field) ||
      value[field] === undefined ||
      (value[field] === null && schemaOfField(schema, field)?.nullable !== true),
  );
  const fields = Object.entries(value).filter(([field]) => !missing.includes(field));
  return [
    ...fields.flatMap(([field, item]) =>
      validateValue(item, schemaOfField(schema, field) ?? {}, within(field), isRecord(old) ? old[field] : undefined),
    ),
    ...missing.map((field) => requiredValue(within(field))),
  ];
}

function enumProblem(value: unknown, schema: OpenApiSchema, path: string): Cause[] {
  if (schema.enum === undefined || schema.enum.some((allowed) => isSame(allowed, value))) return [];
  return [unsupportedValue(path, value, schema.enum.map(String))];
}

function combinations(value: unknown, schema: OpenApiSchema, path: string): Cause[] {
  const fits = (one: OpenApiSchema): boolean => validateValue(value, one, path).length === 0;
  const problems = [
    ...(schema.anyOf === undefined || schema.anyOf.some(fits) ? [] : ['must validate at least one schema (anyOf)']),
    ...(schema.oneOf === undefined ? [] : notExactlyOne(schema.oneOf.filter(fits).length)),
    ...(schema.not !== undefined && fits(schema.not) ? ['must not validate the schema (not)'] : []),
  ];
  return [
    ...(schema.allOf ?? []).flatMap((one) => validateValue(value, one, path)),
    ...problems.map((problem) => invalidValue(path, '', `"${path}" ${problem}`)),
  ];
}

function notExactlyOne(count: number): string[] {
  return count === 1
    ? []
    : [`must validate one and only one schema (oneOf). Found ${count === 0 ? 'none' : count} valid`];
}

/** Duplicate items of sets and map lists anywhere in a value. `validateValue` does not find them. */
export function duplicatesIn(value: unknown, schema: OpenApiSchema, path: string): Cause[] {
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([field, item]) =>
      duplicatesIn(item, schemaOfField(schema, field) ?? {}, path === '' ? field : `${path}.${field}`),
    );
  }
  if (!Array.isArray(value)) return [];
  const below = value.flatMap((item, index) => duplicatesIn(item, schemaOfItems(schema), `${path}[${index}]`));
  if (listTypeOf(schema) === 'atomic') return below;
  const seen = new Set<string>();
  const repeated = value.flatMap((item, index) => {
    const step = stepOfItem(item, schema);
    const isRepeated = seen.has(step);
    seen.add(step);
    return isRepeated ? [duplicateValue(`${path}[${index}]`, JSON.parse(step.slice(2)))] : [];
  });
  return [...below, ...repeated];
}

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const ipv4 = /^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$/;

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (text) => dateTime.test(text) && !Number.isNaN(Date.parse(text)),
  datetime: (text) => dateTime.test(text) && !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text) => /^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text) || text === '0',
  email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
  ipv4: (text) => ipv4.test(text),
  byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0,
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  uri: (text) => URL.canParse(text),
  hostname: (text) =>
    text.length <= 255 &&
    /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?$/i.test(text),
};

export function hasFormat(text: string, format: string): boolean {
  return ownValue(checks, format)?.(text) ?? true;
}
