/**
 * The interface through which the controllers and the kubelet of local mode (a Kubernetes cluster in one process) read
 * and write the API's objects without HTTP.
 * Owns: the interface. local/api-server implements it with the same store, validation and admission as for HTTP
 * requests, so no part of local mode can write an object that a client could not write.
 * Rule: a watch handler is called after an object has changed. It may be called twice for one change, and it must not
 * throw.
 */
import type { KubeObject, StoredMeta } from '../api/kube-object.ts';

/** Any stored object. It is deeply frozen, so make a copy to change it. */
export type StoredObject = KubeObject<StoredMeta> & { readonly [field: string]: unknown };

/** A new object. The server fills in uid, resourceVersion, creationTimestamp and generation. */
export type NewObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Partial<StoredMeta>;
  readonly [field: string]: unknown;
};

/** A type of objects, such as `apps/v1` and `deployments`. In the core group, apiVersion is `v1`. */
export type ResourcePath = { readonly apiVersion: string; readonly plural: string };

export type ObjectRef = ResourcePath & { readonly namespace?: string; readonly name: string };

export type ObjectChange = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: StoredObject };

export interface Objects {
  get(ref: ObjectRef): StoredObject | undefined;
  /** The objects, sorted by namespace and name. @param labels an equality selector; all its labels must match */
  list(
    type: ResourcePath,
    filter?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> },
  ): readonly StoredObject[];
  /**
   * Creates an object. @throws AppError KUBE_STATUS as in the HTTP API: AlreadyExists, Invalid, or NotFound for the
   * namespace
   */
  create(type: ResourcePath, object: NewObject): StoredObject;
  /**
   * Replaces an object.
   * @throws AppError KUBE_STATUS 409 Conflict when `metadata.resourceVersion` is not the stored version
   */
  update(type: ResourcePath, object: StoredObject): StoredObject;
  /**
   * Replaces only the status. As in `update`, the resourceVersion must match. A status without changes is not written.
   */
  updateStatus(type: ResourcePath, object: StoredObject): StoredObject;
  /**
   * Deletes an object as a DELETE request does: a pod first gets a deletionTimestamp unless `graceSeconds` is 0. A
   * missing object is not an error.
   */
  delete(
    ref: ObjectRef,
    options?: { readonly graceSeconds?: number; readonly propagation?: 'Background' | 'Foreground' | 'Orphan' },
  ): void;
  /** Calls the handler after each change from now on. @returns a function that ends the watch */
  watch(type: ResourcePath, handler: (event: ObjectChange) => void): () => void;
}

/** The source of lines for `GET …/pods/NAME/log`: the kubelet. */
export interface LogSource {
  /**
   * @returns undefined when the container never started; otherwise the bytes of the log. Without `follow` they end with
   * the stored log. With `follow` they end when the container ends or the signal is aborted
   */
  read(
    pod: { readonly namespace: string; readonly name: string },
    options: LogOptions,
  ): AsyncIterable<Uint8Array> | undefined;
}

export type LogOptions = {
  readonly container: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tailLines?: number;
  /** A time in milliseconds since the epoch. Older lines are left out. */
  readonly sinceMs?: number;
  readonly timestamps: boolean;
  readonly signal: AbortSignal;
};
