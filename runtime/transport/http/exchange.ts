/**
 * Turns an HTTP request into a call (call/perform.ts), and writes its answer.
 *
 * Owns:  the HTTP part of a call: path, headers, body, memory budget, and detecting that the client disconnected.
 * Ends:  every request is answered exactly once, unless its client disconnected.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../api/errors.ts';
import type { Tier } from '../../../api/tiers.ts';
import { formatBytes } from '../../../api/units.ts';
import { ClientGone, isStream, type Answer } from '../../call/answer.ts';
import { besideHeader } from '../../call/beside.ts';
import type { Call, Handler, IncomingCall } from '../../call/handler.ts';
import { perform, type CallDeps } from '../../call/perform.ts';
import { readBody } from './body.ts';
import { handlerAt, type RouteTable } from './routes.ts';
import { sendBody } from './send.ts';
import type { BodyLease, Transfers } from './transfers.ts';

export type HttpDeps = {
  readonly routes: () => RouteTable;
  /** While true, answers carry `Connection: close`. */
  readonly draining: () => boolean;
  /** Limit of one body, also after decompression. */
  readonly bodyLimitBytes: () => number;
  readonly transfers: Transfers;
};

/** How a request is treated: the dependencies of its call, and its tier. */
export type Terms = {
  readonly calls: CallDeps;
  readonly tier: Tier;
};

/**
 * A request that the sidecar marked with besideHeader has the tier bulk.
 * @param deps dependencies of uncounted calls
 */
export function sidecarTerms(deps: CallDeps, { headers }: Pick<IncomingMessage, 'headers'>): Terms {
  return { calls: deps, tier: headers[besideHeader] === undefined ? 'interactive' : 'bulk' };
}

/** The header in which a client sets its deadline, in milliseconds. */
export const timeoutHeader = 'x-request-timeout-ms';
const requestPrefix = `r-${process.pid.toString(36)}-`;
let lastRequest = 0;

/** Never rejects. */
export function serveRequest(
  deps: HttpDeps,
  terms: Terms,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = pathOf(request.url ?? '/');
  const handler = handlerAt(deps.routes(), request.method ?? 'GET', path);
  return serveBy(handler, deps, terms, { request, response, path });
}

/** Serves a request whose handler the caller chose. Never rejects. */
export async function serveBy(
  handler: Handler,
  deps: HttpDeps,
  { calls, tier }: Terms,
  { request, response, path }: Exchange,
): Promise<void> {
  const answer = await perform(calls, incomingCall(deps, tier, { request, response, path }), handler);
  // The answer is undefined when the client has disconnected.
  if (answer === undefined) response.destroy();
  else write(deps, response, answer);
  // Discard the rest of an unread body, so that the client can finish sending and the connection stays usable.
  if (!request.readableEnded) request.resume();
}

export type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly path: string };

function incomingCall(deps: HttpDeps, tier: Tier, { request, response, path }: Exchange): IncomingCall {
  const ending = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) ending.abort(new ClientGone());
  });
  const lease = deps.transfers.lease();
  return {
    requestId: requestIdOf(request.headers['x-request-id']),
    path,
    headers: headersOf(request),
    tier,
    address: request.socket.remoteAddress,
    timeoutMs: () => timeoutIn(request.headers[timeoutHeader]),
    readBody: (headBytes) => bodyOf(request, { limitBytes: deps.bodyLimitBytes(), headBytes, lease }),
    hold: holdOf(deps, lease),
    release: lease.end,
    ending,
    isGone: () => request.socket.destroyed,
  };
}

function bodyOf(request: IncomingMessage, rules: Parameters<typeof readBody>[1]): Promise<Uint8Array<ArrayBuffer>> {
  return readBody(request, rules).catch((error: unknown) => {
    // If the connection broke while the body was read, the client disconnected; this is not a failure of the server.
    throw request.errored === null || request.errored === undefined || error instanceof AppError
      ? error
      : new ClientGone();
  });
}

/**
 * Charges the memory of an answer while it is made. Once the answer is written, send.ts charges the part that is not
 * sent yet.
 */
export function holdOf({ transfers }: Pick<HttpDeps, 'transfers'>, lease: BodyLease): Call['hold'] {
  let held = 0;
  return (bytes) => {
    held += bytes;
    const { limitBytes } = transfers;
    if (held > limitBytes)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: `the answer needs ${formatBytes(held)} or more`,
        limit: formatBytes(limitBytes),
        advice: 'send fewer rows, or ask for fewer outputs',
      });
    lease.grow(bytes);
  };
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function headersOf(request: IncomingMessage): Call['headers'] {
  // Node joins repeated headers by ", ", except set-cookie, which requests do not carry.
  return request.headers as Call['headers'];
}

/** @throws AppError REQUEST_INVALID */
export function timeoutIn(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = Number(header);
  if (!Number.isFinite(ms) || ms <= 0)
    throw new AppError('REQUEST_INVALID', { problem: `${timeoutHeader} is not a number of milliseconds above 0` });
  return ms;
}

function write(deps: HttpDeps, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) {
    if (isStream(answer.body)) void answer.body[Symbol.asyncIterator]().return?.();
    return;
  }
  const headers: Record<string, string | number> = {
    ...answer.headers,
    'content-type': answer.contentType,
  };
  if (!isStream(answer.body)) headers['content-length'] = answer.body.bytes;
  if (deps.draining() || answer.closes === true) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  sendBody(response, answer.body, deps.transfers);
}

/** The client's request id if it is safe in a header and in logs, else a generated one. */
export function requestIdOf(given: string | string[] | undefined): string {
  if (typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given)) return given;
  lastRequest += 1;
  return requestPrefix + lastRequest.toString(36);
}
