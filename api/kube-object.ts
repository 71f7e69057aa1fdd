/**
 * The fields that every Kubernetes object has, in their JSON form. Pure.
 * Owns: metadata as plain JSON: times are strings, values are not instances of classes, and a field without a value is
 * left out. Objects from a list and from a watch have the same form and can be compared, frozen, and sent back. The
 * client, OnnxModel and local mode's API server use these types.
 * Why: the generated models of client-node contain `Date` after a list and `string` after a watch event.
 */

export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

export type ManagedFieldsEntry = {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly time?: string;
  readonly subresource?: string;
  readonly fieldsType?: string;
  readonly fieldsV1?: unknown;
};

export type ObjectMeta = {
  readonly name: string;
  readonly generateName?: string;
  readonly namespace?: string;
  /** Set by the server; absent in an object that is not created yet. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
};

/** Metadata with the fields that the server sets on every object that it stores. */
export type StoredMeta = ObjectMeta & {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
};

export type KubeObject<Meta extends ObjectMeta = ObjectMeta> = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
};

/** Identifies one object of a known type. Cluster-scoped objects have no namespace. */
export type ObjectName = {
  readonly name: string;
  readonly namespace?: string;
};

/** The key of an object in caches and queues: `namespace/name`, or `name` for a cluster-scoped object. */
export function keyOf(name: ObjectName): string {
  return name.namespace === undefined ? name.name : `${name.namespace}/${name.name}`;
}

/** The inverse of {@link keyOf}. */
export function nameOf(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The owner that controls this object; undefined when no owner controls it. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
