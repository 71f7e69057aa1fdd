/**
 * The EndpointSlices of each Service. They are read from the store once per change, not once per connection.
 * Ends: `close` stops following changes.
 */
import type { StoredObject, Objects } from '../objects.ts';
import type { Key } from '../workloads/controller.ts';
import { serviceNameLabel, slicesOf } from '../workloads/endpoints.ts';
import { endpointSlicesPath, type EndpointSlice } from '../workloads/resources.ts';

export class ServiceSlices {
  readonly #objects: Objects;
  readonly #known = new Map<string, readonly EndpointSlice[]>();
  readonly close: () => void;

  constructor(objects: Objects) {
    this.#objects = objects;
    this.close = objects.watch(endpointSlicesPath, ({ object }) => this.#known.delete(serviceOf(object)));
  }

  /** The EndpointSlices of a Service. @param key the key of the Service */
  of(key: Key): readonly EndpointSlice[] {
    const id = `${key.namespace}/${key.name}`;
    const known = this.#known.get(id) ?? slicesOf(this.#objects, key);
    this.#known.set(id, known);
    return known;
  }
}

function serviceOf({ metadata }: StoredObject): string {
  return `${metadata.namespace}/${metadata.labels?.[serviceNameLabel]}`;
}
