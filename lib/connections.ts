/**
 * Bounds the number of connections of an HTTP server, and keeps room for new ones.
 * Owns: which connection is closed when too many are open: the connection that has been without a request for the
 * longest time. A connection that is still sending headers counts as being without a request. A client that only holds
 * connections open therefore cannot block the others.
 * Limits: `maxConnections`, and up to `spare` more while the connections beyond this limit are being closed. A
 * connection with more than 32 requests in progress is closed. A server's handlers must call `isOver` first.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export type ConnectionLimits = {
  readonly maxConnections: number;
  readonly spare: number;
  /**
   * Called when the limit is exceeded and every connection has a request in progress. The function may close a
   * connection.
   */
  readonly onFull?: () => void;
};

/**
 * The most requests in progress on one connection. The bound is needed because Node allocates kilobytes for each
 * request, and one 64 KiB chunk from a socket can hold thousands of requests.
 */
const maxUnderWay = 32;

export class Connections {
  /** Unfinished answers per connection. The connection whose answers changed the longest time ago comes first. */
  readonly #sockets = new Map<Socket, Set<object>>();
  readonly #limits: ConnectionLimits;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** The number of requests of the connection whose answers are not complete yet. */
  underWay(socket: Socket): number {
    return this.#sockets.get(socket)?.size ?? 0;
  }

  /** Counts the server's connections from now on. Several servers may share one limit. */
  watch(server: Server): void {
    const { maxConnections, spare } = this.#limits;
    server.maxConnections = maxConnections + spare;
    server.on('connection', (socket: Socket) => {
      this.#sockets.set(socket, new Set());
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.#sockets.size > maxConnections) this.#makeRoom(socket);
    });
    const began = ({ socket }: IncomingMessage, response: ServerResponse): void => this.#began(socket, response);
    server.prependListener('request', began);
    server.prependListener('checkExpectation', began);
  }

  /** Counts a request that the server did not announce. @param request identifies it for `ended` */
  began(socket: Socket, request: object): void {
    this.#changed(socket)?.add(request);
  }

  ended(socket: Socket, request: object): void {
    this.#changed(socket)?.delete(request);
  }

  /**
   * True when the connection was closed. Node may still parse requests from bytes that arrived before the close; the
   * handler must not answer these requests.
   */
  isOver(socket: Socket): boolean {
    return socket.destroyed;
  }

  #began(socket: Socket, response: ServerResponse): void {
    if (this.isOver(socket)) return;
    this.#changed(socket)?.add(response);
    response.once('close', () => this.#changed(socket)?.delete(response));
    if (this.underWay(socket) > maxUnderWay) endAtOnce(socket);
  }

  /** @returns undefined for a connection that is closed */
  #changed(socket: Socket): Set<object> | undefined {
    const responses = this.#sockets.get(socket);
    if (responses === undefined) return undefined;
    this.#sockets.delete(socket);
    this.#sockets.set(socket, responses);
    return responses;
  }

  #makeRoom(newest: Socket): void {
    for (const [socket, responses] of this.#sockets) {
      if (responses.size > 0 || socket === newest) continue;
      this.#sockets.delete(socket);
      socket.destroy();
      return;
    }
    this.#limits.onFull?.();
  }
}

/**
 * Destroys the socket and stops Node's parser, too. After `destroy` alone, the parser continues with the chunk that it
 * holds, and thousands of requests of the chunk stay in memory until the socket's `close` event. This event comes only
 * after all sockets of the same event-loop turn were read. With many such connections, memory runs out. If Node's
 * parser does not have the property `onIncoming`, only the socket is destroyed.
 */
function endAtOnce(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: unknown } | null };
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => 0;
  socket.destroy();
}
