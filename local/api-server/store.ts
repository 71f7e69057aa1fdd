/**
 * Stores every object of every resource, and the latest changes. All resources share one revision counter.
 * Owns: the revision, which objects have as their resourceVersion; a table of objects for each resource; and for each
 * table a ring of its last changes, which watchers get as events.
 * Rule: a write is one synchronous step without validation. Objects are frozen. Handlers run in a microtask after the
 * write, in the order of writes.
 * Limits: a table remembers at least its last `ringSize` events. A watcher that asks for forgotten events gets
 * `expired`.
 */
import { freeze, type JsonRecord } from '../../lib/json.ts';
import type { StoredObject } from '../objects.ts';

export type StoreChange = {
  readonly revision: number;
  readonly table: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object after the change. For DELETED, the last state of the object, with the revision of the deletion. */
  readonly object: StoredObject;
  /** The object before the change. Selectors need it to detect that an object starts or stops matching. */
  readonly previous: StoredObject | undefined;
};

export type ChangeHandler = (change: StoreChange) => void;

export type StoreSnapshot = {
  readonly revision: number;
  readonly tables: ReadonlyMap<string, readonly StoredObject[]>;
};

type Watcher = { readonly table: string | undefined; readonly since: number; readonly handler: ChangeHandler };

const defaultRingSize = 2_000;

/**
 * The key of an object within its table. Lists are sorted by this text, as on kube-apiserver: `a-b/x` comes before
 * `a/x`.
 */
export function storeKeyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

export class Store {
  #revision: number;
  readonly #tables = new Map<string, Map<string, StoredObject>>();
  readonly #rings = new Map<string, StoreChange[]>();
  readonly #ringSize: number;
  /** In all tables, the events up to this revision are forgotten. */
  #floor: number;
  /** For each table, the revision up to which its events are forgotten. */
  readonly #floors = new Map<string, number>();
  readonly #watchers = new Set<Watcher>();
  readonly #pending: StoreChange[] = [];
  #flushing = false;
  readonly #listeners: ChangeHandler[] = [];

  /** @param loaded the state of an earlier process, whose revisions continue */
  constructor(options: { readonly ringSize?: number; readonly loaded?: StoreSnapshot } = {}) {
    this.#ringSize = options.ringSize ?? defaultRingSize;
    this.#revision = options.loaded?.revision ?? 1;
    this.#floor = this.#revision;
    for (const [table, objects] of options.loaded?.tables ?? []) {
      const rows = new Map<string, StoredObject>();
      for (const object of objects)
        rows.set(storeKeyOf(object.metadata.namespace, object.metadata.name), freeze(object));
      this.#tables.set(table, rows);
    }
  }

  /** Calls the listener inside every write; the journal and the catalogue need this. The listener must not write. */
  onWrite(listener: ChangeHandler): void {
    this.#listeners.push(listener);
  }

  get revision(): number {
    return this.#revision;
  }

  get(table: string, key: string): StoredObject | undefined {
    return this.#tables.get(table)?.get(key);
  }

  /** The objects of a table, sorted by namespace and name. @param namespace absent: all namespaces */
  list(table: string, namespace?: string): StoredObject[] {
    const rows = this.#tables.get(table);
    if (rows === undefined) return [];
    const all = [...rows.entries()].filter(([key]) => namespace === undefined || key.startsWith(`${namespace}/`));
    return all.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  tables(): readonly string[] {
    return [...this.#tables.keys()];
  }

  snapshot(): StoreSnapshot {
    return {
      revision: this.#revision,
      tables: new Map([...this.#tables].map(([table, rows]) => [table, [...rows.values()]])),
    };
  }

  /**
   * Stores the object under its own namespace and name, with the next revision.
   * @returns the stored object, frozen
   */
  put(table: string, object: StoredObject): StoredObject {
    const rows = this.#rowsOf(table);
    const key = storeKeyOf(object.metadata.namespace, object.metadata.name);
    const previous = rows.get(key);
    const stored = this.#stamp(object);
    rows.set(key, stored);
    this.#record({
      revision: this.#revision,
      table,
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      object: stored,
      previous,
    });
    return stored;
  }

  /** Removes the object. @param last the state that watchers get; absent: the stored state */
  remove(table: string, key: string, last?: StoredObject): StoredObject | undefined {
    const previous = this.#tables.get(table)?.get(key);
    if (previous === undefined) return undefined;
    this.#tables.get(table)?.delete(key);
    const gone = this.#stamp(last ?? previous);
    this.#record({ revision: this.#revision, table, type: 'DELETED', object: gone, previous });
    return gone;
  }

  /** Whether every event after `revision` is still remembered. */
  remembers(table: string, revision: number): boolean {
    return revision >= Math.max(this.#floor, this.#floors.get(table) ?? 0);
  }

  /** The remembered events of a table after `revision`, oldest first. */
  changesSince(table: string, revision: number): readonly StoreChange[] {
    return (this.#rings.get(table) ?? []).filter((change) => change.revision > revision);
  }

  /** Starts the history of a table at the current revision. The resource did not exist before this revision. */
  begin(table: string): void {
    this.#floors.set(table, this.#revision);
  }

  /** Forgets all events, as a compaction of etcd does. A client that resumes an older watch then has to list again. */
  forget(): void {
    this.#floor = this.#revision;
    this.#rings.clear();
  }

  /** Calls the handler after every change. @param table absent: all tables @returns a function that unsubscribes */
  watch(table: string | undefined, handler: ChangeHandler): () => void {
    const watcher: Watcher = { table, since: this.#revision, handler };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #rowsOf(table: string): Map<string, StoredObject> {
    const found = this.#tables.get(table);
    if (found !== undefined) return found;
    const made = new Map<string, StoredObject>();
    this.#tables.set(table, made);
    return made;
  }

  #stamp(object: StoredObject): StoredObject {
    this.#revision += 1;
    const metadata: JsonRecord = { ...object.metadata, resourceVersion: String(this.#revision) };
    return freeze({ ...object, metadata } as unknown as StoredObject);
  }

  #record(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
    const ring = this.#rings.get(change.table) ?? [];
    this.#rings.set(change.table, ring);
    ring.push(change);
    // Remove a quarter of the ring at a time, so that the array is not shifted on each write.
    if (ring.length > this.#ringSize * 1.25) {
      const dropped = ring.splice(0, ring.length - this.#ringSize);
      this.#floors.set(change.table, dropped.at(-1)?.revision ?? 0);
    }
    this.#pending.push(change);
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
  }

  #flush(): void {
    for (let change = this.#pending.shift(); change !== undefined; change = this.#pending.shift()) {
      for (const watcher of this.#watchers) {
        // Skip a watcher that subscribed after the event. (Iteration over a Set skips watchers that a handler removes,
        // and visits watchers that it adds.)
        if (watcher.since >= change.revision) continue;
        if (watcher.table === undefined || watcher.table === change.table) tell(watcher.handler, change);
      }
    }
    this.#flushing = false;
  }
}

/**
 * Calls a handler, which must not throw. When it does throw, the error becomes an uncaught exception of the process.
 * The other handlers get the change before that.
 */
function tell(handler: ChangeHandler, change: StoreChange): void {
  try {
    handler(change);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
