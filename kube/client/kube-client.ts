/**
 * The port (interface) to a Kubernetes API: the calls that the operator needs.
 * Owns: the types. kube/client/http-client.ts implements the port over HTTP, and tests implement it in memory.
 * Rule: every call takes a signal, and every call except `watch` has a deadline of its own. A call fails with an
 * AppError: KUBE_STATUS (the server answered with an error; see kube-error.ts), KUBE_UNREACHABLE or
 * KUBE_ANSWER_UNUSABLE. When the caller aborts, the call fails with the signal's reason.
 */
import type { KubeObject, ObjectMeta, ObjectName } from '../../api/kube-object.ts';
import type { ResourceType } from './resource-type.ts';

export interface KubeClient {
  /** One object, read from the server's storage. A 404 is an error (`isNotFound`). */
  get<T extends KubeObject>(type: ResourceType<T>, name: ObjectName, options?: CallOptions): Promise<T>;

  /** One page of a collection. Every item has apiVersion and kind, even if the server omits them. */
  list<T extends KubeObject>(type: ResourceType<T>, query: ListQuery, options?: CallOptions): Promise<Page<T>>;

  /**
   * Changes from `query.resourceVersion` on. The iteration ends when the server closes the stream, and throws when
   * something fails. For an ERROR event it throws the KUBE_STATUS of the event. When the caller leaves its loop early,
   * the stream is closed.
   */
  watch<T extends KubeObject>(
    type: ResourceType<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;

  /** Fails with AlreadyExists (409, `isAlreadyExists`) when the name is taken. */
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: PatchOptions): Promise<T>;

  /**
   * PUT of a complete object. If the object has a `metadata.resourceVersion`, the call fails with Conflict when the
   * object has changed since that version.
   */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;

  /**
   * Server-side apply: creates the object or takes ownership of the given fields. A field that an earlier apply set and
   * this apply omits is released.
   */
  apply<T extends KubeObject>(type: ResourceType<T>, object: T, options: ApplyOptions): Promise<T>;

  /**
   * Replaces the status of one object if the object is still at the resourceVersion of `target`; otherwise it fails
   * with 409 (`isConflict`).
   *
   * The request is a PUT on /status, not a patch. The resourceVersion makes the PUT compare-and-set, the server ignores
   * everything except `status`, and omitted keys are removed. A merge patch would need a null for each removed key, and
   * an apply would not fail when the spec changed after the decision.
   */
  replaceStatus<T extends KubeObject>(
    type: ResourceType<T>,
    target: Versioned,
    status: unknown,
    options?: WriteOptions,
  ): Promise<T>;

  /**
   * Merge patch of labels, annotations or finalizers; `null` removes a key. With a resourceVersion, the patch is
   * compare-and-set.
   */
  patchMetadata<T extends KubeObject>(
    type: ResourceType<T>,
    target: MetadataTarget,
    change: MetadataChange,
    options?: WriteOptions,
  ): Promise<T>;

  /**
   * JSON merge patch (RFC 7386) of any part of an object. If the patch has a `metadata.resourceVersion`, it is
   * compare-and-set (409).
   */
  mergePatch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options?: PatchOptions,
  ): Promise<T>;

  /** @returns whether the object no longer exists (false: finalizers or a grace period keep it). A 404 is an error. */
  delete(type: ResourceType, name: ObjectName, options?: DeleteOptions): Promise<boolean>;
}

export type CallOptions = {
  readonly signal?: AbortSignal;
  /** Overrides the client's deadline for this call, in milliseconds. */
  readonly deadlineMs?: number;
};

export type WriteOptions = CallOptions & {
  /** The name that the server records in managedFields. If absent, it is the client's own name. */
  readonly fieldManager?: string;
};

export type PatchOptions = WriteOptions & {
  /** True: a field that the server does not know is an error (400). Otherwise, the server drops such a field. */
  readonly strict?: boolean;
};

export type ApplyOptions = CallOptions & {
  readonly fieldManager: string;
  /** True: the apply takes over fields that other managers own. False: such a field is a conflict (409). */
  readonly force: boolean;
};

export type ListQuery = {
  /** If absent, all namespaces are listed. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  /** The token from the previous page. It is never set together with resourceVersion. */
  readonly continue?: string;
  /** "0": the list is read from the server's cache. If absent, the list is read from storage. */
  readonly resourceVersion?: string;
};

export type Page<T> = {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continue?: string;
};

export type WatchQuery = {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion: string;
  /** The server closes the stream after this long. */
  readonly timeoutSeconds: number;
};

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/**
 * The object as the caller read it. The write is refused if the object has changed since then, or was deleted and
 * created again.
 */
export type Versioned = Pick<KubeObject, 'metadata'>;

export type MetadataTarget = ObjectName & Pick<ObjectMeta, 'uid' | 'resourceVersion'>;

export type MetadataChange = {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
  /** The complete new list, because a merge patch cannot add a single item. Pass a resourceVersion, too. */
  readonly finalizers?: readonly string[];
};

export type DeleteOptions = CallOptions & {
  /** Delete only the object with this uid (409 otherwise). */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default: Background. With Foreground, the object stays until its dependents are deleted. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
};
