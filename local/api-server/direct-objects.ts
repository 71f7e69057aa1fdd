/**
 * Reads and writes objects without HTTP, for local mode's own controllers and the kubelet.
 * Owns: no rules of its own: every write goes through the same code as an HTTP request, under the field manager that it
 * is created with.
 */
import type { KubeObject, NewObject, ObjectRef, Objects, ResourceType, WatchEvent } from '../objects.ts';
import type { Catalog } from './catalog.ts';
import type { Deletes } from './deletes.ts';
import { copyOf } from '../../lib/json.ts';
import { apiVersionOf, type Draft, type Resource, type Subresource } from './resource.ts';
import { StatusError, unknownPath } from './status.ts';
import { keyOf, type Store } from './store.ts';
import { namespaceOf, type Writes } from './writes.ts';

export class DirectObjects implements Objects {
  readonly #parts: {
    readonly store: Store;
    readonly catalog: Catalog;
    readonly writes: Writes;
    readonly deletes: Deletes;
  };
  readonly #manager: string;

  /** @param manager the name in managedFields of objects written through it */
  constructor(
    parts: { readonly store: Store; readonly catalog: Catalog; readonly writes: Writes; readonly deletes: Deletes },
    manager = 'onnx-local',
  ) {
    this.#parts = parts;
    this.#manager = manager;
  }

  get(ref: ObjectRef): KubeObject | undefined {
    const resource = this.#resource(ref);
    const stored = this.#parts.store.get(
      resource.table,
      keyOf(resource.namespaced ? ref.namespace : undefined, ref.name),
    );
    return stored === undefined ? undefined : shown(resource, stored);
  }

  list(
    type: ResourceType,
    filter: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } = {},
  ): readonly KubeObject[] {
    const resource = this.#resource(type);
    const wanted = Object.entries(filter.labels ?? {});
    return this.#parts.store
      .list(resource.table, filter.namespace)
      .filter((object) => wanted.every(([key, value]) => object.metadata.labels?.[key] === value))
      .map((object) => shown(resource, object));
  }

  create(type: ResourceType, object: NewObject): KubeObject {
    const resource = this.#resource(type);
    return shown(
      resource,
      this.#parts.writes.create(resource, this.#draft(resource, object), { manager: this.#manager }),
    );
  }

  update(type: ResourceType, object: KubeObject): KubeObject {
    return this.#replace(type, object, '');
  }

  updateStatus(type: ResourceType, object: KubeObject): KubeObject {
    return this.#replace(type, object, 'status');
  }

  delete(
    ref: ObjectRef,
    options: { readonly graceSeconds?: number; readonly propagation?: 'Background' | 'Foreground' | 'Orphan' } = {},
  ): void {
    const resource = this.#resource(ref);
    try {
      this.#parts.deletes.delete(
        resource,
        { namespace: resource.namespaced ? ref.namespace : undefined, name: ref.name },
        options,
      );
    } catch (error) {
      if (!(error instanceof StatusError) || error.body.code !== 404) throw error;
    }
  }

  watch(type: ResourceType, handler: (event: WatchEvent) => void): () => void {
    const resource = this.#resource(type);
    return this.#parts.store.watch(resource.table, (change) =>
      handler({ type: change.type, object: shown(resource, change.object) }),
    );
  }

  #replace(type: ResourceType, object: KubeObject, subresource: Subresource): KubeObject {
    const resource = this.#resource(type);
    const draft = this.#draft(resource, object);
    const key = { namespace: namespaceOf(object), name: object.metadata.name };
    return shown(
      resource,
      this.#parts.writes.update(resource, key, () => draft, {
        manager: this.#manager,
        subresource,
        strictVersion: true,
      }),
    );
  }

  #draft(resource: Resource, object: NewObject): Draft {
    const draft = { ...copyOf(object), apiVersion: apiVersionOf(resource), kind: resource.kind } as unknown as Draft;
    return resource.conversion?.stored(draft) ?? draft;
  }

  #resource(type: ResourceType): Resource {
    const found = this.#parts.catalog.find(type.apiVersion, type.plural);
    if (found === undefined) throw unknownPath();
    return found;
  }
}

/** A stored object in the form of one version of its resource. */
export function shown(resource: Resource, stored: KubeObject): KubeObject {
  if (resource.conversion !== undefined) return resource.conversion.shown(stored);
  return resource.custom && stored.apiVersion !== apiVersionOf(resource)
    ? { ...stored, apiVersion: apiVersionOf(resource) }
    : stored;
}
