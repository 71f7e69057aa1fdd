/**
 * An HTTP server with the parts of the Kubernetes API that one type needs, and faults on demand.
 * Owns: the objects, a history to watch, a script for the next requests, and the count of connections. Listens on a
 * free port of the loopback interface.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { KubeObject } from '../../api/kube-object.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';

export type Thing = KubeObject & { readonly data?: string };
export const things: ResourceType<Thing> = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};

export type Misdeed = (request: IncomingMessage, response: ServerResponse) => void;

/** Faults that a test can request. */
export const misdeeds = {
  /**
   * @param more `retryAfterSeconds` is sent in the body's Status and may be a fraction. To send a Retry-After header,
   * add it to `headers`
   */
  status:
    (
      code: number,
      reason: string,
      more: { headers?: Record<string, string>; retryAfterSeconds?: number } = {},
    ): Misdeed =>
    (_, response) => {
      response.writeHead(code, { 'content-type': 'application/json', ...more.headers });
      const details =
        more.retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds: more.retryAfterSeconds } };
      response.end(
        JSON.stringify({
          kind: 'Status',
          apiVersion: 'v1',
          status: 'Failure',
          code,
          reason,
          message: `${reason} on demand`,
          ...details,
        }),
      );
    },
  errorEvent:
    (code: number, reason: string): Misdeed =>
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const object = { kind: 'Status', code, reason, message: `${reason} on demand` };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    },
  cleanClose: (): Misdeed => (_, response) => void response.writeHead(200).end(),
  reset: (): Misdeed => (request) => void request.socket.resetAndDestroy(),
  /** Sends headers and then nothing: a half-open connection. */
  silence: (): Misdeed => (_, response) => response.writeHead(200).flushHeaders(),
  /** Sends nothing, not even headers. */
  noAnswer: (): Misdeed => () => {},
  garbage: (): Misdeed => (_, response) => void response.writeHead(200).end('<html>proxy error</html>\n'),
  halfEvent: (): Misdeed => (_, response) =>
    void response.writeHead(200).end('{"type":"ADDED","object":{"metadata":{"na'),
  flood:
    (bytes: number): Misdeed =>
    (_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(64 * 1024, 0x20);
      let left = bytes;
      const more = (): void => {
        while (left > 0 && !response.destroyed) {
          left -= chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    },
};

export class HostileApi {
  readonly #server = createServer((request, response) => this.#serve(request, response));
  readonly #objects = new Map<string, Thing>();
  readonly #watchers = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  readonly #history: { version: number; line: string }[] = [];
  #version = 0;

  /** One fault for each of the next list requests. When there are no faults left, the server answers correctly. */
  readonly nextLists: Misdeed[] = [];
  readonly nextWatches: Misdeed[] = [];
  /** One fault for each of the next requests that are neither lists nor watches. */
  readonly nextOthers: Misdeed[] = [];
  readonly seen = { lists: 0, watches: 0, others: 0, connections: 0 };
  /** The time of each watch request, in milliseconds. */
  readonly watchedAt: number[] = [];
  /** The authorization header of the last request. */
  lastAuthorization: string | undefined;

  async start(): Promise<string> {
    this.#server.on('connection', (socket) => {
      this.seen.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  /** Resets every connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Ends every watch without an error. */
  closeWatches(): void {
    for (const watcher of this.#watchers) watcher.end();
    this.#watchers.clear();
  }

  put(name: string, data = ''): void {
    const before = this.#objects.get(name);
    this.#version += 1;
    const metadata = {
      name,
      namespace: 'default',
      uid: before?.metadata.uid ?? `uid-${this.#version}`,
      resourceVersion: String(this.#version),
    };
    const object: Thing = { apiVersion: 'test.dev/v1', kind: 'Thing', metadata, data };
    this.#objects.set(name, object);
    this.#tell(before === undefined ? 'ADDED' : 'MODIFIED', object);
  }

  delete(name: string): void {
    const before = this.#objects.get(name);
    if (before === undefined) return;
    this.#version += 1;
    this.#objects.delete(name);
    this.#tell('DELETED', { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } });
  }

  #tell(type: string, object: Thing): void {
    const line = JSON.stringify({ type, object });
    this.#history.push({ version: this.#version, line });
    this.#send(line);
  }

  #send(line: string): void {
    for (const watcher of this.#watchers) watcher.write(`${line}\n`);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://x');
    this.lastAuthorization = request.headers.authorization;
    if (url.pathname !== '/apis/test.dev/v1/things') {
      this.seen.others += 1;
      (this.nextOthers.shift() ?? misdeeds.status(404, 'NotFound'))(request, response);
    } else if (url.searchParams.get('watch') === 'true') {
      this.seen.watches += 1;
      this.watchedAt.push(performance.now());
      (this.nextWatches.shift() ?? ((_, ok) => this.#watch(url, ok)))(request, response);
    } else {
      this.seen.lists += 1;
      (this.nextLists.shift() ?? ((_, ok) => this.#list(url, ok)))(request, response);
    }
  }

  #list(url: URL, response: ServerResponse): void {
    const all = [...this.#objects.values()];
    const from = Number(url.searchParams.get('continue') ?? 0);
    const to = from + Number(url.searchParams.get('limit') ?? all.length);
    response.writeHead(200, { 'content-type': 'application/json' });
    // Lists omit apiVersion and kind of their items, as lists of built-in types do.
    const items = all.slice(from, to).map(({ metadata, data }) => ({ metadata, data }));
    response.end(
      JSON.stringify({
        kind: 'ThingList',
        metadata: { resourceVersion: String(this.#version), ...(to < all.length ? { continue: String(to) } : {}) },
        items,
      }),
    );
  }

  #watch(url: URL, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const from = Number(url.searchParams.get('resourceVersion'));
    for (const { version, line } of this.#history) if (version > from) response.write(`${line}\n`);
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
  }
}
