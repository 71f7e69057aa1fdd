/**
 * The time of a server's latest request, or of its newest open connection that has not sent a request yet.
 *
 * Owns:  this time. Requests of probes do not count, because the kubelet continues to send them while a pod terminates.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';

export class Arrivals {
  readonly #clock: Clock;
  readonly #isProbe: (url: string) => boolean;
  /** Open connections that have not sent a request yet, with the time of their opening. */
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

  /** Call it for each request that `server` does not announce by its event `request`, except for requests of probes. */
  arrived(socket: Socket): void {
    this.#fresh.delete(socket);
    this.#requestMs = this.#clock.monotonic();
  }

  /** The time on the clock's monotonic scale; -Infinity before the first request or connection. */
  get lastMs(): number {
    return Math.max(this.#requestMs, ...this.#fresh.values());
  }
}
