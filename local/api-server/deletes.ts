/**
 * Deletes objects: preconditions, finalizers, grace periods, and dependents.
 * Owns: the DELETE of every resource. An object with finalizers or a grace period is only marked with a deletion time.
 * It is removed when a client removes its last finalizer, or when the kubelet deletes it with a grace period of 0.
 */
import type { Clock } from '../../lib/clock.ts';
import type { StoredObject } from '../objects.ts';
import { copyOf, numberAt, recordIn, stringAt } from '../../lib/json.ts';
import type { ObjectDraft, Resource } from './resource.ts';
import { conflict, notFound, StatusError } from './status.ts';
import { storeKeyOf, type Store } from './store.ts';
import { toTime } from './times.ts';

export type Propagation = 'Background' | 'Foreground' | 'Orphan';

export type DeletionOptions = {
  readonly graceSeconds?: number | undefined;
  readonly propagation?: Propagation | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly dryRun?: boolean;
};

/**
 * The result of a deletion. `gone`: the object was removed from the store. `pending`: the object waits for its
 * finalizers or its grace period.
 */
export type Deletion = { readonly outcome: 'gone' | 'pending'; readonly object: StoredObject };

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

const defaultPodGraceSeconds = 30;

export type DeletesDeps = { readonly store: Store; readonly clock: Clock };

export class Deletes {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(deps: DeletesDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
  }

  /** @throws StatusError 404 NotFound, 409 Conflict when a precondition fails */
  delete(
    resource: Resource,
    key: { readonly namespace: string | undefined; readonly name: string },
    options: DeletionOptions = {},
  ): Deletion {
    const old = this.#store.get(resource.table, storeKeyOf(key.namespace, key.name));
    if (old === undefined) throw notFound(resource, key.name);
    checkPreconditions(resource, old, options);
    if (resource.table === 'namespaces') return this.#deleteNamespace(resource, old, options);
    const finalizers = finalizersFor(old, options.propagation);
    const graceSeconds = resource.table === 'pods' ? podGrace(old, options.graceSeconds) : 0;
    if (finalizers.length === 0 && graceSeconds === 0) return this.#remove(resource, old, options);
    return this.#mark(resource, old, { finalizers, graceSeconds, dryRun: options.dryRun === true });
  }

  /**
   * Removes an object after its last finalizer was removed.
   * @param last the last state of the object
   */
  finish(resource: Resource, last: StoredObject): void {
    this.#store.remove(resource.table, storeKeyOf(last.metadata.namespace, last.metadata.name), last);
  }

  #remove(resource: Resource, old: StoredObject, options: DeletionOptions): Deletion {
    if (options.dryRun === true) return { outcome: 'gone', object: old };
    // Add a deletion time even to a pod that is removed at once, because watchers of pods expect one.
    const last = resource.table === 'pods' ? this.#marked(old, { finalizers: [], graceSeconds: 0 }) : undefined;
    const gone = this.#store.remove(resource.table, storeKeyOf(old.metadata.namespace, old.metadata.name), last);
    return { outcome: 'gone', object: gone ?? old };
  }

  #mark(
    resource: Resource,
    old: StoredObject,
    mark: { finalizers: readonly string[]; graceSeconds: number; dryRun: boolean },
  ): Deletion {
    const { deletionGracePeriodSeconds: before = Infinity, deletionTimestamp, finalizers: had = [] } = old.metadata;
    const isNews = deletionTimestamp === undefined || mark.graceSeconds < before;
    if (!isNews && mark.finalizers.length === had.length) return { outcome: 'pending', object: old };
    const object = this.#marked(old, mark);
    return { outcome: 'pending', object: mark.dryRun ? object : this.#store.put(resource.table, object) };
  }

  /** The object with its deletion time. A grace period replaces an earlier grace period only if it is shorter. */
  #marked(old: StoredObject, mark: { finalizers: readonly string[]; graceSeconds: number }): StoredObject {
    const { deletionGracePeriodSeconds: before = Infinity, deletionTimestamp, generation } = old.metadata;
    const isNews = deletionTimestamp === undefined || mark.graceSeconds < before;
    const draft = copyOf(old) as unknown as ObjectDraft;
    draft.metadata['finalizers'] = mark.finalizers;
    if (mark.finalizers.length === 0) delete draft.metadata['finalizers'];
    if (isNews) {
      draft.metadata['deletionTimestamp'] = toTime(this.#clock.now() + mark.graceSeconds * 1000);
      draft.metadata['deletionGracePeriodSeconds'] = mark.graceSeconds;
      if (generation !== undefined) draft.metadata['generation'] = generation + 1;
    }
    return draft as unknown as StoredObject;
  }

  #deleteNamespace(resource: Resource, old: StoredObject, options: DeletionOptions): Deletion {
    const name = old.metadata.name;
    if (name === 'default' || name === 'kube-system' || name === 'kube-public') {
      throw new StatusError(403, 'Forbidden', `namespaces "${name}" is forbidden: this namespace may not be deleted`, {
        name,
        kind: 'namespaces',
      });
    }
    if (old.metadata.deletionTimestamp !== undefined) {
      throw conflict(
        resource,
        name,
        'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will ' +
          'automatically be purged by the system.',
      );
    }
    const draft = copyOf(old) as unknown as ObjectDraft;
    draft.metadata['deletionTimestamp'] = toTime(this.#clock.now());
    recordIn(draft, 'status')['phase'] = 'Terminating';
    const object = draft as unknown as StoredObject;
    return { outcome: 'pending', object: options.dryRun === true ? object : this.#store.put(resource.table, object) };
  }
}

function checkPreconditions(resource: Resource, old: StoredObject, options: DeletionOptions): void {
  const { name, uid, resourceVersion } = old.metadata;
  const byKind = { ...resource, plural: resource.kind };
  if (options.uid !== undefined && options.uid !== uid) {
    throw conflict(
      byKind,
      name,
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The object might ` +
        'have been deleted and then recreated',
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    throw conflict(
      byKind,
      name,
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in ` +
        `record (${resourceVersion}). The object might have been modified`,
    );
  }
}

/**
 * The finalizers for the requested propagation policy. When the request does not name a policy, the object's finalizers
 * are returned.
 */
function finalizersFor(old: StoredObject, propagation: Propagation | undefined): readonly string[] {
  const now = old.metadata.finalizers ?? [];
  if (propagation === undefined) return now;
  const others = now.filter((name) => name !== foregroundFinalizer && name !== orphanFinalizer);
  switch (propagation) {
    case 'Background':
      return others;
    case 'Foreground':
      return [...others, foregroundFinalizer];
    case 'Orphan':
      return [...others, orphanFinalizer];
  }
}

/** The grace period of a pod in seconds. It is 0 for a pod without a node and for a pod that has ended. */
function podGrace(pod: StoredObject, asked: number | undefined): number {
  const phase = stringAt(pod, 'status', 'phase');
  if (stringAt(pod, 'spec', 'nodeName') === undefined || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = numberAt(pod, 'spec', 'terminationGracePeriodSeconds') ?? defaultPodGraceSeconds;
  return Math.max(0, Math.floor(asked ?? pod.metadata.deletionGracePeriodSeconds ?? own));
}
