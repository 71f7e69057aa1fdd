/**
 * Garbage collection: deletes objects whose owners do not exist any more, and empties namespaces that are being
 * deleted.
 * Owns: owner references by uid, foreground and orphan deletion, and deleting a namespace when it is empty. On a real
 * cluster the controller manager does this; here it runs directly after every write.
 * Rule: a change triggers a step. Each step reads the stored objects again, so a repeated or late step is harmless.
 */
import type { OwnerReference } from '../../api/kube-object.ts';
import type { Logger } from '../../lib/log.ts';
import type { StoredObject } from '../objects.ts';
import type { Catalog } from './catalog.ts';
import { foregroundFinalizer, orphanFinalizer, type Deletes } from './deletes.ts';
import { copyOf } from '../../lib/json.ts';
import type { ObjectDraft, Resource } from './resource.ts';
import { StatusError } from './status.ts';
import { storeKeyOf, type StoreChange, type Store } from './store.ts';
import type { Writes } from './writes.ts';

type Place = { readonly table: string; readonly key: string };

const manager = 'kube-controller-manager';

export type GarbageCollectorDeps = {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly writes: Writes;
  readonly deletes: Deletes;
  readonly logger: Logger;
};

export class GarbageCollector {
  readonly #deps: GarbageCollectorDeps;
  readonly #placeOfUid = new Map<string, Place>();
  readonly #dependentsOfUid = new Map<string, Set<string>>();

  constructor(deps: GarbageCollectorDeps) {
    this.#deps = deps;
  }

  /**
   * Finishes the work that an earlier process left unfinished, then follows changes. @returns a function that stops the
   * collector
   */
  start(): () => void {
    const { store } = this.#deps;
    const all = store.tables().flatMap((table) => store.list(table).map((object) => ({ table, object })));
    for (const { table, object } of all) this.#index(table, undefined, object);
    const end = store.watch(undefined, (change) => this.#follow(change));
    for (const { table, object } of all) this.#look(table, object);
    return end;
  }

  #follow(change: StoreChange): void {
    const { table, type, object, previous } = change;
    this.#index(table, previous, type === 'DELETED' ? undefined : object);
    try {
      if (type === 'DELETED') this.#afterDeletion(object);
      else this.#look(table, object);
    } catch (err) {
      // An error with one object must not stop the collection of the other objects.
      this.#deps.logger.error('garbage collection failed', { err, table, name: object.metadata.name });
    }
  }

  #index(table: string, before: StoredObject | undefined, now: StoredObject | undefined): void {
    if (before !== undefined) {
      for (const owner of ownersOf(before)) this.#dependentsOfUid.get(owner.uid)?.delete(idOf(table, before));
      this.#placeOfUid.delete(before.metadata.uid);
    }
    if (now === undefined) return;
    this.#placeOfUid.set(now.metadata.uid, { table, key: storeKeyOf(now.metadata.namespace, now.metadata.name) });
    for (const owner of ownersOf(now)) {
      const dependents = this.#dependentsOfUid.get(owner.uid) ?? new Set();
      this.#dependentsOfUid.set(owner.uid, dependents.add(idOf(table, now)));
    }
  }

  #look(table: string, object: StoredObject): void {
    if (table === 'namespaces') this.#keepNamespace(object);
    const finalizers = object.metadata.finalizers ?? [];
    if (object.metadata.deletionTimestamp !== undefined && finalizers.includes(foregroundFinalizer))
      this.#endInForeground(table, object);
    if (object.metadata.deletionTimestamp !== undefined && finalizers.includes(orphanFinalizer))
      this.#orphan(table, object);
    if ((object.metadata.ownerReferences ?? []).length > 0) this.#settle(table, object);
  }

  #afterDeletion(gone: StoredObject): void {
    for (const { table, object } of this.#dependents(gone.metadata.uid)) this.#settle(table, object);
    this.#dependentsOfUid.delete(gone.metadata.uid);
    for (const owner of gone.metadata.ownerReferences ?? []) {
      const found = this.#stored(this.#placeOfUid.get(owner.uid));
      if (found?.object.metadata.finalizers?.includes(foregroundFinalizer) === true)
        this.#endInForeground(found.table, found.object);
    }
    const namespace = gone.metadata.namespace;
    if (namespace === undefined) return;
    if (this.#deps.store.get('namespaces', storeKeyOf(undefined, namespace))?.metadata.deletionTimestamp !== undefined)
      this.#sweep(namespace);
  }

  /** Creates the default service account in a namespace, and empties a namespace that is being deleted. */
  #keepNamespace(namespace: StoredObject): void {
    const { name, deletionTimestamp } = namespace.metadata;
    if (deletionTimestamp !== undefined) this.#sweep(name);
    else if (this.#deps.store.get('serviceaccounts', storeKeyOf(name, 'default')) === undefined)
      this.#createServiceAccount(name);
  }

  #createServiceAccount(namespace: string): void {
    const resource = this.#resource('serviceaccounts');
    if (resource === undefined) return;
    ignoreMissing(() =>
      this.#deps.writes.create(
        resource,
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } },
        { manager },
      ),
    );
  }

  /**
   * Deletes an object when none of its owners exists. When some owners exist, removes only the references to the
   * deleted owners.
   */
  #settle(table: string, object: StoredObject): void {
    const owners = object.metadata.ownerReferences ?? [];
    const living = owners.filter((owner) => this.#isThere(owner, object));
    if (living.length === owners.length || object.metadata.deletionTimestamp !== undefined) return;
    if (living.length === 0) this.#delete(table, object);
    else this.#rewrite(table, object, (draft) => void (draft.metadata['ownerReferences'] = copyOf(living)));
  }

  /** Whether an owner exists. An owner reference to another namespace is invalid, so its owner does not count. */
  #isThere(owner: OwnerReference, dependent: StoredObject): boolean {
    const found = this.#stored(this.#placeOfUid.get(owner.uid))?.object;
    return (
      found !== undefined &&
      (found.metadata.namespace === undefined || found.metadata.namespace === dependent.metadata.namespace)
    );
  }

  #endInForeground(table: string, owner: StoredObject): void {
    for (const dependent of this.#dependents(owner.metadata.uid)) {
      const others = (dependent.object.metadata.ownerReferences ?? []).filter(
        (one) => one.uid !== owner.metadata.uid && this.#isThere(one, dependent.object),
      );
      if (dependent.object.metadata.deletionTimestamp !== undefined) continue;
      if (others.length > 0)
        this.#rewrite(
          dependent.table,
          dependent.object,
          (draft) => void (draft.metadata['ownerReferences'] = copyOf(others)),
        );
      else this.#delete(dependent.table, dependent.object, this.#dependents(dependent.object.metadata.uid).length > 0);
    }
    const blocking = this.#dependents(owner.metadata.uid).some(({ object }) =>
      object.metadata.ownerReferences?.some((one) => one.uid === owner.metadata.uid && one.blockOwnerDeletion === true),
    );
    if (!blocking) this.#dropFinalizer(table, owner, foregroundFinalizer);
  }

  #orphan(table: string, owner: StoredObject): void {
    for (const { table: of, object } of this.#dependents(owner.metadata.uid)) {
      const others = (object.metadata.ownerReferences ?? []).filter((one) => one.uid !== owner.metadata.uid);
      this.#rewrite(of, object, (draft) => void (draft.metadata['ownerReferences'] = copyOf(others)));
    }
    this.#dropFinalizer(table, owner, orphanFinalizer);
  }

  #dropFinalizer(table: string, object: StoredObject, finalizer: string): void {
    this.#rewrite(table, object, (draft) => {
      draft.metadata['finalizers'] = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
  }

  /** Deletes the objects of a namespace; when the namespace is empty, deletes it. */
  #sweep(namespace: string): void {
    const { store, catalog } = this.#deps;
    const tables = catalog.tables().filter((resource) => resource.namespaced);
    for (const resource of tables) {
      for (const object of store.list(resource.table, namespace))
        if (object.metadata.deletionTimestamp === undefined) this.#delete(resource.table, object);
    }
    if (tables.some((resource) => store.list(resource.table, namespace).length > 0)) return;
    const found = store.get('namespaces', storeKeyOf(undefined, namespace));
    if (found !== undefined && (found.metadata.finalizers ?? []).length === 0)
      store.remove('namespaces', storeKeyOf(undefined, namespace));
  }

  #dependents(uid: string): readonly { readonly table: string; readonly object: StoredObject }[] {
    return [...(this.#dependentsOfUid.get(uid) ?? [])].flatMap((id) => {
      const [table = '', key = ''] = JSON.parse(id) as string[];
      return this.#stored({ table, key }) ?? [];
    });
  }

  #stored(place: Place | undefined): { readonly table: string; readonly object: StoredObject } | undefined {
    const object = place === undefined ? undefined : this.#deps.store.get(place.table, place.key);
    return place === undefined || object === undefined ? undefined : { table: place.table, object };
  }

  #resource(table: string): Resource | undefined {
    return this.#deps.catalog.tables().find((resource) => resource.table === table);
  }

  #delete(table: string, object: StoredObject, inForeground = false): void {
    const resource = this.#resource(table);
    if (resource === undefined) return;
    const { uid, namespace, name } = object.metadata;
    ignoreMissing(() =>
      this.#deps.deletes.delete(
        resource,
        { namespace, name },
        { uid, propagation: inForeground ? 'Foreground' : 'Background' },
      ),
    );
  }

  #rewrite(table: string, object: StoredObject, change: (draft: ObjectDraft) => void): void {
    const resource = this.#resource(table);
    if (resource === undefined) return;
    const compute = (old: StoredObject): ObjectDraft => {
      const draft = copyOf(old) as unknown as ObjectDraft;
      change(draft);
      return draft;
    };
    ignoreMissing(() =>
      this.#deps.writes.update(resource, object.metadata as { namespace: string | undefined; name: string }, compute, {
        manager,
        strictVersion: false,
      }),
    );
  }
}

function ownersOf(object: StoredObject): readonly OwnerReference[] {
  return object.metadata.ownerReferences ?? [];
}

function idOf(table: string, object: StoredObject): string {
  return JSON.stringify([table, storeKeyOf(object.metadata.namespace, object.metadata.name)]);
}

/** Runs a step, and ignores its error when another request has deleted or changed the object already. */
function ignoreMissing(step: () => unknown): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof StatusError) || (error.body.code !== 404 && error.body.code !== 409)) throw error;
  }
}
