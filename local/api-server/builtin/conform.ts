/**
 * Converts an object to the types of its schema, as kube-apiserver's decoder does: it refuses a wrong type, drops
 * nulls and empty lists and maps, and rewrites quantities in their canonical form.
 * Owns: these conversions and their error messages, for built-in types and for the metadata of every object.
 */
import { isRecord } from '../../../api/record.ts';
import { type JsonRecord } from '../../../lib/json.ts';
import { canonicalQuantity, nanosOf, quantityRule } from '../../../api/quantities.ts';
import { isDescribed, schemaOfField, schemaOfItems, type OpenApiSchema } from '../../../kube/schema/schema.ts';
import { badRequest } from '../status.ts';
import { builtinMetaSchema } from './schemas.ts';

const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

type Place = { readonly owner: string; readonly path: string };

/**
 * @returns a new object
 * @throws StatusError 400 naming the field that has a wrong type
 */
export function conformObject(object: JsonRecord, schema: OpenApiSchema): JsonRecord {
  try {
    return conformRecord(
      object,
      { ...schema, properties: { ...schema.properties, metadata: builtinMetaSchema } },
      { owner: '', path: '' },
    );
  } catch (error) {
    throw refused(object, error);
  }
}

/** Converts only the metadata, for objects whose other fields are checked by a schema of a CustomResourceDefinition. */
export function conformMeta(object: JsonRecord): void {
  if (object['metadata'] === undefined || object['metadata'] === null) {
    object['metadata'] = {};
    return;
  }
  try {
    object['metadata'] = conform(object['metadata'], builtinMetaSchema, { owner: 'ObjectMeta', path: '' });
  } catch (error) {
    throw refused(object, error);
  }
}

class Mismatch extends Error {}

function refused(object: JsonRecord, error: unknown): unknown {
  if (!(error instanceof Mismatch)) return error;
  const kind = String(object['kind']);
  const version = String(object['apiVersion']).split('/').at(-1);
  return badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${error.message}`);
}

function conform(value: unknown, schema: OpenApiSchema, place: Place): unknown {
  if (schema.title === 'Quantity') return quantityValue(value);
  if (schema['x-kubernetes-int-or-string'] === true) return intOrString(value);
  if (schema.title === 'MicroTime') return timeValue(value, microTime, '2006-01-02T15:04:05.000000Z07:00', '.000000');
  if (schema.title === 'Time') return timeValue(value, time, '2006-01-02T15:04:05Z07:00', '2006');
  if (!hasType(value, schema))
    throw new Mismatch(
      `json: cannot unmarshal ${jsonType(value)} into Go struct field ${place.owner}.${place.path} of type ` +
        `${goType(schema)}`,
    );
  if (Array.isArray(value)) return value.map((item) => conform(item, schemaOfItems(schema), place));
  return isRecord(value) ? conformRecord(value, schema, place) : value;
}

function conformRecord(value: JsonRecord, schema: OpenApiSchema, place: Place): JsonRecord {
  const out: JsonRecord = {};
  for (const [field, item] of Object.entries(value)) {
    const below = schemaOfField(schema, field);
    if (below === undefined || below['x-kubernetes-preserve-unknown-fields'] === true) {
      out[field] = item;
      continue;
    }
    if (item === null) continue;
    const conformed = conform(item, below, placeBelow(schema, field, place));
    if (!isLeftOut(conformed, below) && !isOmitted(field, conformed)) out[field] = conformed;
  }
  return out;
}

/**
 * The path as Go's decoder prints it. An error in an entry of a map or in an item of a list is reported at the field
 * that holds the map or list.
 */
function placeBelow(schema: OpenApiSchema, field: string, place: Place): Place {
  if (!isDescribed(schema, field)) return place;
  return { owner: schema.title ?? '', path: place.path === '' ? field : `${place.path}.${field}` };
}

/**
 * Fields that Go's encoder omits when they are false or 0. In fields that are pointers in Go, false and 0 have a
 * meaning and stay.
 */
const omittedWhenZero: ReadonlySet<string> = new Set([
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'tty',
  'stdin',
  'stdinOnce',
  'readOnly',
  'paused',
  'minReadySeconds',
  'initialDelaySeconds',
  'publishNotReadyAddresses',
]);

function isOmitted(field: string, value: unknown): boolean {
  return (value === false || value === 0) && omittedWhenZero.has(field);
}

/** True for an empty list or map, which is not stored. */
function isLeftOut(value: unknown, schema: OpenApiSchema): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && schema.additionalProperties !== undefined && Object.keys(value).length === 0;
}

function hasType(value: unknown, schema: OpenApiSchema): boolean {
  switch (schema.type) {
    case 'string':
      return typeof value === 'string';
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isRecord(value);
    default:
      return true;
  }
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'number' : `number ${value}`;
  return typeof value;
}

function goType(schema: OpenApiSchema): string {
  switch (schema.type) {
    case 'integer':
      return schema.format ?? 'int';
    case 'boolean':
      return 'bool';
    case 'array':
      return `[]${goType(schemaOfItems(schema))}`;
    case 'object':
      return isRecord(schema.additionalProperties)
        ? `map[string]${goType(schema.additionalProperties as OpenApiSchema)}`
        : `v1.${schema.title ?? 'object'}`;
    default:
      return schema.type ?? 'interface {}';
  }
}

function quantityValue(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || nanosOf(text) === undefined) throw new Mismatch(quantityRule);
  return canonicalQuantity(text);
}

function intOrString(value: unknown): unknown {
  if (typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value))) return value;
  throw new Mismatch(`json: cannot unmarshal ${jsonType(value)} into Go value of type int32`);
}

function timeValue(value: unknown, pattern: RegExp, layout: string, missing: string): unknown {
  if (typeof value !== 'string')
    throw new Mismatch(`json: cannot unmarshal ${jsonType(value)} into Go value of type string`);
  if (pattern.test(value) && !Number.isNaN(Date.parse(value)))
    return layout.includes('.000000') ? value : toWholeSeconds(value);
  const rest = missing === '.000000' ? value.slice(19) : value;
  throw new Mismatch(
    `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ` +
      `${JSON.stringify(missing)}`,
  );
}

function toWholeSeconds(value: string): string {
  return new Date(Math.floor(Date.parse(value) / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
