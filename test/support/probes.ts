/**
 * A small custom resource for suites that run against a real API server: its definition, clients, and a reflector that
 * records its events.
 */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry, expose } from '../../lib/metrics.ts';
import { loadAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { Reflector } from '../../kube/cache/reflector.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';
import { eventually } from './eventually.ts';

export type Probe = KubeObject & {
  readonly spec?: { readonly size?: number };
  readonly status?: { readonly phase?: string; readonly seen?: readonly string[] };
};
export const group = 'kube-test.onnx-operator.dev';
export const probes: ResourceType<Probe> = { group, version: 'v1', plural: 'probes', kind: 'Probe', namespaced: true };
export const definitions: ResourceType<
  KubeObject & {
    readonly spec: unknown;
    readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
  }
> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
export const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
/** The namespace of this test run. */
export const namespace = `kube-test-${randomUUID().slice(0, 8)}`;

export const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `probes.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'probes', singular: 'probe', kind: 'Probe' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', required: ['size'], properties: { size: { type: 'integer', minimum: 1 } } },
              status: {
                type: 'object',
                properties: { phase: { type: 'string' }, seen: { type: 'array', items: { type: 'string' } } },
              },
            },
          },
        },
      },
    ],
  },
};

export function probe(name: string, size = 1): Probe {
  return { apiVersion: `${group}/v1`, kind: 'Probe', metadata: { name, namespace }, spec: { size } };
}

export async function clientOf(kubeconfig: string): Promise<HttpKubeClient> {
  const access = await loadAccess({ kubeconfig }, systemClock);
  return new HttpKubeClient({ access, clock: systemClock, registry: createRegistry(), name: 'kube-test' });
}

/** Creates the definition and the namespace of the tests. */
export async function furnish(client: HttpKubeClient): Promise<void> {
  await client.apply(definitions, definition, { fieldManager: 'kube-test', force: true });
  await client.apply(
    namespaces,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { fieldManager: 'kube-test', force: true },
  );
  await eventually(
    'the definition to be served',
    async () => (await client.list(probes, { namespace })).resourceVersion !== '',
  );
}

export type Watching = {
  readonly reflector: Reflector<Probe>;
  readonly told: string[];
  readonly metric: (name: string) => Promise<number>;
  readonly stop: () => Promise<void>;
};

export async function follow(client: HttpKubeClient, silenceMs = 120_000): Promise<Watching> {
  const registry = createRegistry();
  const reflector = new Reflector<Probe>({
    client,
    type: probes,
    namespace,
    clock: systemClock,
    registry,
    logger: silentLogger,
    freeze: true,
    limits: { pageSize: 10, silenceMs, backoff: { baseMs: 100, maxMs: 1000 } },
  });
  const told: string[] = [];
  reflector.cache.subscribe((change) =>
    told.push(`${change.kind} ${('now' in change ? change.now : change.before).metadata.name}`),
  );
  const stop = new AbortController();
  const ran = reflector.run(stop.signal);
  await reflector.whenSynced();
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec((await expose(registry)).body)?.[1] ?? 0);
  return {
    reflector,
    told,
    metric,
    stop: async () => {
      stop.abort();
      await ran;
    },
  };
}
