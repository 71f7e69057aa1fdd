/**
 * The schemas of built-in types, from schemas.json (see scripts/kube-schemas).
 * Owns: loading the schemas and resolving their references. A type without declared fields accepts any value.
 */
import { readFileSync } from 'node:fs';
import { isRecord } from '../../../api/record.ts';
import { type JsonRecord } from '../../../lib/json.ts';
import type { OpenApiSchema } from '../../../kube/schema/schema.ts';

/** The schemas as they are in the file, with unresolved references, for /openapi/v3. */
export const definitions = JSON.parse(readFileSync(new URL('./schemas.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, JsonRecord>
>;

const resolvedByName = new Map<string, OpenApiSchema>();

/**
 * @param name the type's full name in Kubernetes' OpenAPI documents
 * @throws Error when the file does not contain it
 */
export function builtinSchema(name: string): OpenApiSchema {
  const known = resolvedByName.get(name);
  if (known !== undefined) return known;
  const definition = definitions[name];
  if (definition === undefined) throw new Error(`schemas.json has no type ${name}`);
  // Register the schema before filling it, because a type may contain itself.
  const made: JsonRecord = {};
  resolvedByName.set(name, made);
  Object.assign(made, resolve(definition), { title: name.slice(name.lastIndexOf('.') + 1) });
  return made;
}

/** The schema of the metadata of every object. */
export const builtinMetaSchema = builtinSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

function resolve(node: JsonRecord): JsonRecord {
  const { $ref: reference, ...own } = node;
  // A `$ref` without other keys returns the schema object of the named type, not a copy, so a type may contain itself.
  // A `$ref` with other keys returns a copy that also has these keys.
  if (typeof reference === 'string' && Object.keys(own).length === 0) return builtinSchema(reference) as JsonRecord;
  if (typeof reference === 'string') return { ...(builtinSchema(reference) as JsonRecord), ...own };
  const out: JsonRecord = { ...own };
  if (isRecord(own['properties']))
    out['properties'] = Object.fromEntries(
      Object.entries(own['properties']).map(([field, inner]) => [field, resolve(inner as JsonRecord)]),
    );
  for (const below of ['items', 'additionalProperties']) if (isRecord(own[below])) out[below] = resolve(own[below]);
  if (isIntOrString(own)) return { 'x-kubernetes-int-or-string': true };
  if (isOpen(out))
    Object.assign(out, {
      'x-kubernetes-preserve-unknown-fields': true,
      ...(out['type'] === 'object' ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    });
  return out;
}

function isOpen(node: JsonRecord): boolean {
  const holdsFields = node['type'] === 'object' || node['type'] === undefined;
  return (
    holdsFields &&
    node['properties'] === undefined &&
    node['additionalProperties'] === undefined &&
    node['items'] === undefined
  );
}

/** True for the types IntOrString and Quantity. */
function isIntOrString(node: JsonRecord): boolean {
  return Array.isArray(node['oneOf']);
}
