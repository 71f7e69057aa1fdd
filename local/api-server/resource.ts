/**
 * What a resource is to the server: its names, its schema, its subresources and its own rules.
 *
 * Owns: the description that every part works from; built-in resources are rows of such descriptions
 *       (builtin/resources.ts) and a CustomResourceDefinition turns into one (crd/resource.ts).
 */
import type { KubeObject } from '../objects.ts';
import type { JsonRecord } from '../../lib/json.ts';
import type { Schema } from '../../kube/schema/schema.ts';
import type { Cause } from '../../kube/schema/cause.ts';

/** An object while it is being made; plain JSON that may be changed. */
export type Draft = JsonRecord & { metadata: JsonRecord };

/** A column of `kubectl get`. Wide ones have a priority above 0. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority: number;
  /** @returns what the cell shows; undefined shows as nothing */
  readonly cell: (object: KubeObject, nowMs: number) => unknown;
};

/** Which part of an object a write is for; '' is the object itself. */
export type Subresource = '' | 'status' | 'scale';

export type ScalePaths = {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector?: readonly string[];
};

/** What a resource does beyond storing what it is given. Each may change the draft; none may keep it. */
export type Rules = {
  /** Fills in what was left out; after decoding, before anything else looks at the object. */
  readonly setDefaults?: (draft: Draft) => void;
  readonly beforeCreate?: (draft: Draft) => void;
  readonly beforeUpdate?: (draft: Draft, old: KubeObject) => void;
  /** @param old absent on create */
  readonly validate?: (object: Draft, old: KubeObject | undefined) => readonly Cause[];
  /** Paths in `spec` and beside it that count for `metadata.generation`; absent: this resource has none. */
  readonly hasGeneration: boolean;
  /** Whether annotations count for it as well, as a Deployment's do. */
  readonly countsAnnotations?: boolean;
  /** Fields a field selector may name beside metadata.name and metadata.namespace, with their values. */
  readonly selectable?: (object: KubeObject) => Readonly<Record<string, string>>;
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
  /** Of the store. Versions of a resource share one, and so do the two APIs of Events. */
  readonly table: string;
  readonly schema: Schema;
  readonly custom: boolean;
  readonly hasStatus: boolean;
  readonly scale?: ScalePaths;
  readonly columns: readonly Column[];
  readonly rules: Rules;
  readonly verbs: readonly string[];
  /** Between what is stored and what this version shows, where they differ. */
  readonly conversion?: {
    readonly shown: (stored: KubeObject) => KubeObject;
    readonly stored: (draft: Draft) => Draft;
  };
  /** What everybody who uses it is warned of. */
  readonly deprecation?: string;
  /** Name of the type in Kubernetes' OpenAPI documents; of built-in ones. */
  readonly definition?: string;
};

/** `v1`, `apps/v1`. */
export function apiVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;
