/**
 * All that a schema has to say about a custom object: structure, duplicates, rules.
 *
 * Owns: the order, and the remark that rules were not run because the object is broken already.
 */
import type { KubeObject } from '../../objects.ts';
import { at, isRecord, numberAt } from '../json.ts';
import type { Draft, Resource } from '../resource.ts';
import { invalidValue, type Cause } from '../status.ts';
import { runRules } from './cel.ts';
import type { Schema } from './schema.ts';
import { duplicatesIn, validateValue } from './validate.ts';

/** After one of these there is no telling what a rule would meet. */
const blocking = new Set(['FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany', 'FieldValueTypeInvalid']);

const notChecked: Cause = {
  reason: 'FieldValueInvalid',
  message: 'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  field: '<nil>',
};

/** @param soFar what was found wrong before, in the metadata. @returns causes, those included */
export function checkCustomObject(resource: Resource, object: Draft, old: KubeObject | undefined, soFar: readonly Cause[]): readonly Cause[] {
  const { schema } = resource;
  const structural = validateValue(bodyOf(object), schema, '', old === undefined ? undefined : bodyOf(old));
  const causes = [...soFar, ...structural, ...scaleProblems(resource, object), ...duplicatesIn(bodyOf(object), schema, '')];
  if (!hasRules(schema)) return causes;
  if (causes.some((cause) => blocking.has(cause.reason))) return [...causes, notChecked];
  return [...causes, ...runRules(withMeta(object), schema, '', old === undefined ? undefined : withMeta(old))];
}

/** Metadata has its own checks. */
function bodyOf(object: Draft | KubeObject): Record<string, unknown> {
  const { metadata: _metadata, ...body } = object;
  return body;
}

/** Of the metadata a rule sees the names only. */
function withMeta(object: Draft | KubeObject): Record<string, unknown> {
  const { name, generateName } = object.metadata as Record<string, unknown>;
  return { ...object, metadata: { name, ...(generateName === undefined ? {} : { generateName }) } };
}

function hasRules(schema: Schema): boolean {
  if ((schema['x-kubernetes-validations'] ?? []).length > 0) return true;
  const below = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return below.some((one) => isRecord(one) && hasRules(one as Schema));
}

function scaleProblems(resource: Resource, object: Draft): Cause[] {
  if (resource.scale === undefined || at(object, ...resource.scale.spec) === undefined) return [];
  const replicas = numberAt(object, ...resource.scale.spec);
  return replicas !== undefined && replicas < 0 ? [invalidValue(`.${resource.scale.spec.join('.')}`, replicas, 'should be a non-negative integer')] : [];
}
