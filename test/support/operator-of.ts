/** The operator over a cluster in memory, with the settings that tests share. */
import { silentLogger } from '../../lib/log.ts';
import { Reconciler, type ReconcileDeps } from '../../operator/reconcile/reconcile.ts';
import type { FakeCluster } from './fake-cluster.ts';
import { permittedClient } from './permitted-client.ts';

export const operatorSettings = { runtimeImage: 'runtime:1', settleMs: 10_000, serviceAddress: 'DNS' } as const;

/**
 * @param deps replaces dependencies. By default they come from the cluster, and Events and watches of pods do nothing
 */
export function operatorOf(cluster: FakeCluster, deps: Partial<ReconcileDeps> = {}): Reconciler {
  return new Reconciler({
    client: permittedClient(cluster.client),
    caches: cluster.caches,
    reports: (uid) => cluster.reportOf(uid),
    clock: cluster.clock,
    logger: silentLogger,
    settings: operatorSettings,
    announce: () => {},
    follow: () => {},
    ...deps,
  });
}
