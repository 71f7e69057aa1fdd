/**
 * The sidecar's HTTP side: `GET /report` and `GET /healthz`.
 *
 * Owns:   its sockets, their limits, and compression. It answers from memory and never waits for the runtime.
 * Limits: 32 connections, 8 KiB of headers, no body is read. A pod has one operator and perhaps a person with curl.
 * Ends:   `close` ends every connection at once; a report is milliseconds, and the operator asks again.
 */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import express, { type Express, type Request, type Response } from 'express';
import { AppError } from '../../api/errors.ts';
import type { Report } from '../../api/report.ts';

/** What is served; read anew at each request. */
export type Served = {
  readonly report: () => Report;
  readonly alive: () => boolean;
};

export interface SidecarServer {
  close(): Promise<void>;
}

const compress = promisify(gzip);
/** Less than a packet: compressing saves nothing. */
const compressFromBytes = 1_024;

/** @throws AppError PORT_TAKEN */
export async function startSidecarServer(served: Served, addresses: readonly string[], port: number): Promise<SidecarServer> {
  const app = sidecarApp(served);
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(endServer));
  };
  try {
    for (const address of addresses) servers.push(await listen(app, address, port));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

/** The routes alone, for whoever brings the socket. */
export function sidecarApp(served: Served): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.get('/report', (request, response) => sendReport(served.report(), request, response));
  app.get('/healthz', (_request, response) => {
    const alive = served.alive();
    response.status(alive ? 200 : 500).type('text/plain').send(alive ? 'ok\n' : 'the collector does not turn any more\n');
  });
  app.use((request, response) => {
    const error = new AppError('PATH_UNKNOWN', { method: request.method, path: request.path.slice(0, 200) });
    response.status(404).json({ error: { code: error.code, message: error.message } });
  });
  return app;
}

async function sendReport(report: Report, request: Request, response: Response): Promise<void> {
  const body = Buffer.from(JSON.stringify(report));
  response.set({ 'content-type': 'application/json', 'cache-control': 'no-store', vary: 'accept-encoding' });
  if (body.length < compressFromBytes || request.acceptsEncodings('gzip') === false) {
    response.send(body);
    return;
  }
  response.set('content-encoding', 'gzip').send(await compress(body));
}

async function listen(app: Express, address: string, port: number): Promise<Server> {
  const server = createServer({ maxHeaderSize: 8 << 10, requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 40_000 }, app);
  server.maxConnections = 32;
  server.listen(port, address);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new AppError('PORT_TAKEN', { address, port }, { cause: error });
    throw error;
  }
  return server;
}

function endServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
