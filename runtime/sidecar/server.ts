/**
 * The sidecar's HTTP server: `GET /report`, `GET /healthz`, and `POST /samples` for a candidate's sidecar. Samples are
 * answered requests of users, which the candidate (the revision that may replace this one) answers too. A report has
 * the counts of the pod, in blocks of 20 s. A request for a report may carry instructions of the operator.
 *
 * Owns:   the routes and compression. A report is served from memory and never waits for the runtime.
 * Limits: a report has at most `reportLimitBytes`; 32 connections; a further connection replaces an idle one. Request
 *         bodies are not read.
 * Ends:   closes every connection at once; the operator repeats a lost request.
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

/** The data behind the routes; every function is called at each request. */
export type ReportServerDeps = {
  /** The report without blocks. */
  readonly report: () => Report;
  /** @param from index of the first block @param limitBytes maximum size of the blocks as JSON */
  readonly blocks?: (from: number | undefined, limitBytes: number) => Blocks | undefined;
  /** Called with the instructions in a request for a report that carries the token. */
  readonly onAsked?: (asked: Asked) => void;
  /**
   * Takes at most `max` sampled requests with their answers from the runtime, encoded as in sampling/sample.ts.
   * Undefined when the runtime did not provide them.
   */
  readonly takeSamples?: (max: number) => Promise<Uint8Array | undefined>;
  readonly alive: () => boolean;
  /** Checks the token, which is required for instructions and samples. */
  readonly door: Pick<Door, 'isOpenTo'>;
};

const compress = promisify(gzip);
/** Without a rollout, the operator reads a report every 30 s, so its connection is kept open for longer than 30 s. */
const limits = { keepAliveMs: 40_000, maxConnections: 32 };
/** A smaller body fits into one packet, so compression saves nothing. */
const compressFromBytes = 1_024;

/** Closes every connection at once. */
export type EndServing = () => Promise<void>;

/** @throws AppError PORT_TAKEN */
export async function serveReports(
  deps: ReportServerDeps,
  addresses: readonly string[],
  port: number,
): Promise<EndServing> {
  const app = sidecarApp(deps);
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

/** The routes without a socket, also used by tests. */
export function sidecarApp(deps: ReportServerDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  // In production mode Express leaves the stack trace out of error answers.
  app.set('env', 'production');
  app.get('/report', (request, response) => answerReport(deps, request, response));
  app.post('/samples', (request, response) => answerSamples(deps, request, response));
  app.get('/healthz', (_request, response) => {
    const alive = deps.alive();
    response
      .status(alive ? 200 : 500)
      .type('text/plain')
      .send(alive ? 'ok\n' : 'the collector loop is stuck\n');
  });
  app.use((request, response) => {
    const error = new AppError('PATH_UNKNOWN', { method: request.method, path: request.path.slice(0, 200) });
    response.status(404).json({ error: { code: error.code, message: error.message } });
  });
  return app;
}

async function answerReport(deps: ReportServerDeps, request: Request, response: Response): Promise<void> {
  let asked: Asked;
  try {
    asked = askedIn(queryOf(request), request.headers[peersTokenHeader]);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    response.status(400).json({ error: { code: error.code, message: error.message } });
    return;
  }
  // A report needs no token. Instructions without the token are ignored, so other readers cannot change the operator's
  // instructions.
  if (deps.door.isOpenTo(request.headers[tokenHeader])) deps.onAsked?.(asked);
  await send(reportText(deps, asked), request, response);
}

async function answerSamples(
  { takeSamples, door }: ReportServerDeps,
  request: Request,
  response: Response,
): Promise<void> {
  if (!door.isOpenTo(request.headers[tokenHeader])) {
    const error = new AppError('TOKEN_MISSING', { what: 'samples of live requests' });
    response.status(401).json({ error: { code: error.code, message: error.message } });
    return;
  }
  const max = Number(queryOf(request).get('max') ?? 1);
  const bytes = await takeSamples?.(Number.isSafeInteger(max) && max > 0 ? Math.min(max, maxTaken) : 1);
  if (bytes === undefined) response.status(503).json({ error: { message: 'the runtime provided no samples' } });
  else
    response
      .set({ 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
      .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

/** Parses only the query, because a request line may hold a whole URL with an invalid host or port. */
function queryOf({ url }: Request): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at));
}

/** The report with as many of the newest blocks as fit into `reportLimitBytes`. */
function reportText({ report, blocks }: ReportServerDeps, { blocksFrom }: Asked): string {
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
