/**
 * Reads and writes objects without HTTP, for the controllers and the kubelet in the process of this API server.
 * Owns: the field manager of these writes. It has no rules of its own: every write goes through the same code as an
 * HTTP request.
 */
import type { StoredObject, NewObject, ObjectRef, Objects, ResourcePath, ObjectChange } from '../objects.ts';
import type { Catalog } from './catalog.ts';
import type { Deletes } from './deletes.ts';
import { copyOf } from '../../lib/json.ts';
import { groupVersionOf, type ObjectDraft, type Resource, type Subresource } from './resource.ts';
import { StatusError, unknownPath } from './status.ts';
import { storeKeyOf, type Store } from './store.ts';
import { namespaceOf, type Writes } from './writes.ts';

export type DirectObjectsDeps = {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly writes: Writes;
  readonly deletes: Deletes;
};

export class DirectObjects implements Objects {
  readonly #deps: DirectObjectsDeps;
  readonly #manager: string;

  /** @param manager the name of the writer in managedFields */
  constructor(deps: DirectObjectsDeps, manager = 'onnx-local') {
    this.#deps = deps;
    this.#manager = manager;
  }

  get(ref: ObjectRef): StoredObject | undefined {
    const resource = this.#resource(ref);
    const stored = this.#deps.store.get(
      resource.table,
      storeKeyOf(resource.namespaced ? ref.namespace : undefined, ref.name),
    );
    return stored === undefined ? undefined : shown(resource, stored);
  }

  list(
    type: ResourcePath,
    filter: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } = {},
  ): readonly StoredObject[] {
    const resource = this.#resource(type);
    const wanted = Object.entries(filter.labels ?? {});
    return this.#deps.store
      .list(resource.table, filter.namespace)
      .filter((object) => wanted.every(([key, value]) => object.metadata.labels?.[key] === value))
      .map((object) => shown(resource, object));
  }

  create(type: ResourcePath, object: NewObject): StoredObject {
    const resource = this.#resource(type);
    return shown(
      resource,
      this.#deps.writes.create(resource, this.#draft(resource, object), { manager: this.#manager }),
    );
  }

  update(type: ResourcePath, object: StoredObject): StoredObject {
    return this.#replace(type, object, '');
  }

  updateStatus(type: ResourcePath, object: StoredObject): StoredObject {
    return this.#replace(type, object, 'status');
  }

  delete(
    ref: ObjectRef,
    options: { readonly graceSeconds?: number; readonly propagation?: 'Background' | 'Foreground' | 'Orphan' } = {},
  ): void {
    const resource = this.#resource(ref);
    try {
      this.#deps.deletes.delete(
        resource,
        { namespace: resource.namespaced ? ref.namespace : undefined, name: ref.name },
        options,
      );
    } catch (error) {
      if (!(error instanceof StatusError) || error.body.code !== 404) throw error;
    }
  }

  watch(type: ResourcePath, handler: (event: ObjectChange) => void): () => void {
    const resource = this.#resource(type);
    return this.#deps.store.watch(resource.table, (change) =>
      handler({ type: change.type, object: shown(resource, change.object) }),
    );
  }

  #replace(type: ResourcePath, object: StoredObject, subresource: Subresource): StoredObject {
    const resource = this.#resource(type);
    const draft = this.#draft(resource, object);
    const key = { namespace: namespaceOf(object), name: object.metadata.name };
    return shown(
      resource,
      this.#deps.writes.update(resource, key, () => draft, {
        manager: this.#manager,
        subresource,
        strictVersion: true,
      }),
    );
  }

  #draft(resource: Resource, object: NewObject): ObjectDraft {
    const draft = {
      ...copyOf(object),
      apiVersion: groupVersionOf(resource),
      kind: resource.kind,
    } as unknown as ObjectDraft;
    return resource.conversion?.stored(draft) ?? draft;
  }

  #resource(type: ResourcePath): Resource {
    const found = this.#deps.catalog.find(type.apiVersion, type.plural);
    if (found === undefined) throw unknownPath();
    return found;
  }
}

/** A stored object in the form of one version of its resource. */
export function shown(resource: Resource, stored: StoredObject): StoredObject {
  if (resource.conversion !== undefined) return resource.conversion.shown(stored);
  return resource.custom && stored.apiVersion !== groupVersionOf(resource)
    ? { ...stored, apiVersion: groupVersionOf(resource) }
    : stored;
}
