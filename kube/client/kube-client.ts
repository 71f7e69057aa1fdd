/**
 * The port to a Kubernetes API: the calls that the operator needs.
 * Owns: the types. They are implemented over HTTP in kube/client/http-client.ts, and in memory in tests.
 * Rule: every call takes a signal and has a deadline of its own. It fails with an AppError: KUBE_STATUS (the server
 * answered with an error; see kube-error.ts), KUBE_UNREACHABLE or KUBE_ANSWER_UNUSABLE. When the caller aborts, it
 * fails with the signal's reason.
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
   * something fails. For an ERROR event it throws the KUBE_STATUS of the event. Breaking out closes the stream.
   */
  watch<T extends KubeObject>(
    type: ResourceType<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;

  /** Fails with AlreadyExists (409, `isAlreadyExists`) when the name is taken. */
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: PatchOptions): Promise<T>;

  /**
   * PUT of a whole object. With `metadata.resourceVersion` it fails with Conflict when the object has changed since.
   */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;

  /**
   * Server-side apply: creates the object or takes ownership of the given fields. A field that an earlier apply set and
   * this one omits is released.
   */
  apply<T extends KubeObject>(type: ResourceType<T>, object: T, options: ApplyOptions): Promise<T>;

  /**
   * Writes the whole status of one object if it is still at `target.resourceVersion`; 409 (`isConflict`) otherwise.
   *
   * The request is a PUT on /status, not a patch. The resourceVersion makes it compare-and-set, the server ignores
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
   * Merge patch of labels, annotations or finalizers; `null` removes a key. With a resourceVersion it is
   * compare-and-set.
   */
  patchMetadata<T extends KubeObject>(
    type: ResourceType<T>,
    target: MetadataTarget,
    change: MetadataChange,
    options?: WriteOptions,
  ): Promise<T>;

  /**
   * JSON merge patch (RFC 7386) of a whole object. With `metadata.resourceVersion` in the patch it is compare-and-set
   * (409).
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
  /** The name that is recorded in managedFields. Absent: the client's own name. */
  readonly fieldManager?: string;
};

export type PatchOptions = WriteOptions & {
  /** True: a field that the server does not know is an error (400). Otherwise the server drops the field. */
  readonly strict?: boolean;
};

export type ApplyOptions = CallOptions & {
  readonly fieldManager: string;
  /** Takes over fields that other managers own. Without it, such a field is a conflict (409). */
  readonly force: boolean;
};

export type ListQuery = {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  /** The token from the previous page. It is never set together with resourceVersion. */
  readonly continue?: string;
  /** "0": the list is read from the server's cache. Absent: it is read from storage. */
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

/** An object as it was read. The write is refused if the object has changed since, or was deleted and created again. */
export type Versioned = Pick<KubeObject, 'metadata'>;

export type MetadataTarget = ObjectName & Pick<ObjectMeta, 'uid' | 'resourceVersion'>;

export type MetadataChange = {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
  /** The whole list, because a merge patch cannot add one item. Also pass a resourceVersion. */
  readonly finalizers?: readonly string[];
};

export type DeleteOptions = CallOptions & {
  /** Delete only the object with this uid (409 otherwise). */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Background is the default for every type that the operator owns; Foreground waits for dependents. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
};
