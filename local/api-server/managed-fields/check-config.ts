/**
 * Checks whether an applied configuration fits the schema, so that its fields can have owners.
 * Pure: it reports unknown fields, wrong types and list items without distinct keys, with the messages of
 * structured-merge-diff.
 */
import {
  keepsUnknown,
  listTypeOf,
  schemaOfField,
  schemaOfItems,
  stepOfItem,
  type OpenApiSchema,
} from '../../../kube/schema/schema.ts';
import { pathText } from './field-set.ts';
import { ownValue, isRecord } from '../../../api/record.ts';

/**
 * @param path such as `.spec.parts[name="a"]`
 * @returns one sentence per problem
 */
export function configProblems(value: unknown, schema: OpenApiSchema, path: string): string[] {
  if (value === null || value === undefined) return [];
  const wrong = typeProblem(value, schema);
  if (wrong !== undefined) return [`${path}: ${wrong}`];
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([field, item]) => {
      const below = schemaOfField(schema, field);
      if (below !== undefined) return configProblems(item, below, `${path}.${field}`);
      return keepsUnknown(schema) ? [] : [`${path}.${field}: field not declared in schema`];
    });
  }
  return Array.isArray(value) ? listProblems(value, schema, path) : [];
}

function listProblems(value: readonly unknown[], schema: OpenApiSchema, path: string): string[] {
  const type = listTypeOf(schema);
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const hasKey =
      type !== 'map' ||
      keys.some(
        (key) =>
          (isRecord(item) && item[key] !== undefined) || schemaOfItems(schema).properties?.[key]?.default !== undefined,
      );
    if (!hasKey)
      problems.push(
        `${path}: element ${index}: associative list with keys has an element that omits all key fields ` +
          `[${keys.map((key) => JSON.stringify(key)).join(' ')}] (and doesn't have default values for any key ` +
          'fields)',
      );
    const step = type === 'atomic' ? `i:${index}` : stepOfItem(item, schema);
    if (seen.has(step)) problems.push(`${path}: duplicate entries for key ${pathText([step])}`);
    seen.add(step);
    problems.push(...configProblems(item, schemaOfItems(schema), `${path}${pathText([step])}`));
  }
  return problems;
}

function typeProblem(value: unknown, schema: OpenApiSchema): string | undefined {
  const expected = ownValue(expectations, schema.type ?? '');
  return expected === undefined || expected.fits(value)
    ? undefined
    : `expected ${expected.name}, got ` +
        `${expected.isScalar ? kindOf(value) : `&{${JSON.stringify(value).replace(/^"|"$/g, '')}}`}`;
}

type Expectation = { readonly name: string; readonly isScalar: boolean; readonly fits: (value: unknown) => boolean };

const numeric: Expectation = {
  name: 'numeric (int or float)',
  isScalar: true,
  fits: (value) => typeof value === 'number',
};

const expectations: Readonly<Record<string, Expectation>> = {
  array: { name: 'list', isScalar: false, fits: Array.isArray },
  object: { name: 'map', isScalar: false, fits: isRecord },
  integer: numeric,
  number: numeric,
  boolean: { name: 'boolean', isScalar: true, fits: (value) => typeof value === 'boolean' },
  string: { name: 'string', isScalar: false, fits: (value) => typeof value === 'string' },
};

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'list' : isRecord(value) ? 'map' : typeof value;
}
