/**
 * Fills in the defaults of a schema. The given value is changed in place; there are no other side effects. A default
 * applies only where its parent exists.
 */
import { isRecord } from '../../api/record.ts';
import { copyOf, type JsonRecord } from '../../lib/json.ts';
import { schemaOfField, schemaOfItems, type OpenApiSchema } from './schema.ts';

export function applyDefaults(value: unknown, schema: OpenApiSchema): void {
  if (Array.isArray(value)) for (const item of value) applyDefaults(item, schemaOfItems(schema));
  else if (isRecord(value)) {
    for (const [field, below] of Object.entries(schema.properties ?? {})) setFieldDefault(value, field, below);
    for (const [field, item] of Object.entries(value)) applyDefaults(item, schemaOfField(schema, field) ?? {});
  }
}

/** Null in a field that is not nullable counts as absent when the field has a default. */
function setFieldDefault(value: JsonRecord, field: string, schema: OpenApiSchema): void {
  if (schema.default === undefined) return;
  const isMissing = value[field] === undefined || (value[field] === null && schema.nullable !== true);
  if (isMissing) value[field] = copyOf(schema.default);
}
