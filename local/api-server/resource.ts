/**
 * Describes a resource for the server: names, schema, subresources and rules.
 * Owns: the description that every part uses. Built-in resources are rows of a table (builtin/resources.ts); a
 * CustomResourceDefinition is converted to one (crd/resource.ts).
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

/** The part of an object that a write is for; '' is the object itself. */
export type Subresource = '' | 'status' | 'scale';

export type ScalePaths = {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector?: readonly string[];
};

/** Behaviour of a resource beyond storage. Each function may change the draft, but must not keep a reference to it. */
export type Rules = {
  /** Fills in defaults; called after decoding, before anything else reads the object. */
  readonly setDefaults?: (draft: ObjectDraft) => void;
  readonly beforeCreate?: (draft: ObjectDraft) => void;
  readonly beforeUpdate?: (draft: ObjectDraft, old: StoredObject) => void;
  /** @param old absent on create */
  readonly validate?: (object: ObjectDraft, old: StoredObject | undefined) => readonly Cause[];
  /**
   * True: changes outside of metadata and status increase `metadata.generation`. False: the resource does not have a
   * generation.
   */
  readonly hasGeneration: boolean;
  /** Whether changes of annotations increase the generation too, as for a Deployment. */
  readonly countsAnnotations?: boolean;
  /** Field selectors in addition to metadata.name and metadata.namespace, with the object's values. */
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
  /** The store's table. All versions of a resource share one table, and so do the two APIs of Events. */
  readonly table: string;
  readonly schema: OpenApiSchema;
  readonly custom: boolean;
  readonly hasStatus: boolean;
  readonly scale?: ScalePaths;
  readonly columns: readonly Column[];
  readonly rules: Rules;
  readonly verbs: readonly string[];
  /** Conversion between the stored form and this version, where they differ. */
  readonly conversion?: {
    readonly shown: (stored: StoredObject) => StoredObject;
    readonly stored: (draft: ObjectDraft) => ObjectDraft;
  };
  /** A warning for every client that uses this resource. */
  readonly deprecation?: string;
  /** The built-in type's name in Kubernetes' OpenAPI documents. */
  readonly definition?: string;
};

/** `v1`, `apps/v1`. */
export function groupVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;
