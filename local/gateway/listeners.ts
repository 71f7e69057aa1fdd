/**
 * The open ports of Gateways: one HTTP server for each address and port, and its current rules (which requests go to
 * which backends).
 * Owns: opening and closing these servers. Owns also three answers that the Gateway API requires: 404 when no rule
 * matches, 500 when the chosen backend is invalid or the rule has no backend, and 503 when the backend has no ready
 * pod.
 * Ends: `close` ends every server and connection.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { Objects } from '../objects.ts';
import { backendsOf, tryOrder } from '../router/backends.ts';
import type { ServiceSlices } from '../router/service-slices.ts';
import { servicesPath, type StoredService } from '../workloads/resources.ts';
import { forward, refuse } from './http-proxy.ts';
import { drawBackend, matchRequest, type RouteEntry, type WeightedBackend } from './match.ts';

/** Milliseconds until a port that could not be bound is tried again. */
export const bindRetryMs = 2000;
/**
 * How long an idle connection stays open. The time is longer than in most clients, so that the client closes the
 * connection first.
 */
const keepAliveMs = 75_000;

export type ListenAddress = { readonly host: string; readonly port: number };
type State = 'Opening' | 'Open' | { readonly problem: string; readonly atMs: number };
type Opened = { readonly server: Server; entries: readonly RouteEntry[]; state: State };

export type ListenersDeps = {
  readonly objects: Objects;
  readonly slices: ServiceSlices;
  readonly clock: Clock;
  /** Called when a port was opened or could not be opened. */
  readonly onChange: () => void;
};

export class Listeners {
  readonly #objects: Objects;
  readonly #slices: ServiceSlices;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #opened = new Map<string, Opened>();

  constructor(deps: ListenersDeps) {
    this.#objects = deps.objects;
    this.#slices = deps.slices;
    this.#clock = deps.clock;
    this.#onChange = deps.onChange;
  }

  /**
   * Opens the wanted ports that are not open, and closes all other ports. The new rules apply from the next request on.
   */
  set(wanted: ReadonlyMap<string, ListenAddress & { readonly entries: readonly RouteEntry[] }>): void {
    for (const [id, opened] of this.#opened) {
      if (wanted.has(id)) continue;
      opened.server.close();
      opened.server.closeAllConnections();
      this.#opened.delete(id);
    }
    for (const [id, { host, port, entries }] of wanted) {
      const opened = this.#opened.get(id);
      if (opened !== undefined && !this.#isDue(opened)) opened.entries = entries;
      else this.#open(id, { host, port }, entries);
    }
  }

  stateOf(id: string): State {
    return this.#opened.get(id)?.state ?? 'Opening';
  }

  /** Whether the last attempt to open the port failed long enough ago to try again. */
  #isDue({ state }: Opened): boolean {
    return typeof state === 'object' && this.#clock.monotonic() - state.atMs >= bindRetryMs;
  }

  async close(): Promise<void> {
    const all = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all(
      all.map(({ server }) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  #open(id: string, { host, port }: ListenAddress, entries: readonly RouteEntry[]): void {
    const server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: 0 });
    const opened: Opened = { server, entries, state: 'Opening' };
    this.#opened.set(id, opened);
    server.on('request', (incoming, answer) => void this.#answer(opened, incoming, answer));
    server.on('error', (error) =>
      this.#settle(opened, {
        problem: `${host}:${port} cannot be bound: ${error.message}`,
        atMs: this.#clock.monotonic(),
      }),
    );
    server.listen({ host, port, exclusive: true }, () => this.#settle(opened, 'Open'));
  }

  #settle(opened: Opened, state: State): void {
    opened.state = state;
    this.#onChange();
  }

  async #answer({ entries }: Opened, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const entry = matchRequest(entries, hostOf(incoming), (incoming.url ?? '/').split('?', 1)[0] ?? '/');
    if (entry === undefined) return refuse(answer, 404, 'no route matches this host and path');
    const backend = drawBackend(entry.backends, Math.random());
    if (backend?.usable !== true) return refuse(answer, 500, 'the route has no backend for this request');
    const order = tryOrder(this.#podsOf(backend), Math.random());
    if (order.length === 0) return refuse(answer, 503, `Service ${backend.name} has no ready pod`);
    await forward(incoming, answer, order);
  }

  #podsOf({ namespace, name, port }: WeightedBackend): ReturnType<typeof backendsOf> {
    const service = this.#objects.get({ ...servicesPath, namespace, name }) as StoredService | undefined;
    const found = service?.spec.ports?.find((one) => one.port === port);
    return found === undefined ? [] : backendsOf(found, this.#slices.of({ namespace, name }));
  }
}

/** The host of a request without its port. An IPv6 address stays in its brackets. */
function hostOf({ headers }: IncomingMessage): string {
  return (headers.host ?? '').replace(/:\d+$/, '');
}
