/**
 * Keeps the connections of an HTTP server within a number, and room for those that come.
 *
 * Owns:   which connection goes when there are too many: one without a request under way (idle, or still sending its
 *         headers), the longest without one first. So clients that only hold connections push each other out.
 * Limits: `maxConnections`, and `spare` more for the moment in which one goes.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export type ConnectionLimits = {
  readonly maxConnections: number;
  readonly spare: number;
  /** Asked when every connection has a request under way; may end one. */
  readonly onFull?: () => void;
};

export class Connections {
  /** Requests under way of each; in the order in which they became idle. */
  readonly #sockets = new Map<Socket, number>();
  readonly #limits: ConnectionLimits;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Requests of the connection that have not been answered in full. */
  underWay(socket: Socket): number {
    return this.#sockets.get(socket) ?? 0;
  }

  /** Counts the server's connections from now on; several servers may share the number. */
  watch(server: Server): void {
    const { maxConnections, spare } = this.#limits;
    server.maxConnections = maxConnections + spare;
    server.on('connection', (socket: Socket) => {
      this.#sockets.set(socket, 0);
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.#sockets.size > maxConnections) this.#makeRoom(socket);
    });
    server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#count(socket, 1);
      response.once('close', () => this.#count(socket, -1));
    });
  }

  #count(socket: Socket, change: number): void {
    const before = this.#sockets.get(socket);
    if (before === undefined) return;
    // Set anew, so that the map's order is that of the last change.
    this.#sockets.delete(socket);
    this.#sockets.set(socket, before + change);
  }

  #makeRoom(newest: Socket): void {
    for (const [socket, requests] of this.#sockets) {
      if (requests > 0 || socket === newest) continue;
      this.#sockets.delete(socket);
      socket.destroy();
      return;
    }
    this.#limits.onFull?.();
  }
}
