/**
 * A Kubernetes API in memory, behind the same port as the real one, for unit tests.
 * Owns: objects, one counter of versions, a history to watch, and faults that a test requests.
 * Limits: it supports optimistic locking, finalizers and uid preconditions; server-side apply replaces all fields
 * except the status and the fields that the server sets, and selectors compare labels for equality only.
 */
import { statusError } from '../../kube/client/kube-error.ts';
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListQuery,
  MetadataChange,
  MetadataTarget,
  Page,
  Versioned,
  WatchEvent,
  WatchQuery,
} from '../../kube/client/kube-client.ts';
import { keyOf, type KubeObject, type ObjectMeta, type ObjectName } from '../../api/kube-object.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';

type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'replace'
  | 'apply'
  | 'replaceStatus'
  | 'patchMetadata'
  | 'mergePatch'
  | 'delete';
type Entry = { readonly version: number; readonly event: WatchEvent<KubeObject> };
type Stored = KubeObject & { readonly status?: unknown };

export class MemoryKube implements KubeClient {
  /** Every write that reached the server, as `verb plural key`, including refused ones. */
  readonly writes: string[] = [];
  /** Calls of each verb, including failed ones. */
  readonly calls: Record<Verb, number> = {
    get: 0,
    list: 0,
    watch: 0,
    create: 0,
    replace: 0,
    apply: 0,
    replaceStatus: 0,
    patchMetadata: 0,
    mergePatch: 0,
    delete: 0,
  };
  readonly #objects = new Map<string, Map<string, Stored>>();
  readonly #history = new Map<string, Entry[]>();
  readonly #faults: { verb: Verb; times: number; act: () => unknown }[] = [];
  readonly #breakers = new Set<(error: Error | undefined) => void>();
  #version = 0;
  #oldest = 0;
  #wake = Promise.withResolvers<undefined>();

  /**
   * Makes the next calls of this verb fail with this error. If `error` is a function, it is called before the verb
   * runs: it may throw an error, delay the call by a promise, or change objects.
   */
  fail(verb: Verb, error: unknown, times = 1): void {
    this.#faults.push({
      verb,
      times,
      act:
        typeof error === 'function'
          ? (error as () => unknown)
          : () => {
              throw error;
            },
    });
  }

  /** Forgets the history: a watch from an older version gets 410. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history.clear();
  }

  /** Ends every open watch, with `error` if it is given. */
  breakWatches(error?: Error): void {
    for (const end of this.#breakers) end(error);
  }

  get openWatches(): number {
    return this.#breakers.size;
  }

  /** Sends a bookmark to every open watch of the type. */
  bookmark(type: ResourceType): void {
    this.#version += 1;
    this.#record(type, { type: 'BOOKMARK', resourceVersion: String(this.#version) });
  }

  async get<T extends KubeObject>(type: ResourceType<T>, name: ObjectName, options: CallOptions = {}): Promise<T> {
    await this.#enter('get', options);
    return this.#find(type, name) as T;
  }

  async list<T extends KubeObject>(
    type: ResourceType<T>,
    query: ListQuery,
    options: CallOptions = {},
  ): Promise<Page<T>> {
    await this.#enter('list', options);
    const all = [...this.#of(type).values()].filter((object) => selects(query, object));
    const from = Number(query.continue ?? 0);
    const to = query.limit === undefined ? all.length : from + query.limit;
    const items = structuredClone(all.slice(from, to)) as unknown as T[];
    return { items, resourceVersion: String(this.#version), ...(to < all.length ? { continue: String(to) } : {}) };
  }

  async *watch<T extends KubeObject>(
    type: ResourceType<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    await this.#enter('watch', { signal });
    const place = { at: Number(query.resourceVersion) };
    if (place.at < this.#oldest) throw gone();
    const broken = Promise.withResolvers<{ error: Error | undefined }>();
    const end = (error: Error | undefined): void => broken.resolve({ error });
    const onAbort = (): void => end(signal.reason as Error);
    this.#breakers.add(end);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      do yield* this.#eventsFrom<T>(type, query, place);
      while (await this.#somethingNew(broken.promise));
    } finally {
      this.#breakers.delete(end);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: CallOptions = {}): Promise<T> {
    await this.#enter('create', options, `${type.plural} ${keyOf(object.metadata)}`);
    if (this.#of(type).has(keyOf(object.metadata)))
      throw refusal(409, 'AlreadyExists', `${keyOf(object.metadata)} already exists`);
    return this.#store(type, object, 'ADDED') as T;
  }

  async replace<T extends KubeObject>(type: ResourceType<T>, object: T, options: CallOptions = {}): Promise<T> {
    await this.#enter('replace', options, `${type.plural} ${keyOf(object.metadata)}`);
    this.#check(this.#find(type, object.metadata), object.metadata);
    return this.#store(type, object, 'MODIFIED') as T;
  }

  async apply<T extends KubeObject>(type: ResourceType<T>, object: T, options: ApplyOptions): Promise<T> {
    await this.#enter('apply', options, `${type.plural} ${keyOf(object.metadata)}`);
    const before = this.#of(type).get(keyOf(object.metadata));
    const after: Stored = { ...object, ...(before?.status === undefined ? {} : { status: before.status }) };
    return this.#store(type, after, before === undefined ? 'ADDED' : 'MODIFIED') as T;
  }

  async replaceStatus<T extends KubeObject>(
    type: ResourceType<T>,
    target: Versioned,
    status: unknown,
    options: CallOptions = {},
  ): Promise<T> {
    await this.#enter('replaceStatus', options, `${type.plural} ${keyOf(target.metadata)}`);
    const before = this.#find(type, target.metadata);
    this.#check(before, target.metadata);
    return this.#store(type, { ...before, status } as Stored, 'MODIFIED') as unknown as T;
  }

  async patchMetadata<T extends KubeObject>(
    type: ResourceType<T>,
    target: MetadataTarget,
    change: MetadataChange,
    options: CallOptions = {},
  ): Promise<T> {
    await this.#enter('patchMetadata', options, `${type.plural} ${keyOf(target)}`);
    const before = this.#find(type, target);
    this.#check(before, target);
    const metadata = {
      ...before.metadata,
      ...(change.labels === undefined ? {} : { labels: merged(before.metadata.labels, change.labels) }),
      ...(change.annotations === undefined
        ? {}
        : { annotations: merged(before.metadata.annotations, change.annotations) }),
      ...(change.finalizers === undefined ? {} : { finalizers: change.finalizers }),
    };
    const ends = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    return this.#store(type, { ...before, metadata }, ends ? 'DELETED' : 'MODIFIED') as unknown as T;
  }

  async mergePatch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<T> {
    await this.#enter('mergePatch', options, `${type.plural} ${keyOf(name)}`);
    const before = this.#find(type, name);
    this.#check(before, (patch['metadata'] ?? {}) as Partial<ObjectMeta>);
    return this.#store(type, applyMergePatch(before, patch) as KubeObject, 'MODIFIED') as unknown as T;
  }

  async delete(type: ResourceType, name: ObjectName, options: DeleteOptions = {}): Promise<boolean> {
    await this.#enter('delete', options, `${type.plural} ${keyOf(name)}`);
    const before = this.#find(type, name);
    this.#check(before, options);
    const held = (before.metadata.finalizers ?? []).length > 0;
    const marked = { ...before, metadata: { ...before.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    this.#store(type, held ? marked : before, held ? 'MODIFIED' : 'DELETED');
    return !held;
  }

  /** Writes an object directly, without the faults that the test has requested. */
  put<T extends KubeObject>(type: ResourceType<T>, object: T): T {
    return this.#store(type, object, this.#of(type).has(keyOf(object.metadata)) ? 'MODIFIED' : 'ADDED') as T;
  }

  #of(type: ResourceType): Map<string, Stored> {
    const found = this.#objects.get(type.plural) ?? new Map<string, Stored>();
    this.#objects.set(type.plural, found);
    return found;
  }

  #find(type: ResourceType, name: ObjectName): Stored {
    const found = this.#of(type).get(keyOf(name));
    if (found === undefined) throw refusal(404, 'NotFound', `${type.plural} "${name.name}" not found`);
    return structuredClone(found);
  }

  #check(before: Stored, want: { readonly uid?: string; readonly resourceVersion?: string }): void {
    const { uid, resourceVersion } = before.metadata;
    const moved = want.resourceVersion !== undefined && want.resourceVersion !== resourceVersion;
    if (moved || (want.uid !== undefined && want.uid !== uid))
      throw refusal(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest version and try again',
      );
  }

  #store(type: ResourceType, object: KubeObject, event: 'ADDED' | 'MODIFIED' | 'DELETED'): KubeObject {
    const key = keyOf(object.metadata);
    const before = this.#of(type).get(key);
    this.#version += 1;
    const uid = before?.metadata.uid ?? object.metadata.uid ?? `uid-${this.#version}`;
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, uid, resourceVersion: String(this.#version) },
    });
    if (event === 'DELETED') this.#of(type).delete(key);
    else this.#of(type).set(key, stored);
    this.#record(type, { type: event, object: stored });
    return structuredClone(stored);
  }

  #record(type: ResourceType, event: WatchEvent<KubeObject>): void {
    const entries = this.#history.get(type.plural) ?? [];
    entries.push({ version: this.#version, event });
    this.#history.set(type.plural, entries);
    this.#wake.resolve(undefined);
    this.#wake = Promise.withResolvers();
  }

  *#eventsFrom<T extends KubeObject>(
    type: ResourceType<T>,
    query: WatchQuery,
    place: { at: number },
  ): Generator<WatchEvent<T>> {
    for (let next = this.#after(type, place.at); next !== undefined; next = this.#after(type, place.at)) {
      place.at = next.version;
      if (next.event.type === 'BOOKMARK' || selects(query, next.event.object))
        yield structuredClone(next.event) as WatchEvent<T>;
    }
  }

  #after(type: ResourceType, version: number): Entry | undefined {
    return this.#history.get(type.plural)?.find((entry) => entry.version > version);
  }

  /**
   * Resolves with true when events are available and with false when the watch is over. Throws the error with which the
   * test breaks the watch.
   */
  async #somethingNew(broken: Promise<{ error: Error | undefined }>): Promise<boolean> {
    const outcome = await Promise.race([this.#wake.promise, broken]);
    if (outcome?.error !== undefined) throw outcome.error;
    return outcome === undefined;
  }

  async #enter(verb: Verb, options: CallOptions, write?: string): Promise<void> {
    this.calls[verb] += 1;
    if (write !== undefined) this.writes.push(`${verb} ${write}`);
    options.signal?.throwIfAborted();
    const fault = this.#faults.find((one) => one.verb === verb && one.times > 0);
    if (fault === undefined) return;
    fault.times -= 1;
    await fault.act();
    options.signal?.throwIfAborted();
  }
}

/** Applies a JSON merge patch (RFC 7386). */
function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else out[name] = applyMergePatch(out[name], value);
  }
  return out;
}

export function refusal(status: number, reason: string, message: string, afterMs?: number): Error {
  return statusError({ status, reason, message, ...(afterMs === undefined ? {} : { afterMs }) });
}

export function gone(): Error {
  return refusal(410, 'Expired', 'too old resource version');
}

function selects(
  query: { readonly namespace?: string; readonly labelSelector?: string },
  { metadata }: KubeObject,
): boolean {
  if (query.namespace !== undefined && query.namespace !== metadata.namespace) return false;
  return (query.labelSelector ?? '')
    .split(',')
    .filter(Boolean)
    .every((term) => {
      const [key = '', value] = term.split('=');
      return metadata.labels?.[key] === value;
    });
}

function merged(
  before: Readonly<Record<string, string>> = {},
  change: Readonly<Record<string, string | null>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...before, ...change }).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}
