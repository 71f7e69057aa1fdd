/**
 * Checks that the schema of a CustomResourceDefinition (definition) is structural, as Kubernetes requires.
 * Pure. In a structural schema, every node has a type. Logic (allOf …) only restricts values. A list of type map has
 * keys, and every key is a property of its items. A list or map that contains a node with rules has a maximum size.
 * Limits: kube-apiserver estimates a rule's worst-case cost. This file does not: it refuses every rule below an
 * unbounded list or map, and does not limit the cost of other rules.
 */
import { isRecord } from '../../api/record.ts';
import type { OpenApiSchema } from './schema.ts';
import { forbiddenValue, invalidValue, requiredValue, unsupportedValue, type Cause } from './cause.ts';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** @param path of the root, as a definition's field */
export function structuralProblems(schema: OpenApiSchema, path: string): Cause[] {
  const causes: Cause[] = [];
  if (schema.type === undefined) causes.push(requiredValue(`${path}.type`, 'must not be empty at the root'));
  else if (schema.type !== 'object')
    causes.push(invalidValue(`${path}.type`, schema.type, 'must be object at the root'));
  return [...causes, ...below(schema, path, true), ...boundsProblems(schema, path, false)];
}

function nodeProblems(schema: OpenApiSchema, path: string, where: 'field' | 'item'): Cause[] {
  const causes: Cause[] = [];
  const isFree =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type === undefined && !isFree)
    causes.push(
      requiredValue(
        `${path}.type`,
        where === 'field'
          ? 'must not be empty for specified object fields'
          : 'must not be empty for specified array items',
      ),
    );
  if (schema.type !== undefined && !types.includes(schema.type))
    causes.push(unsupportedValue(`${path}.type`, schema.type, types));
  return [...below(schema, path, false), ...causes];
}

function below(schema: OpenApiSchema, path: string, isRoot: boolean): Cause[] {
  const fields = Object.entries(schema.properties ?? {}).filter(
    ([field]) => !(isRoot && ['metadata', 'apiVersion', 'kind'].includes(field)),
  );
  return [
    ...mapProblems(schema, path),
    ...fields.flatMap(([field, one]) => nodeProblems(one, `${path}.properties[${field}]`, 'field')),
    ...(isRecord(schema.additionalProperties)
      ? nodeProblems(schema.additionalProperties as OpenApiSchema, `${path}.additionalProperties`, 'field')
      : []),
    ...(schema.items === undefined ? [] : nodeProblems(schema.items, `${path}.items`, 'item')),
    ...listProblems(schema, path),
    ...logicProblems(schema, path),
  ];
}

function mapProblems(schema: OpenApiSchema, path: string): Cause[] {
  if (schema.additionalProperties === undefined || schema.properties === undefined) return [];
  return [forbiddenValue(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive')];
}

function listProblems(schema: OpenApiSchema, path: string): Cause[] {
  if (schema.type === 'array' && schema.items === undefined)
    return [requiredValue(`${path}.items`, 'must be specified')];
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== undefined && schema.type !== 'array')
    return [invalidValue(`${path}.type`, schema.type ?? '', 'must be array if x-kubernetes-list-type is specified')];
  if (listType !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (keys.length === 0)
    return [requiredValue(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map')];
  return keys.flatMap((key) => keyProblems(schema.items ?? {}, key, `${path}.items`));
}

function keyProblems(items: OpenApiSchema, key: string, path: string): Cause[] {
  const described = items.properties?.[key];
  if (described === undefined)
    return [invalidValue(`${path}.x-kubernetes-list-map-keys`, key, 'entries must all be names of item properties')];
  if (described.default !== undefined || items.required?.includes(key) === true) return [];
  return [
    requiredValue(
      `${path}.properties[${key}].default`,
      'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    ),
  ];
}

/**
 * Problems in the logic keywords (`allOf`, `anyOf`, `oneOf`, `not`): they may only restrict values, so types, defaults
 * and descriptions must be outside of them.
 */
function logicProblems(schema: OpenApiSchema, path: string): Cause[] {
  if (schema['x-kubernetes-int-or-string'] === true) return [];
  const parts = (['allOf', 'anyOf', 'oneOf'] as const).flatMap((word) =>
    (schema[word] ?? []).map((one, index) => ({ one, at: `${path}.${word}[${index}]` })),
  );
  const all = [...parts, ...(schema.not === undefined ? [] : [{ one: schema.not, at: `${path}.not` }])];
  return all.flatMap(({ one, at }) => [
    ...(one.type === undefined ? [] : [forbiddenValue(`${at}.type`, 'must be empty to be structural')]),
    ...(one.default === undefined ? [] : [forbiddenValue(`${at}.default`, 'must be undefined to be structural')]),
    ...(one.description === undefined ? [] : [forbiddenValue(`${at}.description`, 'must be empty to be structural')]),
  ]);
}

const tooCostly =
  'estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, ' +
  'maxProperties, and maxLength where arrays, maps, and strings are declared)';

function boundsProblems(schema: OpenApiSchema, path: string, isUnbounded: boolean): Cause[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  const own = isUnbounded
    ? rules.map((_, index) => forbiddenValue(`${path}.x-kubernetes-validations[${index}].rule`, tooCostly))
    : [];
  const inList = isUnbounded || (schema.type === 'array' && schema.maxItems === undefined);
  const inMap = isUnbounded || (isRecord(schema.additionalProperties) && schema.maxProperties === undefined);
  return [
    ...own,
    ...Object.entries(schema.properties ?? {}).flatMap(([field, one]) =>
      boundsProblems(one, `${path}.properties[${field}]`, isUnbounded),
    ),
    ...(schema.items === undefined ? [] : boundsProblems(schema.items, `${path}.items`, inList)),
    ...(isRecord(schema.additionalProperties)
      ? boundsProblems(schema.additionalProperties as OpenApiSchema, `${path}.additionalProperties`, inMap)
      : []),
  ];
}
