/**
 * Keeps the connections of an HTTP server within a number, and room for those that come.
 *
 * Owns:   which connection goes when there are too many: one without a request under way (idle, or still sending its
 *         headers), the longest without one first. So clients that only hold connections push each other out.
 * Limits: `maxConnections`, and `spare` more for the moment in which one goes; 32 requests under way on each, one more
 *         ends it. A server's handlers ask `isOver` before they do anything.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export type ConnectionLimits = {
  readonly maxConnections: number;
  readonly spare: number;
  /** Asked when every connection has a request under way; may end one. */
  readonly onFull?: () => void;
};

/** Node makes kilobytes of objects of each, and a chunk of 64 KiB from a socket can hold thousands. */
const maxUnderWay = 32;

export class Connections {
  /** Answers under way on each; in the order of the last change, so that the longest idle comes first. */
  readonly #sockets = new Map<Socket, Set<ServerResponse>>();
  readonly #limits: ConnectionLimits;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Requests of the connection that have not been answered in full. */
  underWay(socket: Socket): number {
    return this.#sockets.get(socket)?.size ?? 0;
  }

  /** Counts the server's connections from now on; several servers may share the number. */
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

  /** The connection was ended; what was still in its buffer goes on to become requests. */
  isOver(socket: Socket): boolean {
    return socket.destroyed;
  }

  #began(socket: Socket, response: ServerResponse): void {
    if (this.isOver(socket)) return;
    this.#changed(socket)?.add(response);
    response.once('close', () => this.#changed(socket)?.delete(response));
    if (this.underWay(socket) > maxUnderWay) endAtOnce(socket);
  }

  /** @returns undefined for a connection that is not there any more */
  #changed(socket: Socket): Set<ServerResponse> | undefined {
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
 * Destroying alone lets the parser go on with the chunk that it has, and its thousands of requests live until the
 * sockets of this turn of the event loop have closed: of many connections together that is all memory. Where Node's
 * parser has no such property, that is so.
 */
function endAtOnce(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: unknown } | null };
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => 0;
  socket.destroy();
}
