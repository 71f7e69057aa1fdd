/**
 * The sidecar's HTTP side: `GET /report`, `GET /healthz`, and `POST /samples` for a candidate's sidecar.
 *
 * Owns:   the routes and compression, and that a report stays within its bound. A report is answered from memory and
 *         never waits for the runtime; samples are passed on from it and kept nowhere.
 * Limits: 32 connections, of which one that is idle makes room for a new one; no body is read. A pod has one operator,
 *         a few candidates' pods and perhaps a person with curl.
 * Ends:   every connection at once; a report is milliseconds, and the operator asks again.
 */
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import express, { type Express, type Request, type Response } from 'express';
import { peersTokenHeader, tokenHeader } from '../../api/access.ts';
import { AppError } from '../../api/errors.ts';
import { serveHttp, type HttpServer } from '../../lib/http-serve.ts';
import { reportLimitBytes, type Blocks, type Report } from '../../api/report.ts';
import { maxTaken } from '../sampling/sample.ts';
import type { Door } from '../config/access-file.ts';
import { askedIn, type Asked } from './asked.ts';

/** What is served; read anew at each request. */
export type Served = {
  /** Without blocks. */
  readonly report: () => Report;
  /** @param from only blocks from this one on @param limitBytes of their JSON */
  readonly blocks?: (from: number | undefined, limitBytes: number) => Blocks | undefined;
  /** Hears what every request for a report asks for beside it. */
  readonly onAsked?: (asked: Asked) => void;
  /** Samples of the runtime, as they travel; undefined when there are none to be had. */
  readonly takeSamples?: (max: number) => Promise<Uint8Array | undefined>;
  readonly alive: () => boolean;
  /** Who may ask for more than a report. */
  readonly door: Pick<Door, 'isOpenTo'>;
};

const compress = promisify(gzip);
/** The operator asks every half a minute at rest: its connection outlasts that. */
const limits = { keepAliveMs: 40_000, maxConnections: 32 };
/** Less than a packet: compressing saves nothing. */
const compressFromBytes = 1_024;

/** Ends every connection at once. */
export type EndServing = () => Promise<void>;

/** @throws AppError PORT_TAKEN */
export async function serveReports(served: Served, addresses: readonly string[], port: number): Promise<EndServing> {
  const app = sidecarApp(served);
  const servers: HttpServer[] = [];
  const end: EndServing = async () => {
    await Promise.all(servers.map((server) => server.close(0)));
  };
  try {
    for (const address of addresses) servers.push(await serveHttp(app, address, port, limits));
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}

/** The routes alone, for whoever brings the socket. */
export function sidecarApp(served: Served): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  // A fault of ours is answered without its stack.
  app.set('env', 'production');
  app.get('/report', (request, response) => answerReport(served, request, response));
  app.post('/samples', (request, response) => answerSamples(served, request, response));
  app.get('/healthz', (_request, response) => {
    const alive = served.alive();
    response
      .status(alive ? 200 : 500)
      .type('text/plain')
      .send(alive ? 'ok\n' : 'the collector does not turn any more\n');
  });
  app.use((request, response) => {
    const error = new AppError('PATH_UNKNOWN', { method: request.method, path: request.path.slice(0, 200) });
    response.status(404).json({ error: { code: error.code, message: error.message } });
  });
  return app;
}

async function answerReport(served: Served, request: Request, response: Response): Promise<void> {
  let asked: Asked;
  try {
    asked = askedIn(queryOf(request), request.headers[peersTokenHeader]);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    response.status(400).json({ error: { code: error.code, message: error.message } });
    return;
  }
  // Anybody may read; what the operator asked for before goes on whoever reads.
  if (served.door.isOpenTo(request.headers[tokenHeader])) served.onAsked?.(asked);
  await send(reportText(served, asked), request, response);
}

async function answerSamples({ takeSamples, door }: Served, request: Request, response: Response): Promise<void> {
  if (!door.isOpenTo(request.headers[tokenHeader])) {
    const error = new AppError('TOKEN_MISSING', { what: 'samples of live requests' });
    response.status(401).json({ error: { code: error.code, message: error.message } });
    return;
  }
  const max = Number(queryOf(request).get('max') ?? 1);
  const bytes = await takeSamples?.(Number.isSafeInteger(max) && max > 0 ? Math.min(max, maxTaken) : 1);
  if (bytes === undefined) response.status(503).json({ error: { message: 'the runtime gives no samples' } });
  else
    response
      .set({ 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
      .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

/** A request line may hold a whole URL with a host and port that are none: only what is asked counts. */
function queryOf({ url }: Request): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at));
}

/** The report with as many blocks as fit, which are what makes it long. */
function reportText({ report, blocks }: Served, { blocksFrom }: Asked): string {
  const rest = report();
  const restText = JSON.stringify(rest);
  const claimed = blocks?.(blocksFrom, reportLimitBytes - Buffer.byteLength(restText) - ',"blocks":'.length);
  return claimed === undefined ? restText : JSON.stringify({ ...rest, blocks: claimed });
}

async function send(text: string, request: Request, response: Response): Promise<void> {
  const body = Buffer.from(text);
  response.set({ 'content-type': 'application/json', 'cache-control': 'no-store', vary: 'accept-encoding' });
  if (body.length < compressFromBytes || request.acceptsEncodings('gzip') === false) {
    response.send(body);
    return;
  }
  response.set('content-encoding', 'gzip').send(await compress(body));
}
