/**
 * Answers plain requests (small POSTs in the usual form, plain-head.ts) without node:http, which takes several times
 * the CPU time of a small request's run.
 *
 * Owns:   which connections are read here, and their periodic check. Every connection begins here; what is not plain is
 *         handed over to node:http (plain-connection.ts) for the rest of the connection's life.
 * Limits: the limits of http-server.ts: `keepAliveMs` without a request, `stalledMs` for a client that does not read.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../../../lib/clock.ts';
import type { Connections } from '../../../../lib/connections.ts';
import type { BodyLease } from '../transfers.ts';
import { PlainConnection, type PlainOwner } from './plain-connection.ts';
import type { PlainHead } from './plain-head.ts';

/** Answers plain requests. */
export type PlainHandler = {
  readonly takes: (head: PlainHead) => boolean;
  readonly begin: PlainOwner['begin'];
  readonly lease: () => BodyLease;
};

export type PlainServerDeps = {
  readonly handler: PlainHandler;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly stalledMs: number;
  /** Called when a request begins. */
  readonly arrived: (socket: Socket) => void;
};

const lookMs = 1000;

export class PlainServer {
  readonly #deps: PlainServerDeps;
  readonly #open = new Set<PlainConnection>();
  #isLooking = false;
  #closing = false;

  constructor(deps: PlainServerDeps) {
    this.#deps = deps;
  }

  /**
   * Takes over new connections of the server. Call it before other listeners of `connection` are added: the listeners
   * of that time are called only when a connection is handed over to node:http.
   */
  listenTo(server: Server): void {
    const { handler, clock, connections } = this.#deps;
    const usual = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    const owner: PlainOwner = {
      takes: (head) => !this.#closing && handler.takes(head),
      begin: (head, body, connection) => this.#begin(head, body, connection),
      handOver: (socket, bytes, hasEnded) => {
        for (const listener of usual) listener.call(server, socket);
        // Resume before the bytes are passed on: node:http may pause the socket again when it reads them.
        if (!hasEnded && socket.isPaused()) socket.resume();
        if (bytes !== undefined) socket.emit('data', bytes);
        if (hasEnded) socket.emit('end');
      },
      ended: (connection) => {
        connections.ended(connection.socket, connection);
        return this.#closing;
      },
      closed: (connection) => this.#open.delete(connection),
      lease: handler.lease,
      nowMs: () => clock.monotonic(),
    };
    server.on('connection', (socket: Socket) => {
      this.#open.add(new PlainConnection(socket, owner));
      this.#lookOn();
    });
  }

  /** Closes connections that wait for a request, and from now on each connection after its answer. */
  close(): void {
    this.#closing = true;
    for (const connection of this.#open) connection.close();
  }

  #begin(head: PlainHead, body: Uint8Array<ArrayBuffer>, connection: PlainConnection): () => void {
    const { connections, handler, arrived } = this.#deps;
    arrived(connection.socket);
    connections.began(connection.socket, connection);
    return handler.begin(head, body, connection);
  }

  #lookOn(): void {
    if (this.#isLooking || this.#open.size === 0) return;
    this.#isLooking = true;
    const { clock } = this.#deps;
    clock.after(lookMs, () => {
      this.#isLooking = false;
      for (const connection of this.#open) connection.look(clock.monotonic(), this.#deps);
      this.#lookOn();
    });
  }
}
