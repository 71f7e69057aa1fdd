/**
 * Describes a resource for the server: names, schema, subresources and rules.
 * Owns: the description that every part of the server uses. Built-in resources come from a table
 * (builtin/resources.ts). A CustomResourceDefinition is converted to such a description (crd/resource.ts).
 */
import type { StoredObject } from '../objects.ts';
import type { JsonRecord } from '../../lib/json.ts';
import type { OpenApiSchema } from '../../kube/schema/schema.ts';
import type { Cause } from '../../kube/schema/cause.ts';

/** An object that is being prepared: plain JSON that may be changed. */
export type ObjectDraft = JsonRecord & { metadata: JsonRecord };

/** A column of `kubectl get`. Columns for `-o wide` have a priority above 0. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority: number;
  /** @returns the content of the cell; undefined for an empty cell */
  readonly cell: (object: StoredObject, nowMs: number) => unknown;
};

/** The part of an object that a write changes; '' is the object itself. */
export type Subresource = '' | 'status' | 'scale';

export type ScalePaths = {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector?: readonly string[];
};

/**
 * The behaviour of a resource apart from storage. Each function may change the draft, but must not keep a reference to
 * it.
 */
export type Rules = {
  /** Fills in defaults. It is called after decoding, before other code reads the object. */
  readonly setDefaults?: (draft: ObjectDraft) => void;
  readonly beforeCreate?: (draft: ObjectDraft) => void;
  readonly beforeUpdate?: (draft: ObjectDraft, old: StoredObject) => void;
  /** @param old undefined on create */
  readonly validate?: (object: ObjectDraft, old: StoredObject | undefined) => readonly Cause[];
  /**
   * True: changes of the content increase `metadata.generation` (`content` in writes.ts says which fields count).
   * False: the resource does not have a generation.
   */
  readonly hasGeneration: boolean;
  /** True: changes of annotations increase the generation too, as for a Deployment. */
  readonly countsAnnotations?: boolean;
  /**
   * The values for field selectors, by field. Field selectors for metadata.name and metadata.namespace always exist.
   */
  readonly selectable?: (object: StoredObject) => Readonly<Record<string, string>>;
};

export type Resource = {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /**
   * The name of the table in which the store keeps the objects. All versions of a resource share one table, and so do
   * the two APIs of Events.
   */
  readonly table: string;
  readonly schema: OpenApiSchema;
  readonly custom: boolean;
  readonly hasStatus: boolean;
  readonly scale?: ScalePaths;
  readonly columns: readonly Column[];
  readonly rules: Rules;
  readonly verbs: readonly string[];
  /** Conversion between the stored form and the form of this version. Absent when the two forms are equal. */
  readonly conversion?: {
    readonly shown: (stored: StoredObject) => StoredObject;
    readonly stored: (draft: ObjectDraft) => ObjectDraft;
  };
  /** A warning that every client of this resource gets. */
  readonly deprecation?: string;
  /** The full name of the built-in type in Kubernetes' OpenAPI documents. */
  readonly definition?: string;
};

/** The apiVersion, such as `v1` or `apps/v1`. */
export function groupVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;
