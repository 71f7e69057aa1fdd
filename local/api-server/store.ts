/**
 * What is stored: every object of every resource, one revision for all of them, and the recent past.
 *
 * Owns:   the revision (which is every resourceVersion), the tables, and per table a ring of its last events.
 * Rule:   every write is one synchronous step; nothing here validates. Objects are frozen.
 * Limits: a table remembers `ringSize` events. A watcher that asks for older ones is told `expired`.
 * Events: handlers run in a microtask after the write, in the order of writes, never inside one.
 */
import { freeze, type JsonRecord } from '../../lib/json.ts';
import type { KubeObject } from '../objects.ts';

export type Change = {
  readonly revision: number;
  readonly table: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** Of a DELETED: the last state, with the revision of its end. */
  readonly object: KubeObject;
  /** What was stored before: selectors need it to see an object enter or leave. */
  readonly previous: KubeObject | undefined;
};

export type ChangeHandler = (change: Change) => void;

export type StoreSnapshot = { readonly revision: number; readonly tables: ReadonlyMap<string, readonly KubeObject[]> };

type Watcher = { readonly table: string | undefined; readonly since: number; readonly handler: ChangeHandler };

const defaultRingSize = 2_000;

/** The key of an object within its table. Sorting by it gives the order of lists: namespace, then name. */
export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

export class Store {
  #revision: number;
  readonly #tables = new Map<string, Map<string, KubeObject>>();
  readonly #rings = new Map<string, Change[]>();
  readonly #ringSize: number;
  /** The newest revision whose events are forgotten, for all tables and per table. */
  #floor: number;
  readonly #floors = new Map<string, number>();
  readonly #watchers = new Set<Watcher>();
  readonly #pending: Change[] = [];
  #flushing = false;
  readonly #listeners: ChangeHandler[] = [];

  /** @param loaded the state of an earlier life; revisions go on from its */
  constructor(options: { readonly ringSize?: number; readonly loaded?: StoreSnapshot } = {}) {
    this.#ringSize = options.ringSize ?? defaultRingSize;
    this.#revision = options.loaded?.revision ?? 1;
    this.#floor = this.#revision;
    for (const [table, objects] of options.loaded?.tables ?? []) {
      const rows = new Map<string, KubeObject>();
      for (const object of objects) rows.set(keyOf(object.metadata.namespace, object.metadata.name), freeze(object));
      this.#tables.set(table, rows);
    }
  }

  /** Tells of every write within the write itself. The listener must not write. For the journal and the catalogue. */
  onWrite(listener: ChangeHandler): void {
    this.#listeners.push(listener);
  }

  get revision(): number {
    return this.#revision;
  }

  get(table: string, key: string): KubeObject | undefined {
    return this.#tables.get(table)?.get(key);
  }

  /** In order of namespace and name. @param namespace absent means all */
  list(table: string, namespace?: string): KubeObject[] {
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

  /** Stores the object under its own namespace and name, with the next revision. @returns what is stored, frozen */
  put(table: string, object: KubeObject): KubeObject {
    const rows = this.#rowsOf(table);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
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

  /** Takes the object away. @param last what watchers are shown of it; absent: as it was stored */
  remove(table: string, key: string, last?: KubeObject): KubeObject | undefined {
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
  changesSince(table: string, revision: number): readonly Change[] {
    return (this.#rings.get(table) ?? []).filter((change) => change.revision > revision);
  }

  /** From here on the table has a past; before it there was no such resource to watch. */
  begin(table: string): void {
    this.#floors.set(table, this.#revision);
  }

  /** Forgets all events, as a compaction of etcd does: whoever resumes an older watch has to list again. */
  forget(): void {
    this.#floor = this.#revision;
    this.#rings.clear();
  }

  /** @param table absent: all of them. @returns ends it */
  watch(table: string | undefined, handler: ChangeHandler): () => void {
    const watcher: Watcher = { table, since: this.#revision, handler };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #rowsOf(table: string): Map<string, KubeObject> {
    const found = this.#tables.get(table);
    if (found !== undefined) return found;
    const made = new Map<string, KubeObject>();
    this.#tables.set(table, made);
    return made;
  }

  #stamp(object: KubeObject): KubeObject {
    this.#revision += 1;
    const metadata: JsonRecord = { ...object.metadata, resourceVersion: String(this.#revision) };
    return freeze({ ...object, metadata } as unknown as KubeObject);
  }

  #record(change: Change): void {
    for (const listener of this.#listeners) listener(change);
    const ring = this.#rings.get(change.table) ?? [];
    this.#rings.set(change.table, ring);
    ring.push(change);
    // Trimmed by a quarter at a time, so that a long life of writes does not shift the array each time.
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
        // Newer than the event. (A set can be changed while it is walked: who left is not met, who came is newer.)
        if (watcher.since >= change.revision) continue;
        if (watcher.table === undefined || watcher.table === change.table) tell(watcher.handler, change);
      }
    }
    this.#flushing = false;
  }
}

/** A handler must not throw. One that does is a bug that shall be heard of, and the others shall hear of the change. */
function tell(handler: ChangeHandler, change: Change): void {
  try {
    handler(change);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
