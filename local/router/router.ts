/**
 * Makes Services reachable: listens on each ClusterIP and forwards connections to the pods of the Service.
 * Owns: one listener per port, and the connections of each listener. A connection stays open when its pod leaves the
 * Service.
 * Limits: TCP only. Ports below 1024 need the right to bind them. A port that cannot be bound is reported as an Event
 * of the Service and tried again.
 * Ends: `close` closes the listeners and breaks the connections.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Objects } from '../objects.ts';
import { startController, type WorkloadController, type Key } from '../workloads/controller.ts';
import type { LocalEventRecorder } from '../workloads/event-recorder.ts';
import type { ServicePort } from '../../kube/kinds.ts';
import { gatewayNameLabel, servicesPath, type StoredService } from '../workloads/resources.ts';
import { backendsOf, tryOrder } from './backends.ts';
import { carry } from './proxy.ts';
import type { ServiceSlices } from './service-slices.ts';

export type RouterDeps = {
  readonly objects: Objects;
  readonly slices: ServiceSlices;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: LocalEventRecorder;
};

type Entry = {
  readonly key: Key;
  readonly address: string;
  port: ServicePort;
  readonly server: Server;
  state: 'opening' | 'open' | 'failed';
};

const bindRetryMs = 5000;

export class Router {
  readonly #deps: RouterDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #sockets = new Set<Socket>();
  readonly #controller: WorkloadController;

  constructor(deps: RouterDeps) {
    this.#deps = deps;
    this.#controller = startController({
      name: 'router',
      ...deps,
      watches: [
        { type: servicesPath, keys: ({ metadata }) => [{ namespace: metadata.namespace ?? '', name: metadata.name }] },
      ],
      sync: (key) => this.#sync(key),
    });
  }

  async close(): Promise<void> {
    this.#controller.close();
    const closed = [...this.#entries.values()].map(({ server }) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #sync(key: Key): undefined {
    const service = this.#deps.objects.get({ ...servicesPath, ...key }) as StoredService | undefined;
    const wanted = new Map(listeners(key, service).map((one) => [`${one.address}:${one.port.port}`, one]));
    for (const [id, entry] of this.#entries) {
      if (entry.key.namespace !== key.namespace || entry.key.name !== key.name || wanted.has(id)) continue;
      entry.server.close();
      this.#entries.delete(id);
    }
    for (const [id, one] of wanted) {
      const entry = this.#entries.get(id);
      if (entry !== undefined && entry.state !== 'failed') entry.port = one.port;
      else this.#open(id, one);
    }
    return undefined;
  }

  #open(id: string, { key, address, port }: Listener): void {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    const entry: Entry = { key, address, port, server, state: 'opening' };
    this.#entries.set(id, entry);
    server.on('connection', (client) => void this.#accept(entry, client));
    server.on('error', (error) => this.#failed(entry, error));
    server.listen({ host: address, port: port.port, exclusive: true }, () => (entry.state = 'open'));
  }

  #failed(entry: Entry, error: Error): void {
    entry.state = 'failed';
    const { key, address, port } = entry;
    const service = this.#deps.objects.get({ ...servicesPath, ...key });
    this.#deps.logger.warn('service port was not bound', {
      ...key,
      address,
      port: port.port,
      problem: messageOf(error),
    });
    if (service !== undefined)
      this.#deps.events.record(
        service,
        'Warning',
        'FailedToBindPort',
        `${address}:${port.port} cannot be bound: ${error.message}`,
      );
    this.#deps.clock.after(bindRetryMs, () => this.#controller.enqueue(key));
  }

  async #accept(entry: Entry, client: Socket): Promise<void> {
    this.#keep(client);
    const order = tryOrder(backendsOf(entry.port, this.#deps.slices.of(entry.key)), Math.random());
    const upstream = await carry(client, order);
    if (upstream !== undefined) this.#keep(upstream);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

type Listener = { readonly key: Key; readonly address: string; readonly port: ServicePort };

/**
 * The listeners of a Service. Empty for a Service that was deleted, that has no ClusterIP, that is an ExternalName, or
 * that belongs to a Gateway (local/gateway listens for it).
 */
function listeners(key: Key, service: StoredService | undefined): readonly Listener[] {
  const address = service?.spec.clusterIP ?? '';
  if (service === undefined || service.metadata.labels?.[gatewayNameLabel] !== undefined) return [];
  if (address === '' || address === 'None' || service.spec.type === 'ExternalName') return [];
  return (service.spec.ports ?? [])
    .filter((port) => (port.protocol ?? 'TCP') === 'TCP')
    .map((port) => ({ key, address, port }));
}
