/**
 * The API server of local mode (a Kubernetes cluster in one process on this machine), over TLS, for one user with a
 * token.
 * Owns: the socket, authentication, and turning errors into answers. Objects are in core.ts, files in journal.ts.
 * Limits: 64 KiB of headers, bodies of 3 MiB, a minute for a request to arrive, 1,024 connections.
 * Ends: `close` ends every watch and connection, then writes the store to disk.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { LogSource, Objects } from '../objects.ts';
import { createCore, type ApiDeps } from './core.ts';
import { expireEvents } from './event-expiry.ts';
import { ApiExchange } from './http/exchange.ts';
import { Faults } from './http/faults.ts';
import { PortForwards, wantsPortForward } from './http/port-forward.ts';
import { OpenApi } from './http/openapi.ts';
import { route, type RouteDeps } from './http/router.ts';
import { Watches } from './http/watch.ts';
import { openJournal, type Journal } from './journal.ts';
import { kubeconfigFor } from './kubeconfig.ts';
import { selfSigned } from './self-signed.ts';
import { StatusError } from './status.ts';

export type ApiServerDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The IPv4 address to listen on, which should be a loopback address. Absent: 127.0.0.1. */
  readonly host?: string;
  /** The port to listen on. Absent or 0: any free port. */
  readonly port?: number;
  /** The folder that keeps objects across restarts. Absent: objects are kept in memory only. */
  readonly dataDir?: string;
  readonly logs?: LogSource;
  /** The range of ClusterIPs, as CIDR. */
  readonly serviceRange?: string;
  /** The token that clients must send. Absent: a new token is made. */
  readonly token?: string;
  /** Milliseconds between bookmarks of an idle watch. Absent: a minute, as on kube-apiserver. */
  readonly bookmarkMs?: number;
};

export interface LocalApiServer {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  /**
   * PEM of the certificate that clients must trust; the kubeconfig contains it. kubectl sends a token over TLS only.
   */
  readonly certificate: string;
  /** The objects of this server, for code that reads and writes without HTTP. */
  readonly objects: Objects;
  readonly faults: Faults;
  /** Sets the source of logs: the kubelet, which starts after the server. */
  setLogs(source: LogSource): void;
  kubeconfig(): string;
  close(): Promise<void>;
}

const maxHeaderBytes = 64 * 1024;
const defaultBookmarkMs = 60_000;
const openPaths = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** Starts the server. @throws AppError PORT_TAKEN; FILE_UNREADABLE and BAD_CONFIG for the data folder */
export async function startApiServer(deps: ApiServerDeps): Promise<LocalApiServer> {
  const { clock, logger, host = '127.0.0.1', port = 0, token = randomBytes(24).toString('base64url') } = deps;
  const journal = deps.dataDir === undefined ? undefined : await openJournal(deps.dataDir, logger);
  const core = createCore({
    clock,
    logger,
    ...(deps.serviceRange === undefined ? {} : { serviceRange: deps.serviceRange }),
    ...(journal === undefined ? {} : { loaded: journal.loaded, follow: (store) => journal.follow(store) }),
  });
  const watches = new Watches();
  const faults = new Faults({ watches, store: core.store, clock });
  let logs = deps.logs;
  const routing: RouteDeps = {
    core,
    openApi: new OpenApi(core.catalog),
    watches,
    watchOptions: { bookmarkMs: deps.bookmarkMs ?? defaultBookmarkMs },
    logs: () => logs,
  };
  const { certificate, privateKey } = selfSigned([host], clock.now());
  const server = createServer(
    {
      cert: certificate,
      key: privateKey,
      maxHeaderSize: maxHeaderBytes,
      requestTimeout: 60_000,
      keepAliveTimeout: 120_000,
      shouldUpgradeCallback: wantsPortForward,
    },
    (request, response) => {
      void answer({ route: routing, faults, token, logger }, request, response);
    },
  );
  const forwards = new PortForwards();
  server.on('upgrade', (request, socket, head) =>
    forwards.start(core, { request, socket, head }, () => mustBeAllowed(request, token)),
  );
  server.maxConnections = 1_024;
  const bound = await listen(server, host, port);
  const stopExpiring = expireEvents(core);
  const url = `https://${host}:${bound}`;
  return {
    url,
    port: bound,
    token,
    certificate,
    objects: core.objects,
    faults,
    setLogs: (source) => void (logs = source),
    kubeconfig: () => kubeconfigFor({ server: url, token, certificate }),
    close: () => {
      stopExpiring();
      forwards.closeAll();
      return end({ server, core, watches, journal });
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE' ? new AppError('PORT_TAKEN', { address: host, port }, { cause: error }) : error,
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

async function end(parts: {
  server: Server;
  core: ApiDeps;
  watches: Watches;
  journal: Journal | undefined;
}): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    parts.server.close(() => resolve());
  });
  parts.watches.closeAll();
  parts.server.closeAllConnections();
  await closed;
  parts.core.end();
  await parts.journal?.close();
}

type AnswerDeps = {
  readonly route: RouteDeps;
  readonly faults: Faults;
  readonly token: string;
  readonly logger: Logger;
};

/** Handles a request. Never rejects: every error becomes an answer. */
async function answer(deps: AnswerDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let exchange: ApiExchange | undefined;
  try {
    exchange = new ApiExchange(request, response);
    if (!openPaths.has(exchange.path)) mustBeAllowed(request, deps.token);
    if (await deps.faults.pass(exchange)) await route(deps.route, exchange);
  } catch (error) {
    refuse(deps, exchange, response, error);
  }
}

function refuse(deps: AnswerDeps, exchange: ApiExchange | undefined, response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  // When the client closed the connection in the middle of its request, do not answer.
  const hasLeft = exchange !== undefined && exchange.request.destroyed && !exchange.request.complete;
  if (exchange === undefined || hasLeft || response.headersSent) response.destroy();
  else if (error instanceof StatusError) exchange.sendError(error);
  else {
    deps.logger.error('request failed', { err: error, method: exchange.method, path: exchange.path });
    exchange.sendError(new StatusError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`));
  }
}

function mustBeAllowed(request: IncomingMessage, token: string): void {
  const [shown, wanted] = [Buffer.from(request.headers.authorization ?? ''), Buffer.from(`Bearer ${token}`)];
  if (shown.length !== wanted.length || !timingSafeEqual(shown, wanted))
    throw new StatusError(401, 'Unauthorized', 'Unauthorized');
}
