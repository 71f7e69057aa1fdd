/**
 * The object types that the operator uses, and their URL paths.
 * Owns: group, version, plural and scope of a type, and how a path is built.
 * Pure.
 */
import type { KubeObject, ObjectName } from '../../api/kube-object.ts';

declare const objectOf: unique symbol;

/**
 * `T` is the TypeScript type of one object. It exists only for the compiler, so that `get(leases, …)` returns a Lease.
 */
export type ResourceType<T extends KubeObject = KubeObject> = {
  /** The API group, such as `apps`; empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly [objectOf]?: T;
};

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** The path of a collection. If `namespace` is undefined, the collection covers all namespaces. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = type.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${type.plural}`;
}

/** The path of one object, or of one of its subresources. */
export function objectPath(type: ResourceType, name: ObjectName, subresource?: string): string {
  const path = `${collectionPath(type, name.namespace)}/${encodeURIComponent(name.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
