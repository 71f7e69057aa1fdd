/**
 * Adds and removes the resources of stored definitions (CustomResourceDefinitions) in the catalogue of served
 * resources, and deletes the objects of a definition that is being deleted.
 * Owns: the time in which a custom resource is served, which is from the write of its definition until the definition
 * is deleted. A definition is only deleted after all its objects are deleted.
 */
import type { StoredObject } from '../../objects.ts';
import type { Catalog } from '../catalog.ts';
import type { Deletes } from '../deletes.ts';
import { copyOf } from '../../../lib/json.ts';
import type { ObjectDraft, Resource } from '../resource.ts';
import { storeKeyOf, type StoreChange, type Store } from '../store.ts';
import type { Writes } from '../writes.ts';
import { cleanupFinalizer } from './definition-rules.ts';
import { resourcesOf, tableNameOf } from './resource.ts';

export const definitionsTable = 'customresourcedefinitions.apiextensions.k8s.io';

type DefinitionDeps = {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly writes: Writes;
  readonly deletes: Deletes;
  readonly definitions: Resource;
};

/** Serves the definitions that are stored already, then follows changes. */
export function serveDefinitions(deps: DefinitionDeps): void {
  const { store, catalog } = deps;
  for (const definition of store.list(definitionsTable))
    catalog.setCustom(tableNameOf(definition), resourcesOf(definition));
  // Update the catalogue inside the write of a definition, not in an event after the write: the client may request the
  // new resource as soon as its POST is answered.
  store.onWrite((change) => {
    if (change.table === definitionsTable) follow(deps, change);
  });
  store.watch(undefined, (change) => {
    const table = change.table === definitionsTable ? tableNameOf(change.object) : change.table;
    const definition = store.get(definitionsTable, storeKeyOf(undefined, table));
    if (definition?.metadata.deletionTimestamp !== undefined) empty(deps, definition);
  });
  for (const definition of store.list(definitionsTable))
    if (definition.metadata.deletionTimestamp !== undefined) empty(deps, definition);
}

function follow({ catalog, store }: DefinitionDeps, change: StoreChange): void {
  if (change.type === 'ADDED') store.begin(tableNameOf(change.object));
  if (change.type === 'DELETED') catalog.setCustom(tableNameOf(change.object), []);
  else if (change.previous === undefined || change.previous['spec'] !== change.object['spec'])
    catalog.setCustom(tableNameOf(change.object), resourcesOf(change.object));
}

function empty(deps: DefinitionDeps, definition: StoredObject): void {
  const { store, deletes, writes, definitions } = deps;
  const table = tableNameOf(definition);
  const [resource] = resourcesOf(definition);
  for (const object of store.list(table)) {
    if (resource !== undefined && object.metadata.deletionTimestamp === undefined)
      deletes.delete(resource, { namespace: object.metadata.namespace, name: object.metadata.name });
  }
  if (store.list(table).length > 0 || definition.metadata.finalizers?.includes(cleanupFinalizer) !== true) return;
  const compute = (old: StoredObject): ObjectDraft => {
    const draft = copyOf(old) as unknown as ObjectDraft;
    draft.metadata['finalizers'] = (old.metadata.finalizers ?? []).filter((name) => name !== cleanupFinalizer);
    return draft;
  };
  writes.update(definitions, { namespace: undefined, name: definition.metadata.name }, compute, {
    manager: 'kube-apiserver',
    strictVersion: false,
  });
}
