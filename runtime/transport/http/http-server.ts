/**
 * The HTTP sockets: listening, limits per client, and closing without losing a request.
 *
 * Limits: headers within 10 s, a request within 120 s, an answer stalled for at most 60 s, `maxConnections` connections
 *         (lib/connections.ts), 16 requests in progress on each connection. transfers.ts limits the pace of bodies and
 *         answers.
 * Ends:   quiet() serves until no request arrives any more; close() waits for requests in progress.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, STATUS_CODES } from '../../../lib/node-http.ts';
import type { Socket } from 'node:net';
import { AppError } from '../../../api/errors.ts';
import { systemClock, type Clock } from '../../../lib/clock.ts';
import { Connections } from '../../../lib/connections.ts';
import { ownValue } from '../../../api/record.ts';
import { Arrivals } from './arrivals.ts';
import { errorBodyAt } from './routes.ts';
import { PlainServer, type PlainHandler } from './plain/plain-server.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export type ListenDeps = {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly maxConnections: number;
  /** How long a client may stop reading its answer, in milliseconds; tests set a shorter time. */
  readonly stalledMs?: number;
  /** Default: the system clock. */
  readonly clock?: Clock;
  /** Whether `quiet` ignores a request with this URL. Default: it does not ignore any request. */
  readonly isProbe?: (url: string) => boolean;
  /**
   * Answers plain requests (small POSTs in the usual form) without node:http; absent when node:http reads all requests.
   */
  readonly plain?: (keepAliveMs: number) => PlainHandler;
  /** Called when a new connection exceeds `maxConnections` while every connection has a request in progress. */
  readonly onFull?: () => void;
};

const headersTimeoutMs = 10_000;
const requestTimeoutMs = 120_000;
/**
 * Longer than load balancers keep idle connections, so this server never closes a connection that a load balancer is
 * about to use.
 */
const keepAliveMs = 75_000;
/** Connections accepted above `maxConnections` for the short time until an idle connection is closed. */
const spareConnections = 64;
/**
 * Maximum requests in progress on one connection. Common clients do not pipeline requests; a client that pipelines them
 * could fill the queue.
 */
const maxPipelined = 16;
/** How long a client that sent invalid HTTP may read the error before its connection is closed. */
const lingerMs = 5_000;
const usualStalledMs = 60_000;

export class HttpServers {
  readonly #servers: readonly Server[];
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #arrivals: Arrivals;
  readonly #plain: PlainServer | undefined;
  #closing = false;

  private constructor(
    servers: readonly Server[],
    { connections, arrivals, plain }: Parts,
    { clock = systemClock }: ListenDeps,
  ) {
    this.#servers = servers;
    this.#connections = connections;
    this.#clock = clock;
    this.#arrivals = arrivals;
    this.#plain = plain;
    for (const server of servers) {
      // Without this, a connection that becomes idle while the server closes would be kept for `keepAliveMs`.
      server.on('request', (_request, response: ServerResponse) =>
        response.on('close', () => {
          if (this.#closing) setImmediate(() => server.closeIdleConnections());
        }),
      );
    }
  }

  /**
   * @param handler never rejects
   * @throws AppError PORT_TAKEN, BAD_CONFIG for an address that this machine does not have
   */
  static async listen(deps: ListenDeps, handler: HttpHandler): Promise<HttpServers> {
    const connections = new Connections({ ...deps, spare: spareConnections });
    const { clock = systemClock, stalledMs = usualStalledMs, isProbe = () => false } = deps;
    const arrivals = new Arrivals(clock, isProbe);
    const arrived = (socket: Socket): void => arrivals.arrived(socket);
    const plain =
      deps.plain === undefined
        ? undefined
        : new PlainServer({ handler: deps.plain(keepAliveMs), connections, clock, keepAliveMs, stalledMs, arrived });
    const parts: Parts = { connections, arrivals, plain };
    const servers = deps.addresses.map(() => makeServer(handler, deps, parts));
    try {
      let { port } = deps;
      for (const [position, server] of servers.entries()) {
        await listenOn(server, deps.addresses[position] ?? '127.0.0.1', port);
        // With port 0 the system chooses a port for the first address; the other addresses use the same port.
        port = portOf(server) ?? port;
      }
    } catch (error) {
      for (const server of servers) server.close();
      throw error;
    }
    return new HttpServers(servers, parts, deps);
  }

  get port(): number {
    const [first] = this.#servers;
    return (first === undefined ? undefined : portOf(first)) ?? 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Serves until no request and no connection has arrived for `quietMs`, for at most `mostMs`.
   * @param hurry abort to return at once
   */
  async quiet(
    { quietMs, mostMs }: { readonly quietMs: number; readonly mostMs: number },
    hurry?: AbortSignal,
  ): Promise<void> {
    const beganMs = this.#clock.monotonic();
    for (;;) {
      const untilMs = Math.min(Math.max(this.#arrivals.lastMs, beganMs) + quietMs, beganMs + mostMs);
      const leftMs = untilMs - this.#clock.monotonic();
      if (leftMs <= 0 || hurry?.aborted === true) return;
      await this.#clock.sleep(leftMs, hurry);
    }
  }

  /** Stops listening, closes idle connections, and resolves when the last request in progress is answered. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#plain?.close();
    const closed = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeIdleConnections();
        }),
    );
    await Promise.all(closed);
  }
}

type Parts = {
  readonly connections: Connections;
  readonly arrivals: Arrivals;
  readonly plain: PlainServer | undefined;
};

function makeServer(handler: HttpHandler, deps: ListenDeps, { connections, arrivals, plain }: Parts): Server {
  const { clock = systemClock, stalledMs = usualStalledMs } = deps;
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 2000,
    keepAliveTimeout: keepAliveMs,
    maxHeaderSize: 16_384,
    noDelay: true,
    requireHostHeader: false,
  });
  plain?.listenTo(server);
  connections.watch(server);
  arrivals.listenTo(server);
  const latest = new WeakMap<Socket, ServerResponse>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.isOver(request.socket)) return;
    latest.set(request.socket, response);
    // A client that disconnects during its answer causes an error event; without a listener, that event would end the
    // process.
    response.on('error', () => response.destroy());
    // Without this timeout Node would wait for ever for a client that does not read its answer.
    response.on('prefinish', () => response.setTimeout(stalledMs));
    if (connections.underWay(request.socket) > maxPipelined)
      refusePipelined(request, response, connections.underWay(request.socket) === maxPipelined + 1);
    // Node's own check (requireHostHeader) is off, because it answers without a message.
    else if (request.httpVersion === '1.1' && request.headers.host === undefined)
      refuse(response, 400, 'the Host header is missing; HTTP/1.1 requires it');
    else void handler(request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    if (!connections.isOver(request.socket))
      refuse(
        response,
        417,
        `Expect: ${String(request.headers.expect).slice(0, 100)} is not supported; supported: 100-continue`,
      );
  });
  const broken = new WeakSet<Socket>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // All data after the first error on a connection is invalid too, so only the first error is answered.
    if (broken.has(socket)) return;
    broken.add(socket);
    endBroken(error, socket, latest.get(socket), clock);
  });
  return server;
}

/** Answers with an error and closes the connection, since the body of the request may still arrive. */
function refuse(
  response: ServerResponse,
  status: number,
  problem: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify({ error: problem });
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
      ...headers,
    })
    .end(body);
}

/**
 * Answers the first excess request with 429, after the answers before it, and closes the connection. Later requests on
 * the connection are discarded.
 */
function refusePipelined(request: IncomingMessage, response: ServerResponse, isFirst: boolean): void {
  request.resume();
  if (isFirst)
    refuse(
      response,
      429,
      `more than ${maxPipelined} requests are in progress on this connection: wait for answers, or open another ` +
        'connection',
      { 'retry-after': '1' },
    );
}

/**
 * Answers data that is not valid HTTP with an error in JSON, and closes the connection.
 * @param last the answer to the connection's latest request
 */
function endBroken(error: NodeJS.ErrnoException, socket: Socket, last: ServerResponse | undefined, clock: Clock): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (last !== undefined && last.req.complete && !last.writableFinished) {
    // A valid request came before the error: send its answer first, because the client would otherwise read the error
    // as that answer.
    last.on('close', () => {
      if (socket.writable) endBroken(error, socket, undefined, clock);
    });
    return;
  }
  // Do not send an error if the broken body belongs to a request that is already answered, or that waits for the answer
  // of another request.
  const silent = last !== undefined && !last.req.complete && (last.headersSent || last.socket === null);
  if (!silent) socket.end(faultOf(error, pathOfBroken(last)));
  // Close after `lingerMs`: a client that never closes its side would keep the request's memory for ever.
  socket.on(
    'close',
    clock.after(lingerMs, () => socket.destroy()),
  );
}

const reasons: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the request headers are larger than 16384 bytes'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not arrive in time'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions are too large'],
};

/** The path of the incomplete request; `/` when the error is not part of a request. */
function pathOfBroken(last: ServerResponse | undefined): string {
  return last?.req.complete === false ? (last.req.url ?? '/') : '/';
}

/** @param path of the incomplete request; decides the format of the error body */
function faultOf(error: NodeJS.ErrnoException, path: string): string {
  const [status, message] = ownValue(reasons, error.code ?? '') ?? [
    400,
    `this is not an HTTP request: ${error.message.replace(/^Parse Error: /, '')}`,
  ];
  const body = JSON.stringify(errorBodyAt(path)({ status, code: 'REQUEST_INVALID', kind: 'invalid', message }));
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/json\r\ncontent-length: ` +
    `${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  );
}

function listenOn(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') return reject(new AppError('PORT_TAKEN', { address, port }, { cause: error }));
      return reject(
        new AppError(
          'BAD_CONFIG',
          {
            where: `address ${address}:${port}`,
            problem: `cannot listen on this address: ${error.code ?? error.message}`,
          },
          { cause: error },
        ),
      );
    };
    server.once('error', fail);
    server.listen(port, address, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
}
