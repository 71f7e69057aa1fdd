/**
 * When something last came to a server: a request, or a connection that may still bring one.
 *
 * Owns:  that time. Probes do not count: a kubelet goes on asking while a pod ends, on connections of its own.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';

export class Arrivals {
  readonly #clock: Clock;
  readonly #isProbe: (url: string) => boolean;
  /** Open connections that have not asked for anything yet, and when they came. */
  readonly #fresh = new Map<Socket, number>();
  #requestMs = -Infinity;

  constructor(clock: Clock, isProbe: (url: string) => boolean) {
    this.#clock = clock;
    this.#isProbe = isProbe;
  }

  listenTo(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#fresh.set(socket, this.#clock.monotonic());
      socket.on('close', () => this.#fresh.delete(socket));
    });
    server.on('request', (request: IncomingMessage) => {
      this.#fresh.delete(request.socket);
      if (!this.#isProbe(request.url ?? '')) this.#requestMs = this.#clock.monotonic();
    });
  }

  /** On the clock's monotonic scale; -Infinity when nothing has come yet. */
  get lastMs(): number {
    return Math.max(this.#requestMs, ...this.#fresh.values());
  }
}
