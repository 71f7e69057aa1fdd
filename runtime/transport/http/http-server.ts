/**
 * The sockets: listening, the limits of what a client may hold, and closing without losing a request.
 *
 * Owns:   http.Server objects, one for each address, and their connections.
 * Limits: headers within 10 s, a whole request within 120 s, 60 s without reading an answer, `maxConnections`
 *         connections (lib/connections.ts says which go first), 16 requests under way on each, one more is refused;
 *         idle ones are kept for 75 s, longer than load balancers keep theirs, so that it is never us who closes one in
 *         use. A client that breaks these or HTTP is told, and gone 5 s later. The pace of bodies and answers is in
 *         transfers.ts.
 * Ends:   quiet() serves on until nothing comes any more; close() waits for what is under way.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../../../api/errors.ts';
import { systemClock, type Clock } from '../../../lib/clock.ts';
import { Connections } from '../../../lib/connections.ts';
import { ownValue } from '../../../api/record.ts';
import { Arrivals } from './arrivals.ts';
import { errorBodyAt } from './routes.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export type Listen = {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly maxConnections: number;
  readonly patience?: Patience;
  /** For what `quiet` measures; the machine's unless given. */
  readonly clock?: Clock;
  /** `quiet` ignores requests with these URLs. None unless given. */
  readonly isProbe?: (url: string) => boolean;
  /** Asked for room when every connection has a request under way. */
  readonly onFull?: () => void;
};

/** With clients that do not keep to the rules; other ones in tests. */
export type Patience = {
  /** For the time to read an answer. */
  readonly clock: Clock;
  /** Without a byte of its answer taken by the client. */
  readonly stalledMs: number;
};

const headersTimeoutMs = 10_000;
const requestTimeoutMs = 120_000;
const keepAliveMs = 75_000;
/** For the moment in which an idle connection goes to make room. */
const spareConnections = 64;
/** Of one connection. HTTP's pipelining has no use today but to fill a queue. */
const maxPipelined = 16;
/** How long a client that broke the rules may still read what it is told. */
const lingerMs = 5_000;
const usualPatience: Patience = { clock: systemClock, stalledMs: 60_000 };

export class HttpServers {
  readonly #servers: readonly Server[];
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #arrivals: Arrivals;
  #closing = false;

  private constructor(
    servers: readonly Server[],
    connections: Connections,
    { clock = systemClock, isProbe = () => false }: Listen,
  ) {
    this.#servers = servers;
    this.#connections = connections;
    this.#clock = clock;
    this.#arrivals = new Arrivals(clock, isProbe);
    for (const server of servers) {
      this.#arrivals.listenTo(server);
      // A connection that was busy when closing began is idle now, and would be kept for its 75 s.
      server.on('request', (_request, response: ServerResponse) =>
        response.on('close', () => {
          if (this.#closing) setImmediate(() => server.closeIdleConnections());
        }),
      );
    }
  }

  /**
   * @param handler never rejects
   * @throws AppError PORT_TAKEN, BAD_CONFIG for an address that is not this machine's
   */
  static async listen(where: Listen, handler: HttpHandler): Promise<HttpServers> {
    const connections = new Connections({ ...where, spare: spareConnections });
    const servers = where.addresses.map(() => makeServer(handler, where, connections));
    try {
      let { port } = where;
      for (const [position, server] of servers.entries()) {
        await listenOn(server, where.addresses[position] ?? '127.0.0.1', port);
        // Port 0 lets the system choose; all addresses then share the first one's choice.
        port = portOf(server) ?? port;
      }
    } catch (error) {
      for (const server of servers) server.close();
      throw error;
    }
    return new HttpServers(servers, connections, where);
  }

  get port(): number {
    const [first] = this.#servers;
    return (first === undefined ? undefined : portOf(first)) ?? 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Goes on serving until no request and no connection has come for `quietMs`, but for `mostMs` at most.
   * @param hurry aborted when there is no time for that
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

  /** Stops listening, closes idle connections and resolves when the last request under way is answered. */
  async close(): Promise<void> {
    this.#closing = true;
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

function makeServer(handler: HttpHandler, { patience = usualPatience }: Listen, connections: Connections): Server {
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 2000,
    keepAliveTimeout: keepAliveMs,
    maxHeaderSize: 16_384,
    noDelay: true,
    requireHostHeader: false,
  });
  connections.watch(server);
  const latest = new WeakMap<Socket, ServerResponse>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.isOver(request.socket)) return;
    latest.set(request.socket, response);
    // A client that leaves in the middle of its answer; unheard, it would end the process.
    response.on('error', () => response.destroy());
    // Node sets another time-out as soon as the answer is out; until then it would hold the answer for ever.
    response.on('prefinish', () => response.setTimeout(patience.stalledMs));
    if (connections.underWay(request.socket) > maxPipelined)
      refusePipelined(request, response, connections.underWay(request.socket) === maxPipelined + 1);
    // Node itself would refuse this, and without a word.
    else if (request.httpVersion === '1.1' && request.headers.host === undefined)
      refuse(response, 400, 'the Host header is missing, which HTTP/1.1 requires');
    else void handler(request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    if (!connections.isOver(request.socket))
      refuse(
        response,
        417,
        `Expect: ${String(request.headers.expect).slice(0, 100)} cannot be met: only 100-continue is known`,
      );
  });
  const broken = new WeakSet<Socket>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Whatever else comes behind the fault is one, too.
    if (broken.has(socket)) return;
    broken.add(socket);
    endBroken(error, socket, latest.get(socket), patience.clock);
  });
  return server;
}

/** The body may still come: the connection is not used again. */
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
 * The first one is told, behind the answers before it; the connection then ends, and with it whatever else came on it.
 */
function refusePipelined(request: IncomingMessage, response: ServerResponse, isFirst: boolean): void {
  request.resume();
  if (isFirst)
    refuse(
      response,
      429,
      `more than ${maxPipelined} requests are under way on this connection: wait for answers, or open another ` +
        'connection',
      { 'retry-after': '1' },
    );
}

/**
 * What is no HTTP never becomes a request; its sender still learns what is wrong, as in every other answer.
 * @param last the answer to the connection's latest request
 */
function endBroken(error: NodeJS.ErrnoException, socket: Socket, last: ServerResponse | undefined, clock: Clock): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (last !== undefined && last.req.complete && !last.writableFinished) {
    // The fault came behind a good request: its answer goes first, and ours would be taken for it.
    last.on('close', () => {
      if (socket.writable) endBroken(error, socket, undefined, clock);
    });
    return;
  }
  // A body is broken whose request has been answered already, or has another before it.
  const silent = last !== undefined && !last.req.complete && (last.headersSent || last.socket === null);
  if (!silent) socket.end(faultOf(error, pathOfBroken(last)));
  // Not left to the client: it may never close its side, and what its request holds would be held for good.
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

/** The path of a request that did not come whole; `/` where the connection is between two. */
function pathOfBroken(last: ServerResponse | undefined): string {
  return last?.req.complete === false ? (last.req.url ?? '/') : '/';
}

/** @param path of the request that did not come whole; what is not HTTP has none */
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
          { where: `address ${address}:${port}`, problem: `cannot listen there: ${error.code ?? error.message}` },
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
