/**
 * The API without HTTP: connects the store of all objects, the catalogue of served resources, writes, deletes and the
 * garbage collector.
 * Owns: these connections, and the namespaces that always exist. `createObjects` is the entry point for controllers and
 * tests that do not need HTTP.
 */
import type { Clock } from '../../lib/clock.ts';
import { silentLogger, type Logger } from '../../lib/log.ts';
import type { Objects } from '../objects.ts';
import { builtinResources } from './builtin/resources.ts';
import { Catalog } from './catalog.ts';
import { GarbageCollector } from './collector.ts';
import { serveDefinitions } from './crd/controller.ts';
import { Deletes } from './deletes.ts';
import { stringAt } from '../../lib/json.ts';
import { DirectObjects } from './direct-objects.ts';
import { Store, type StoreSnapshot } from './store.ts';
import { Writes } from './writes.ts';

export type CoreDeps = {
  readonly clock: Clock;
  readonly logger?: Logger;
  /** The range of ClusterIPs: a loopback range, so that programs on this machine can connect to these addresses. */
  readonly serviceRange?: string;
  readonly loaded?: StoreSnapshot;
  /** Called with the store before the first write, so that the caller can follow all writes. */
  readonly follow?: (store: Store) => void;
  /** How many past changes are kept for each resource. A watcher that asks for older changes has to list again. */
  readonly ringSize?: number;
};

export type ApiDeps = {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly writes: Writes;
  readonly deletes: Deletes;
  readonly objects: Objects;
  readonly clock: Clock;
  readonly end: () => void;
};

export const defaultServiceRange = '127.96.0.0/16';

const firstNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

export function createCore(deps: CoreDeps): ApiDeps {
  const { clock, logger = silentLogger } = deps;
  const store = new Store({
    ...(deps.ringSize === undefined ? {} : { ringSize: deps.ringSize }),
    ...(deps.loaded === undefined ? {} : { loaded: deps.loaded }),
  });
  deps.follow?.(store);
  const takenAddresses = (): ReadonlySet<string> =>
    new Set(store.list('services').map((service) => stringAt(service, 'spec', 'clusterIP') ?? ''));
  const catalog = new Catalog(
    builtinResources({ serviceRange: deps.serviceRange ?? defaultServiceRange, takenAddresses, clock }),
  );
  const writes = new Writes({ store, clock });
  const deletes = new Deletes({ store, clock });
  writes.finishDeletion = (resource, last) => deletes.finish(resource, last);
  const definitions = catalog.find('apiextensions.k8s.io/v1', 'customresourcedefinitions');
  if (definitions === undefined) throw new Error('definitions are built in');
  serveDefinitions({ store, catalog, writes, deletes, definitions });
  const end = new GarbageCollector({ store, catalog, writes, deletes, logger }).start();
  const objects = new DirectObjects({ store, catalog, writes, deletes });
  for (const name of firstNamespaces) {
    const type = { apiVersion: 'v1', plural: 'namespaces' };
    if (objects.get({ ...type, name }) === undefined)
      objects.create(type, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  // Forget past events: a client that resumes a watch from before this start has to list again.
  store.forget();
  return { store, catalog, writes, deletes, objects, clock, end };
}

/** The API's objects in memory, with garbage collection, for tests of controllers that do not need HTTP. */
export function createObjects(deps: CoreDeps): Objects {
  return createCore(deps).objects;
}
