/**
 * A small HTTP server for an express application: one that says where it listens and that ends.
 *
 * Owns:   listening, and closing within a bounded time: idle connections at once, busy ones when they are
 *         done or the time is over.
 * Limits: headers 16 KiB, 10 s to send them, 60 s for a whole request.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppError, messageOf } from '../api/errors.ts';
import { systemClock } from './clock.ts';
import { ConnectionRoom } from './connection-room.ts';

export type HttpServer = {
  readonly address: string;
  readonly port: number;
  /** Stops listening, and resolves when every connection has ended; those still busy after `graceMs` are cut. */
  close(graceMs?: number): Promise<void>;
};

export type HttpServerLimits = {
  /** How long a connection may idle between requests. Longer than the pause of whoever asks again and again. */
  readonly keepAliveMs?: number;
  /** One more ends a connection that does nothing (connection-room.ts). */
  readonly maxConnections?: number;
};

function makeRoom(server: Server, maxConnections: number): void {
  const room = new ConnectionRoom<Socket>(maxConnections, systemClock);
  server.on('connection', (socket: Socket) => {
    socket.on('close', () => room.closed(socket));
    room.opened(socket);
  });
  server.on('request', ({ socket }, response) => {
    room.began(socket);
    response.on('close', () => room.ended(socket));
  });
}

/**
 * @param port 0 for any free one
 * @throws AppError PORT_TAKEN, or BAD_CONFIG when the address is not of this machine
 */
export async function serveHttp(app: RequestListener, address: string, port: number, limits: HttpServerLimits = {}): Promise<HttpServer> {
  const { keepAliveMs, maxConnections } = limits;
  const idle = keepAliveMs === undefined ? {} : { keepAliveTimeout: keepAliveMs };
  const server = createServer({ maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 60_000, ...idle }, app);
  if (maxConnections !== undefined) makeRoom(server, maxConnections);
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(
      error.code === 'EADDRINUSE'
        ? new AppError('PORT_TAKEN', { address, port }, { cause: error })
        : new AppError('BAD_CONFIG', { where: `${address}:${port}`, problem: `cannot listen there: ${messageOf(error)}` }, { cause: error }),
    );
    server.once('error', onError);
    server.listen(port, address, () => {
      server.off('error', onError);
      resolve();
    });
  });
  return {
    address,
    port: (server.address() as AddressInfo).port,
    close: (graceMs = 1000) => new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      server.close(() => {
        clearTimeout(cut);
        resolve();
      });
      server.closeIdleConnections();
    }),
  };
}
