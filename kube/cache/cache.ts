/**
 * Holds the last known objects of one type, by key and by index, and notifies handlers of changes.
 * Owns: the objects, the indexes, and calling handlers. When a handler throws, the error is reported. The handler still
 * gets the next change, and other handlers and the cache are not affected.
 * Rule: objects are shared and must not be changed (`freeze` enforces this in tests). When an object was deleted and
 * created again under the same name, handlers get a deletion and an addition, even if the cache missed the event of the
 * deletion.
 */
import { keyOf, type KubeObject } from '../../api/kube-object.ts';

export type Change<T> =
  | { readonly kind: 'added'; readonly now: T }
  | { readonly kind: 'updated'; readonly before: T; readonly now: T }
  /** `before` is the last known state. The object may have changed between this state and its deletion. */
  | { readonly kind: 'deleted'; readonly before: T };

export type CacheHandler<T> = (change: Change<T>) => void;

/** The index values under which an object can be found. */
export type IndexBy<T> = (object: T) => readonly string[];

/** The read side of a cache. */
export interface Lister<T extends KubeObject> {
  /** @param key see {@link keyOf} */
  get(key: string): T | undefined;
  /** Every object, or every object of one namespace. The caller may change the returned array. */
  list(namespace?: string): T[];
  /** Objects for which the named index has this value. */
  byIndex(index: string, value: string): T[];
  readonly size: number;
}

export type CacheOptions<T> = {
  readonly indexes?: Readonly<Record<string, IndexBy<T>>>;
  /** Deep-freezes stored objects, so that an assignment to one of them throws a TypeError. */
  readonly freeze?: boolean;
  /** Called when a handler or an index function threw. */
  readonly onFault?: (where: string, error: unknown) => void;
};

type Index<T> = { readonly by: IndexBy<T>; readonly keys: Map<string, Set<string>> };

export class Cache<T extends KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #handlers = new Set<CacheHandler<T>>();
  readonly #options: CacheOptions<T>;

  constructor(options: CacheOptions<T> = {}) {
    this.#options = options;
    for (const [name, by] of Object.entries(options.indexes ?? {})) this.#indexes.set(name, { by, keys: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  byIndex(index: string, value: string): T[] {
    const found = this.#indexes.get(index);
    if (found === undefined) throw new Error(`no index '${index}'`);
    const objects: T[] = [];
    for (const key of found.keys.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) objects.push(object);
    }
    return objects;
  }

  /**
   * Calls the handler at once for every object in the cache, then for every change.
   * @returns a function that unsubscribes the handler
   */
  subscribe(handler: CacheHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const now of this.#objects.values()) this.#tell(handler, { kind: 'added', now });
    return () => this.#handlers.delete(handler);
  }

  /** Stores an object that was added or changed. */
  put(object: T): void {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    if (before !== undefined && before.metadata.uid === object.metadata.uid) {
      // Ignore a state that is known already. It can come again after a relist, or at the start of a watch that
      // overlaps with the list.
      if (before.metadata.resourceVersion === object.metadata.resourceVersion) return;
      this.#forget(key, before);
      this.#remember(key, object);
      this.#tellAll({ kind: 'updated', before, now: object });
      return;
    }
    if (before !== undefined) this.remove(before);
    this.#remember(key, object);
    this.#tellAll({ kind: 'added', now: object });
  }

  /** Removes an object that was deleted or is not wanted any more. */
  remove(object: T): void {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    if (before === undefined) return;
    this.#forget(key, before);
    this.#tellAll({ kind: 'deleted', before });
  }

  /** Replaces all objects. Handlers get the changes from the old objects to the new ones, deletions first. */
  replace(objects: readonly T[]): void {
    const keys = new Set(objects.map((object) => keyOf(object.metadata)));
    for (const [key, before] of this.#objects) if (!keys.has(key)) this.remove(before);
    for (const object of objects) this.put(object);
  }

  #remember(key: string, object: T): void {
    if (this.#options.freeze === true) deepFreeze(object);
    this.#objects.set(key, object);
    for (const [name, index] of this.#indexes) {
      for (const value of this.#valuesOf(name, index, object)) {
        const keys = index.keys.get(value) ?? new Set();
        keys.add(key);
        index.keys.set(value, keys);
      }
    }
  }

  #forget(key: string, object: T): void {
    this.#objects.delete(key);
    for (const [name, index] of this.#indexes) {
      for (const value of this.#valuesOf(name, index, object)) {
        const keys = index.keys.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index.keys.delete(value);
      }
    }
  }

  #valuesOf(name: string, index: Index<T>, object: T): readonly string[] {
    try {
      return index.by(object);
    } catch (error) {
      this.#options.onFault?.(`index ${name}`, error);
      return [];
    }
  }

  #tellAll(change: Change<T>): void {
    for (const handler of this.#handlers) this.#tell(handler, change);
  }

  #tell(handler: CacheHandler<T>, change: Change<T>): void {
    try {
      handler(change);
    } catch (error) {
      this.#options.onFault?.('handler', error);
    }
  }
}

/** Deep-freezes plain JSON. */
export function deepFreeze<V>(value: V): V {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}
