/**
 * One request and its answer, from the first header to the last byte.
 *
 * Owns:  the order: find the route, let in or refuse, run the handler, write the answer, count it, keep it as a sample
 *        if it was chosen. Handlers only translate.
 * Ends:  every request gets exactly one answer, unless its client is gone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Draft, Sampler } from '../agreement/sampler.ts';
import { sizeClassOf, tier, type Counters } from '../counters.ts';
import type { ClientError } from '../tasks/task.ts';
import { ClientGone, clientErrorOf, errorHeaders, jsonAnswer, protocolErrorBody, type Answer } from './answer.ts';
import { readBody, type BodyBudget, type Lease } from './body.ts';
import type { RouteName, RuntimeMetrics } from './metrics.ts';
import { findRoute, type Route, type RouteTable } from './routes.ts';
import type { Tally } from './tally.ts';
import { RequestTrace, serverTiming } from './trace.ts';

export type ExchangeWorld = {
  readonly routes: () => RouteTable;
  readonly admit: () => void;
  /** How long somebody who came now would wait. */
  readonly expectedWaitMs: () => number;
  /** Answers then say `Connection: close`. */
  readonly draining: () => boolean;
  /** Of one body, also after decompression. */
  readonly bodyLimitBytes: () => number;
  readonly budget: BodyBudget;
  readonly metrics: Pick<RuntimeMetrics, 'served' | 'refused'>;
  readonly counters: Pick<Counters, 'record'>;
  readonly tally: Pick<Tally, 'answered' | 'failed'>;
  readonly sampler: Pick<Sampler, 'on' | 'choose'>;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** What a handler sees of its request. */
export type Exchange = {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed and bounded. @param headBytes bytes before data that should lie aligned, 0 for none */
  readonly readBody: (headBytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  readonly trace: RequestTrace;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
  /** On the clock's monotonic scale, from the header; undefined without one. */
  readonly deadlineMs: number | undefined;
  /** The clock's monotonic scale. */
  readonly nowMs: () => number;
};

/** The header by which a client says how long its answer is worth waiting for. */
export const timeoutHeader = 'x-request-timeout-ms';
/** nginx's status for a client that left; nobody is sent it. */
const abandoned = 499;
let lastRequest = 0;

/** Never rejects. */
export async function serveRequest(world: ExchangeWorld, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => { if (!response.writableFinished) gone.abort(new ClientGone()); });
  const lease = world.budget.lease();
  const live: Live = { request, response, lease, signal: gone.signal, trace: new RequestTrace(world.clock), requestId: requestIdOf(request), draft: undefined };
  let route: Route | undefined;
  try {
    route = findRoute(world.routes(), request.method ?? 'GET', pathOf(request.url ?? '/'));
    if (route.needsRoom) world.admit();
    succeed(world, live, { route, answer: await route.handle(exchangeOf(world, live, route)) });
  } catch (error) {
    fail(world, live, { route, error });
  } finally {
    live.draft?.dropped();
    lease.end();
    // An unread body is let run past: the client finishes sending and reads its answer on a connection that stays usable.
    if (!request.readableEnded) request.resume();
  }
}

function succeed(world: ExchangeWorld, live: Live, { route, answer }: { readonly route: Route; readonly answer: Answer }): void {
  live.trace.encoded();
  write(world, live, answer);
  record(world, { route: route.name, trace: live.trace, status: answer.status });
  if (answer.status === 200) live.draft?.answered(sampleOf(live, answer));
}

/** What the answer adds to a sample. A version in the path is ours: whoever is asked this next has another. */
function sampleOf({ request, trace }: Live, { chunks, bytes, headers }: Answer): Parameters<Draft['answered']>[0] {
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    const part = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    body.set(part, at);
    at += part.length;
  }
  return { path: pathOf(request.url ?? '/').replace(/\/versions\/[^/]*/, ''), answer: { body, jsonBytes: jsonBytesIn(headers) }, tier, sizeClass: sizeClassOf(trace.elements) };
}

function jsonBytesIn(headers: Readonly<Record<string, string | string[] | undefined>> = {}): number | undefined {
  const header = headers['inference-header-content-length'];
  return header === undefined ? undefined : Number(header);
}

function fail(world: ExchangeWorld, live: Live, { route, error }: { readonly route: Route | undefined; readonly error: unknown }): void {
  const { trace, signal, request, requestId } = live;
  trace.encoded();
  const shown = clientErrorOf(error);
  const left = signal.aborted || request.socket.destroyed;
  if (!left) {
    write(world, live, errorAnswer(world, route, shown));
    if (shown.kind === 'bug') world.logger.error('request failed', { requestId, err: error });
  }
  record(world, { route: route?.name ?? 'other', trace, status: left ? abandoned : shown.status, error: shown });
}

type Live = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly trace: RequestTrace;
  readonly requestId: string;
  /** The request, when it was chosen as a sample. */
  draft: Draft | undefined;
};

function exchangeOf(world: ExchangeWorld, live: Live, route: Route): Exchange {
  const { request, trace, signal, lease } = live;
  const timeoutMs = timeoutOf(request.headers[timeoutHeader]);
  return {
    headers: headersOf(request),
    trace,
    signal,
    nowMs: () => world.clock.monotonic(),
    deadlineMs: timeoutMs === undefined ? undefined : world.clock.monotonic() + timeoutMs,
    readBody: async (headBytes) => {
      const body = await readBody(request, { limitBytes: world.bodyLimitBytes(), headBytes, lease });
      trace.received();
      if (world.sampler.on && isInference(route.name)) live.draft = world.sampler.choose({ body, jsonBytes: jsonBytesIn(request.headers) });
      return body;
    },
  };
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function headersOf(request: IncomingMessage): Readonly<Record<string, string | undefined>> {
  // Node joins repeated headers by ", " already, but for set-cookie, which no request has.
  return request.headers as Readonly<Record<string, string | undefined>>;
}

function timeoutOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = Number(header);
  if (!Number.isFinite(ms) || ms <= 0) throw new AppError('REQUEST_INVALID', { problem: `${timeoutHeader} is no number of milliseconds above 0` });
  return ms;
}

function errorAnswer(world: ExchangeWorld, route: Route | undefined, error: ClientError): Answer {
  const body = (route?.errorBody ?? protocolErrorBody)(error);
  return jsonAnswer(body, error.status, errorHeaders(error, world.expectedWaitMs()));
}

function write(world: ExchangeWorld, { response, trace, requestId }: Live, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const headers: Record<string, string | number> = {
    ...answer.headers,
    'content-type': answer.contentType,
    'content-length': answer.bytes,
    'server-timing': serverTiming(trace.times),
    'x-request-id': requestId,
  };
  if (world.draining()) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  const [first, ...rest] = answer.chunks;
  if (rest.length === 0) {
    response.end(first);
    return;
  }
  response.cork();
  for (const chunk of answer.chunks) response.write(chunk);
  response.end();
  response.uncork();
}

/** The client's, if it is fit to be written into a header and a log; else one of ours. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  if (typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given)) return given;
  lastRequest += 1;
  return `r-${process.pid.toString(36)}-${lastRequest.toString(36)}`;
}

type Result = { readonly route: RouteName; readonly trace: RequestTrace; readonly status: number; readonly error?: ClientError };

function record(world: ExchangeWorld, { route, trace, status, error }: Result): void {
  const kind = status === abandoned ? 'abandoned' : error?.kind;
  world.metrics.served({ route, status, kind, times: trace.times });
  world.logger.debug('request answered', { route, status, ms: Math.round(trace.totalMs), code: error?.code });
  if (isInference(route)) recordInference(world, { route, trace, status, ...(error === undefined ? {} : { error }) });
}

function isInference(route: RouteName): boolean {
  return route === 'infer' || route === 'task';
}

function recordInference({ metrics, counters, tally }: ExchangeWorld, { trace, status, error }: Result): void {
  const { elements, totalMs } = trace;
  if (error === undefined) {
    tally.answered(totalMs, trace.times);
    counters.record({ is: 'Ok', elements, seconds: totalMs / 1000 });
    return;
  }
  tally.failed();
  metrics.refused(status === abandoned ? 'CLIENT_GONE' : error.code);
  // Whoever left got no answer: neither good nor bad is known of it.
  if (status !== abandoned) counters.record({ is: 'Error', elements, kind: error.kind });
}
