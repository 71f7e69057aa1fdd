/**
 * Fills in the defaults of a schema.
 *
 * Pure but for the value it is given: it changes it in place. A default counts only where the parent is there.
 */
import { copyOf, isRecord, type JsonRecord } from '../../lib/json.ts';
import { schemaOfField, schemaOfItems, type Schema } from './schema.ts';

export function applyDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) for (const item of value) applyDefaults(item, schemaOfItems(schema));
  else if (isRecord(value)) {
    for (const [field, below] of Object.entries(schema.properties ?? {})) setFieldDefault(value, field, below);
    for (const [field, item] of Object.entries(value)) applyDefaults(item, schemaOfField(schema, field) ?? {});
  }
}

/** A null that may not be null counts as left out, where there is a default. */
function setFieldDefault(value: JsonRecord, field: string, schema: Schema): void {
  if (schema.default === undefined) return;
  const isMissing = value[field] === undefined || (value[field] === null && schema.nullable !== true);
  if (isMissing) value[field] = copyOf(schema.default);
}
