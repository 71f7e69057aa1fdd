/**
 * Validates a custom object against its schema: structure, duplicates, rules.
 * Terms: A cause is one problem of one field. A rule is a CEL expression of the schema.
 * Owns: the order of the checks, and the note that rules were skipped because the object is already invalid.
 */
import { isRecord } from '../../api/record.ts';
import { at, numberAt, type JsonRecord } from '../../lib/json.ts';
import { invalidValue, type Cause } from './cause.ts';
import { runRules } from './cel.ts';
import type { OpenApiSchema } from './schema.ts';
import { duplicatesIn, validateValue } from './validate.ts';

/**
 * If a cause with one of these reasons was found, rules are skipped: the object may not have the shape that the rules
 * expect.
 */
const blocking = new Set(['FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany', 'FieldValueTypeInvalid']);

const notChecked: Cause = {
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the ' +
    'existing errors to complete validation',
  field: '<nil>',
};

/**
 * The part of a version in a CustomResourceDefinition that describes objects. `scale.spec` is the path of the replica
 * count that `kubectl scale` sets.
 */
export type CustomType = { readonly schema: OpenApiSchema; readonly scale?: { readonly spec: readonly string[] } };

type AnyObject = { readonly metadata: object; readonly [field: string]: unknown };

/**
 * Call this function after unknown fields were removed and defaults were filled in.
 * @param old the object before an update; undefined on creation
 * @param soFar causes that were already found in the metadata
 * @returns all causes, `soFar` included; empty for a valid object
 */
export function checkCustomObject(
  type: CustomType,
  object: AnyObject,
  old: AnyObject | undefined,
  soFar: readonly Cause[],
): readonly Cause[] {
  const { schema } = type;
  const structural = validateValue(bodyOf(object), schema, '', old === undefined ? undefined : bodyOf(old));
  const causes = [...soFar, ...structural, ...scaleProblems(type, object), ...duplicatesIn(bodyOf(object), schema, '')];
  if (!hasRules(schema)) return causes;
  if (causes.some((cause) => blocking.has(cause.reason))) return [...causes, notChecked];
  return [...causes, ...runRules(withMeta(object), schema, '', old === undefined ? undefined : withMeta(old))];
}

/** The object without its metadata, which is checked separately. */
function bodyOf(object: AnyObject): JsonRecord {
  const { metadata: _metadata, ...body } = object;
  return body;
}

/** The object as rules see it: `self.metadata` has only `name` and `generateName`. */
function withMeta(object: AnyObject): JsonRecord {
  const { name, generateName } = object.metadata as JsonRecord;
  return { ...object, metadata: { name, ...(generateName === undefined ? {} : { generateName }) } };
}

function hasRules(schema: OpenApiSchema): boolean {
  if ((schema['x-kubernetes-validations'] ?? []).length > 0) return true;
  const below = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return below.some((one) => isRecord(one) && hasRules(one as OpenApiSchema));
}

function scaleProblems({ scale }: CustomType, object: AnyObject): Cause[] {
  if (scale === undefined || at(object, ...scale.spec) === undefined) return [];
  const replicas = numberAt(object, ...scale.spec);
  return replicas !== undefined && replicas < 0
    ? [invalidValue(`.${scale.spec.join('.')}`, replicas, 'should be a non-negative integer')]
    : [];
}
