/**
 * The seam inside local mode: how controllers and the kubelet read and write the API's objects without HTTP.
 *
 * Owns:  the port. local/api-server implements it over the same store, validation and admission that HTTP
 *        requests go through, so that nothing in local mode can write what a client could not.
 * Level: a watch handler is told that something changed; it may be told twice, and it must not throw.
 */

export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

export type ObjectMeta = {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
};

/** Any stored object. Deeply frozen: a writer makes a copy. */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
};

/** A new object: the server fills in uid, resourceVersion, creationTimestamp and generation. */
export type NewObject = Omit<KubeObject, 'metadata'> & { readonly metadata: Partial<ObjectMeta> };

/** `apps/v1` and `deployments`; the core group is `v1`. */
export type ResourceType = { readonly apiVersion: string; readonly plural: string };

export type ObjectRef = ResourceType & { readonly namespace?: string; readonly name: string };

export type WatchEvent = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject };

export interface Objects {
  get(ref: ObjectRef): KubeObject | undefined;
  /** In order of namespace and name. @param labels equality selector; all must match */
  list(
    type: ResourceType,
    filter?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> },
  ): readonly KubeObject[];
  /** @throws AppError KUBE_STATUS as the HTTP API would answer: AlreadyExists, Invalid, NotFound of the namespace */
  create(type: ResourceType, object: NewObject): KubeObject;
  /**
   * Replaces the object; `metadata.resourceVersion` must be the stored one. @throws AppError KUBE_STATUS 409 Conflict
   * when not
   */
  update(type: ResourceType, object: KubeObject): KubeObject;
  /** Replaces only the status. Same rules as update. A status that says the same writes nothing. */
  updateStatus(type: ResourceType, object: KubeObject): KubeObject;
  /** As a DELETE request: a pod gets a deletionTimestamp first unless `graceSeconds` is 0. Absent is no error. */
  delete(
    ref: ObjectRef,
    options?: { readonly graceSeconds?: number; readonly propagation?: 'Background' | 'Foreground' | 'Orphan' },
  ): void;
  /** Events since now, after the write they tell of. @returns ends the watch */
  watch(type: ResourceType, handler: (event: WatchEvent) => void): () => void;
}

/** Where `GET …/pods/NAME/log` gets its lines: the kubelet. */
export interface LogSource {
  /**
   * @returns undefined when the container never started; else the bytes, ending when the container ended or, with
   *          `follow`, when the signal is aborted
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
  /** Milliseconds since the epoch: nothing older. */
  readonly sinceMs?: number;
  readonly timestamps: boolean;
  readonly signal: AbortSignal;
};
