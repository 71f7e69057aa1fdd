/**
 * All that a schema has to say about a custom object: structure, duplicates, rules.
 *
 * Owns: the order, and the remark that rules were not run because the object is broken already.
 */
import { at, isRecord, numberAt, type JsonRecord } from '../../lib/json.ts';
import { invalidValue, type Cause } from './cause.ts';
import { runRules } from './cel.ts';
import type { Schema } from './schema.ts';
import { duplicatesIn, validateValue } from './validate.ts';

/** After one of these there is no telling what a rule would meet. */
const blocking = new Set(['FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany', 'FieldValueTypeInvalid']);

const notChecked: Cause = {
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the ' +
    'existing errors to complete validation',
  field: '<nil>',
};

/**
 * What a version of a definition says of its objects. `scale.spec` is the path of the replicas that `kubectl scale`
 * sets.
 */
export type CustomType = { readonly schema: Schema; readonly scale?: { readonly spec: readonly string[] } };

type AnyObject = { readonly metadata: object; readonly [field: string]: unknown };

/**
 * Call it after pruning and defaults.
 *
 * @param old before an update, else undefined. @param soFar what was found wrong before, in the metadata
 * @returns causes, those included; none for an object that the API would take
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

/** Metadata has its own checks. */
function bodyOf(object: AnyObject): JsonRecord {
  const { metadata: _metadata, ...body } = object;
  return body;
}

/** Of the metadata a rule sees the names only. */
function withMeta(object: AnyObject): JsonRecord {
  const { name, generateName } = object.metadata as JsonRecord;
  return { ...object, metadata: { name, ...(generateName === undefined ? {} : { generateName }) } };
}

function hasRules(schema: Schema): boolean {
  if ((schema['x-kubernetes-validations'] ?? []).length > 0) return true;
  const below = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return below.some((one) => isRecord(one) && hasRules(one as Schema));
}

function scaleProblems({ scale }: CustomType, object: AnyObject): Cause[] {
  if (scale === undefined || at(object, ...scale.spec) === undefined) return [];
  const replicas = numberAt(object, ...scale.spec);
  return replicas !== undefined && replicas < 0
    ? [invalidValue(`.${scale.spec.join('.')}`, replicas, 'should be a non-negative integer')]
    : [];
}
