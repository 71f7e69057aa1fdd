/**
 * The port through which local mode's controllers and kubelet read and write the API's objects without HTTP.
 * Owns: the interface. local/api-server implements it over the same store, validation and admission as HTTP requests,
 * so no part of local mode can write what a client could not.
 * Rule: a watch handler is called when an object has changed. It may be called twice for one change, and it must not
 * throw.
 */
import type { KubeObject, StoredMeta } from '../api/kube-object.ts';

/** Any stored object. Deeply frozen: make a copy to change it. */
export type StoredObject = KubeObject<StoredMeta> & { readonly [field: string]: unknown };

/** A new object: the server fills in uid, resourceVersion, creationTimestamp and generation. */
export type NewObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Partial<StoredMeta>;
  readonly [field: string]: unknown;
};

/** `apps/v1` and `deployments`; the core group is `v1`. */
export type ResourcePath = { readonly apiVersion: string; readonly plural: string };

export type ObjectRef = ResourcePath & { readonly namespace?: string; readonly name: string };

export type ObjectChange = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: StoredObject };

export interface Objects {
  get(ref: ObjectRef): StoredObject | undefined;
  /**
   * Sorted by namespace and name.
   * @param labels equality selector; all must match
   */
  list(
    type: ResourcePath,
    filter?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> },
  ): readonly StoredObject[];
  /** @throws AppError KUBE_STATUS as in the HTTP API: AlreadyExists, Invalid, NotFound for the namespace */
  create(type: ResourcePath, object: NewObject): StoredObject;
  /**
   * Replaces the object; `metadata.resourceVersion` must be the stored one.
   * @throws AppError KUBE_STATUS 409 Conflict otherwise
   */
  update(type: ResourcePath, object: StoredObject): StoredObject;
  /** Replaces only the status. Same rules as update. An unchanged status is not written. */
  updateStatus(type: ResourcePath, object: StoredObject): StoredObject;
  /**
   * As a DELETE request: a pod first gets a deletionTimestamp unless `graceSeconds` is 0. A missing object is not an
   * error.
   */
  delete(
    ref: ObjectRef,
    options?: { readonly graceSeconds?: number; readonly propagation?: 'Background' | 'Foreground' | 'Orphan' },
  ): void;
  /**
   * Changes from now on; handlers run after the write.
   * @returns a function that ends the watch
   */
  watch(type: ResourcePath, handler: (event: ObjectChange) => void): () => void;
}

/** The source of lines for `GET …/pods/NAME/log`: the kubelet. */
export interface LogSource {
  /**
   * @returns undefined when the container never started; otherwise the bytes of the log. They end when the container
   * ended or, with `follow`, when the signal is aborted
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
  /** Milliseconds since the epoch: older lines are left out. */
  readonly sinceMs?: number;
  readonly timestamps: boolean;
  readonly signal: AbortSignal;
};
