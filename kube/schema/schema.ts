/**
 * The schema of a resource, built-in or custom: OpenAPI v3 as Kubernetes restricts it.
 * Owns: the shape of a schema node and the step from a node to its children. References of built-in types are resolved
 * on loading, so nodes may form a cycle. Walk along a value, never along the schema alone.
 */
import { isRecord } from '../../api/record.ts';

export type ValidationRule = {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
};

export type OpenApiSchema = {
  readonly type?: string;
  /** The name of a built-in type, such as `PodSpec`. */
  readonly title?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: OpenApiSchema | boolean;
  readonly items?: OpenApiSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly OpenApiSchema[];
  readonly anyOf?: readonly OpenApiSchema[];
  readonly oneOf?: readonly OpenApiSchema[];
  readonly not?: OpenApiSchema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
};

/**
 * The schema of a field that its parent's schema does not describe. Unknown fields inside its value are kept, and the
 * value is merged field by field.
 */
export const anything: OpenApiSchema = { 'x-kubernetes-preserve-unknown-fields': true };

/** The schema of a field of an object: a declared field or an entry of a map. */
export function schemaOfField(schema: OpenApiSchema, field: string): OpenApiSchema | undefined {
  const described = schema.properties;
  if (described !== undefined && Object.hasOwn(described, field)) return described[field];
  const entries = schema.additionalProperties;
  if (isRecord(entries)) return entries as OpenApiSchema;
  return entries === true || keepsUnknown(schema) ? anything : undefined;
}

/** Whether the schema declares this field, as opposed to a key of a map. */
export function isDescribed(schema: OpenApiSchema, field: string): boolean {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, field);
}

export function schemaOfItems(schema: OpenApiSchema): OpenApiSchema {
  return schema.items ?? anything;
}

export function keepsUnknown(schema: OpenApiSchema): boolean {
  return schema['x-kubernetes-preserve-unknown-fields'] === true;
}

/** How several writers share a list. A list without a type is `atomic`, which means that it is a single value. */
export function listTypeOf(schema: OpenApiSchema): 'atomic' | 'set' | 'map' {
  return schema['x-kubernetes-list-type'] ?? 'atomic';
}

/**
 * The path step that identifies an item of a set or map list. A missing key counts as its default, or as null if it
 * does not have a default.
 */
export function stepOfItem(item: unknown, schema: OpenApiSchema): string {
  if (listTypeOf(schema) === 'set') return `v:${JSON.stringify(item)}`;
  const keys = [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort();
  const items = schemaOfItems(schema);
  const named = keys.map(
    (key) => [key, (isRecord(item) ? item[key] : undefined) ?? items.properties?.[key]?.default ?? null] as const,
  );
  return `k:${JSON.stringify(Object.fromEntries(named))}`;
}

/** Whether an object counts as a single value for field ownership. */
export function isAtomicMap(schema: OpenApiSchema): boolean {
  return schema['x-kubernetes-map-type'] === 'atomic';
}
