/**
 * Runs an express application as an HTTP server.
 * Owns: listening, and closing within a bounded time: idle connections at once, busy connections when they finish or
 * when the time is up.
 * Limits: headers 16 KiB, 10 s to send them, 60 s for a whole request, 30 s without progress in sending an answer.
 * Beyond `maxConnections`, the connection that has been idle for the longest time is closed.
 */
import type { RequestListener } from 'node:http';
import { createServer } from './node-http.ts';
import type { AddressInfo } from 'node:net';
import { AppError, messageOf } from '../api/errors.ts';
import { Connections } from './connections.ts';

const spareConnections = 16;
const stalledMs = 30_000;

export type HttpServer = {
  readonly address: string;
  readonly port: number;
  /**
   * Stops listening and resolves when every connection has ended. Connections that are still busy after `graceMs` are
   * closed.
   */
  close(graceMs?: number): Promise<void>;
};

export type HttpServerLimits = {
  /**
   * How long a connection may idle between requests, in milliseconds. It should be longer than the interval at which
   * clients poll.
   */
  readonly keepAliveMs?: number;
  /** Beyond this number, the connection that has been idle for the longest time is closed. */
  readonly maxConnections?: number;
};

/**
 * @param port 0 for any free port
 * @throws AppError PORT_TAKEN, or BAD_CONFIG when the address does not belong to this machine
 */
export async function serveHttp(
  app: RequestListener,
  address: string,
  port: number,
  limits: HttpServerLimits = {},
): Promise<HttpServer> {
  const { keepAliveMs, maxConnections } = limits;
  const idle = keepAliveMs === undefined ? {} : { keepAliveTimeout: keepAliveMs };
  const connections = new Connections({
    maxConnections: maxConnections ?? Number.MAX_SAFE_INTEGER,
    spare: spareConnections,
  });
  const server = createServer(
    { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 60_000, requireHostHeader: false, ...idle },
    (request, response) => {
      if (!connections.isOver(request.socket)) app(request, response);
    },
  );
  server.on('checkExpectation', (request, response) => {
    if (!connections.isOver(request.socket)) response.writeHead(417, { connection: 'close' }).end();
  });
  // Without this time-out, Node would keep an answer for ever if the client does not read the answer. Node sets another
  // time-out once the answer has been sent.
  server.on('request', (_request, response) => response.on('prefinish', () => response.setTimeout(stalledMs)));
  connections.watch(server);
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void =>
      reject(
        error.code === 'EADDRINUSE'
          ? new AppError('PORT_TAKEN', { address, port }, { cause: error })
          : new AppError(
              'BAD_CONFIG',
              { where: `${address}:${port}`, problem: `cannot listen on this address: ${messageOf(error)}` },
              { cause: error },
            ),
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
    close: (graceMs = 1000) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
