/**
 * Removes from an object the fields that its schema does not have.
 * Owns: pruning (this removal), and the list of pruned paths. With strict validation, the caller refuses an object with
 * such paths; otherwise a warning names them.
 */
import { isRecord } from '../../api/record.ts';
import { type JsonRecord } from '../../lib/json.ts';
import { metaSchema } from './object-meta.ts';
import { keepsUnknown, schemaOfField, schemaOfItems, type OpenApiSchema } from './schema.ts';

/**
 * Removes unknown fields from an object in place.
 * @returns paths of unknown fields, such as `spec.parts[0].colour`
 */
export function pruneObject(object: JsonRecord, schema: OpenApiSchema): string[] {
  const unknown: string[] = [];
  const { apiVersion, kind, metadata, ...rest } = object;
  if (isRecord(metadata)) prune(metadata, metaSchema, { path: 'metadata', unknown });
  const before = Object.keys(rest);
  prune(rest, schema, { path: '', unknown });
  for (const field of before) if (!Object.hasOwn(rest, field)) delete object[field];
  Object.assign(object, { apiVersion, kind, metadata });
  return unknown;
}

type Place = { readonly path: string; readonly unknown: string[] };

function prune(value: unknown, schema: OpenApiSchema, place: Place): void {
  if (Array.isArray(value))
    for (const [index, item] of value.entries())
      prune(item, schemaOfItems(schema), { path: `${place.path}[${index}]`, unknown: place.unknown });
  else if (isRecord(value)) pruneRecord(value, schema, place);
}

function pruneRecord(value: JsonRecord, schema: OpenApiSchema, place: Place): void {
  for (const field of Object.keys(value)) {
    const below = schemaOfField(schema, field) ?? embeddedField(schema, field);
    const path = place.path === '' ? field : `${place.path}.${field}`;
    if (below !== undefined) prune(value[field], below, { path, unknown: place.unknown });
    else if (!keepsUnknown(schema)) {
      place.unknown.push(path);
      delete value[field];
    }
  }
}

/** An embedded object, such as a pod template, may have apiVersion, kind and metadata. */
function embeddedField(schema: OpenApiSchema, field: string): OpenApiSchema | undefined {
  if (schema['x-kubernetes-embedded-resource'] !== true) return undefined;
  if (field === 'metadata') return metaSchema;
  return field === 'apiVersion' || field === 'kind' ? { type: 'string' } : undefined;
}
