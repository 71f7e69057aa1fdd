/**
 * Which resources the server serves right now.
 *
 * Owns: looking a resource up by its path or its kind. Built-in ones are there from the start; custom ones come
 *       and go with their definitions (crd/controller.ts tells).
 */
import { apiVersionOf, type Resource } from './resource.ts';

export class Catalog {
  readonly #byPath = new Map<string, Resource>();
  /** Grows by one with each change: what discovery and OpenAPI documents are cached by. */
  generation = 0;

  constructor(resources: readonly Resource[]) {
    for (const resource of resources) this.#byPath.set(`${apiVersionOf(resource)}/${resource.plural}`, resource);
  }

  /** @param apiVersion `v1` or `group/version` */
  find(apiVersion: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${apiVersion}/${plural}`);
  }

  findKind(apiVersion: string, kind: string): Resource | undefined {
    return this.all().find((resource) => resource.kind === kind && apiVersionOf(resource) === apiVersion);
  }

  all(): readonly Resource[] {
    return [...this.#byPath.values()];
  }

  /** Every table once, with a resource that reads it. */
  tables(): readonly Resource[] {
    return [...new Map(this.all().map((resource) => [resource.table, resource])).values()];
  }

  /** Replaces all versions of one custom resource; an empty list takes it away. */
  setCustom(table: string, versions: readonly Resource[]): void {
    for (const [path, resource] of this.#byPath)
      if (resource.custom && resource.table === table) this.#byPath.delete(path);
    for (const resource of versions) this.#byPath.set(`${apiVersionOf(resource)}/${resource.plural}`, resource);
    this.generation += 1;
  }
}
