/** A client and a reflector over real sockets against the hostile API; `endWorlds` ends everything. */
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry, expose } from '../../lib/metrics.ts';
import { openAccess, type ClusterAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import { Reflector } from '../../kube/cache/reflector.ts';
import { HostileApi, things, type Thing } from './hostile-api.ts';

export type World = {
  readonly api: HostileApi;
  readonly client: HttpKubeClient;
  readonly server: string;
  readonly metrics: () => Promise<string>;
};

const ends: (() => Promise<unknown>)[] = [];

export async function hostileWorld(
  options: { access?: (server: string) => ClusterAccess | Promise<ClusterAccess>; deadlineMs?: number } = {},
): Promise<World> {
  const api = new HostileApi();
  const server = await api.start();
  const registry = createRegistry();
  const access = (await options.access?.(server)) ?? openAccess(server);
  const client = new HttpKubeClient({
    access,
    clock: systemClock,
    registry,
    name: 'test',
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
  });
  ends.push(
    () => client.close(),
    () => api.stop(),
  );
  return { api, client, server, metrics: async () => (await expose(registry)).body };
}

export type Watching = {
  readonly reflector: Reflector<Thing>;
  readonly told: string[];
  readonly stop: () => Promise<void>;
};

export async function follow({ client }: World, silenceMs = 60_000): Promise<Watching> {
  const reflector = new Reflector<Thing>({
    client,
    type: things,
    clock: systemClock,
    registry: createRegistry(),
    logger: silentLogger,
    freeze: true,
    limits: { silenceMs, backoff: { baseMs: 20, maxMs: 200 }, shortMs: 50, pageSize: 10 },
  });
  const told: string[] = [];
  reflector.cache.subscribe((change) =>
    told.push(`${change.kind} ${('now' in change ? change.now : change.before).metadata.name}`),
  );
  const stop = new AbortController();
  const ran = reflector.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await ran;
  };
  ends.unshift(end);
  await reflector.whenSynced();
  return { reflector, told, stop: end };
}

/** Ends everything that the test began, in reverse order. */
export async function endWorlds(): Promise<void> {
  for (const end of ends.splice(0)) await end();
}
