/**
 * Tables, which `kubectl get` requests instead of objects.
 * Owns: reading the Accept header, and turning objects into rows.
 */
import type { StoredObject } from '../../objects.ts';
import type { JsonRecord } from '../../../lib/json.ts';
import { groupVersionOf, type Column, type Resource } from '../resource.ts';

export type Form =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly include: 'None' | 'Metadata' | 'Object' }
  | { readonly kind: 'metadata' };

/** The first format of the Accept header that this server supports. */
export function formOf(accept: string, includeObject: string | null): Form {
  for (const range of accept.split(',').map((one) => one.trim())) {
    const form = formOfRange(
      range.split(';').map((part) => part.trim()),
      includeObject,
    );
    if (form !== undefined) return form;
  }
  return { kind: 'object' };
}

function formOfRange(parts: readonly string[], includeObject: string | null): Form | undefined {
  const [type = ''] = parts;
  if (!['application/json', 'application/*', '*/*'].includes(type)) return undefined;
  const as = parts.find((one) => one.startsWith('as='))?.slice(3);
  if (as === undefined) return { kind: 'object' };
  if (!parts.includes('g=meta.k8s.io') || !parts.includes('v=v1')) return undefined;
  if (as === 'Table') return { kind: 'table', include: asInclude(includeObject) };
  return as.startsWith('PartialObjectMetadata') ? { kind: 'metadata' } : undefined;
}

function asInclude(text: string | null): 'None' | 'Metadata' | 'Object' {
  return text === 'None' || text === 'Object' ? text : 'Metadata';
}

export type TableOptions = {
  readonly columns: readonly Column[];
  readonly nowMs: number;
  readonly include: 'None' | 'Metadata' | 'Object';
  readonly withColumns: boolean;
};

export function tableOf(
  objects: readonly { readonly stored: StoredObject; readonly shown: StoredObject }[],
  metadata: JsonRecord,
  options: TableOptions,
): JsonRecord {
  const { columns, nowMs } = options;
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: options.withColumns
      ? columns.map(({ name, type, format = '', description = '', priority }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : null,
    rows: objects.map(({ stored, shown }) => ({
      cells: columns.map((column) => column.cell(stored, nowMs) ?? null),
      ...included(shown, options.include),
    })),
  };
}

function included(object: StoredObject, include: TableOptions['include']): JsonRecord {
  switch (include) {
    case 'None':
      return {};
    case 'Metadata':
      return { object: metadataOf(object) };
    case 'Object':
      return { object };
  }
}

export function metadataOf(object: StoredObject): JsonRecord {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

/** A list of objects. Items of built-in types omit apiVersion and kind; items of custom types have both fields. */
export function listOfObjects(resource: Resource, items: readonly StoredObject[], metadata: JsonRecord): JsonRecord {
  const shown = resource.custom ? items : items.map(({ apiVersion: _apiVersion, kind: _kind, ...item }) => item);
  return {
    kind: resource.listKind,
    apiVersion: groupVersionOf(resource),
    metadata: resource.custom ? { continue: '', ...metadata } : metadata,
    items: shown,
  };
}
