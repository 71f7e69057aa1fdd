/**
 * The catalogue: the resources that the server serves at the moment.
 * Owns: finding a resource by its path or kind. Built-in resources always exist; custom resources are added and removed
 * with their definitions by crd/controller.ts.
 */
import { groupVersionOf, type Resource } from './resource.ts';

export class Catalog {
  readonly #byPath = new Map<string, Resource>();
  /** Increases with each change. OpenAPI documents are cached until it increases. */
  generation = 0;

  constructor(resources: readonly Resource[]) {
    for (const resource of resources) this.#byPath.set(`${groupVersionOf(resource)}/${resource.plural}`, resource);
  }

  /** @param apiVersion `v1` or `group/version` */
  find(apiVersion: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${apiVersion}/${plural}`);
  }

  findKind(apiVersion: string, kind: string): Resource | undefined {
    return this.all().find((resource) => resource.kind === kind && groupVersionOf(resource) === apiVersion);
  }

  all(): readonly Resource[] {
    return [...this.#byPath.values()];
  }

  /** One resource for each table of the store. Several versions of a resource may use the same table. */
  tables(): readonly Resource[] {
    return [...new Map(this.all().map((resource) => [resource.table, resource])).values()];
  }

  /** Replaces all versions of one custom resource. An empty list removes the resource. */
  setCustom(table: string, versions: readonly Resource[]): void {
    for (const [path, resource] of this.#byPath)
      if (resource.custom && resource.table === table) this.#byPath.delete(path);
    for (const resource of versions) this.#byPath.set(`${groupVersionOf(resource)}/${resource.plural}`, resource);
    this.generation += 1;
  }
}
