/**
 * One request and its answer, from the first header to the last byte.
 *
 * Owns:  the order: find the route, let in or refuse, run the handler, write the answer, count it, keep it as a sample
 *        if it was chosen. Handlers only translate.
 * Ends:  every request gets exactly one answer, unless its client is gone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../api/errors.ts';
import { present } from '../../../api/present.ts';
import { outcomeKindOf, type OutcomeKind } from '../../../api/outcomes.ts';
import { formatBytes } from '../../../api/units.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { serviceHeader } from '../../protocol/beside.ts';
import type { Draft, Sampler } from '../../sampling/sampler.ts';
import { sizeClassOf, tier, type Counters } from '../../call/counters.ts';
import type { ClientError } from '../../call/call.ts';
import { ClientGone, clientErrorOf, errorHeaders, jsonAnswer, type Answer } from '../../call/answer.ts';
import { readBody } from './body.ts';
import type { RouteName, RuntimeMetrics } from '../../call/metrics.ts';
import { errorBodyAt, findRoute, type Exchange, type Route, type RouteTable } from './routes.ts';
import type { Tally } from '../../call/tally.ts';
import { sendBody } from './send.ts';
import { RequestTrace, serverTiming } from '../../call/trace.ts';
import type { Lease, Transfers } from './transfers.ts';
import { ClientDeadline } from '../../call/client-deadline.ts';

export type ExchangeWorld = {
  readonly routes: () => RouteTable;
  readonly admit: () => void;
  /** How long somebody who came now would wait. */
  readonly expectedWaitMs: () => number;
  /** What the server allows a run at most; a client's deadline that is shorter is the client's own affair. */
  readonly ownDeadlineMs: () => number;
  /** Requests that have no answer yet. */
  readonly open: Set<ClientDeadline>;
  /** Answers then say `Connection: close`. */
  readonly draining: () => boolean;
  /** Of one body, also after decompression. */
  readonly bodyLimitBytes: () => number;
  readonly transfers: Transfers;
  readonly metrics: Pick<RuntimeMetrics, 'served' | 'refused'>;
  readonly counters: Pick<Counters, 'record'>;
  readonly tally: Pick<Tally, 'answered' | 'failed'>;
  readonly sampler: Pick<Sampler, 'on' | 'choose'>;
  /** Whether a request that must not be in a user's way would be let in now. */
  readonly isIdle: () => boolean;
  /** Answers to inference say how long the work took, where that is comparable. */
  readonly tellsService: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** The header by which a client says how long its answer is worth waiting for. */
export const timeoutHeader = 'x-request-timeout-ms';
/** nginx's status for a client that left; nobody is sent it. */
const abandoned = 499;
let lastRequest = 0;

/** Never rejects. */
export async function serveRequest(
  world: ExchangeWorld,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const ended = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) ended.abort(new ClientGone());
  });
  const deadline = new ClientDeadline(world.clock, ended);
  const live: Live = {
    request,
    response,
    deadline,
    lease: world.transfers.lease(),
    signal: ended.signal,
    trace: new RequestTrace(world.clock),
    requestId: requestIdOf(request),
    draft: undefined,
    cameWhileIdle: false,
  };
  let route: Route | undefined;
  world.open.add(deadline);
  try {
    route = findRoute(world.routes(), request.method ?? 'GET', pathOf(request.url ?? '/'));
    if (route.needsRoom) world.admit();
    succeed(world, live, { route, answer: await handled(world, live, route) });
  } catch (error) {
    fail(world, live, { route, error });
  } finally {
    deadline.dispose();
    world.open.delete(deadline);
    live.draft?.dropped();
    // An unread body is let run past: the client finishes sending and reads its answer on a connection that stays
    // usable.
    if (!request.readableEnded) request.resume();
  }
}

/**
 * The handler's answer, or REQUEST_EXPIRED when the deadline comes first, whatever the handler is doing: a run cannot
 * be stopped. The body stays charged until the handler is done with it.
 */
async function handled(world: ExchangeWorld, live: Live, route: Route): Promise<Answer> {
  const work = (async () => route.handle(exchangeOf(world, live, route)))().finally(() => live.lease.end());
  return Promise.race([work, live.deadline.expired]);
}

function succeed(
  world: ExchangeWorld,
  live: Live,
  { route, answer }: { readonly route: Route; readonly answer: Answer },
): void {
  live.trace.encoded();
  const serviceMs = live.cameWhileIdle ? live.trace.serviceMs : undefined;
  const told =
    world.tellsService && serviceMs !== undefined
      ? { ...answer, headers: { ...answer.headers, [serviceHeader]: serviceMs.toFixed(6) } }
      : answer;
  write(world, live, told);
  record(world, { route: route.name, trace: live.trace, status: answer.status });
  if (answer.status === 200) live.draft?.answered({ ...sampleOf(live, answer), ...present({ serviceMs }) });
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
  return {
    path: pathOf(request.url ?? '/').replace(/\/versions\/[^/]*/, ''),
    answer: { body, jsonBytes: jsonBytesIn(headers) },
    tier,
    sizeClass: sizeClassOf(trace.elements),
  };
}

function jsonBytesIn(headers: Readonly<Record<string, string | string[] | undefined>> = {}): number | undefined {
  const header = headers['inference-header-content-length'];
  return header === undefined ? undefined : Number(header);
}

function fail(
  world: ExchangeWorld,
  live: Live,
  { route, error }: { readonly route: Route | undefined; readonly error: unknown },
): void {
  const { trace, signal, request, requestId } = live;
  trace.encoded();
  const shown = clientErrorOf(error);
  const left = signal.reason instanceof ClientGone || error instanceof ClientGone || request.socket.destroyed;
  if (!left) {
    write(world, live, errorAnswer(world, bodyOfErrors(route, request), shown));
    if (shown.kind === 'bug') world.logger.error('request failed', { requestId, err: error });
  }
  const kind = outcomeKindOf({
    ...shown,
    clientDeadlineMs: live.deadline.givenMs,
    ownDeadlineMs: world.ownDeadlineMs(),
  });
  record(world, {
    route: route?.name ?? 'other',
    trace,
    status: left ? abandoned : shown.status,
    error: { code: shown.code, kind },
  });
}

type Live = {
  readonly deadline: ClientDeadline;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly trace: RequestTrace;
  readonly requestId: string;
  /** The request, when it was chosen as a sample. */
  draft: Draft | undefined;
  /** Its body came when the runtime was idle. Only looked at where a service time is wanted. */
  cameWhileIdle: boolean;
};

function exchangeOf(world: ExchangeWorld, live: Live, route: Route): Exchange {
  const { request, trace, signal, lease, deadline } = live;
  const timeoutMs = timeoutOf(request.headers[timeoutHeader]);
  const deadlineMs = deadline.endBy(timeoutMs === undefined ? undefined : world.clock.monotonic() + timeoutMs);
  return {
    headers: headersOf(request),
    trace,
    signal,
    hold: holdOf(world, live),
    nowMs: () => world.clock.monotonic(),
    deadlineMs,
    endBy: (earlierMs) => deadline.endBy(earlierMs),
    readBody: async (headBytes) => {
      const body = await readBody(request, { limitBytes: world.bodyLimitBytes(), headBytes, lease }).catch(
        (error: unknown) => {
          // The connection broke off in mid-body: nothing of ours failed.
          throw request.errored === null || request.errored === undefined || error instanceof AppError
            ? error
            : new ClientGone();
        },
      );
      signal.throwIfAborted();
      trace.received();
      if (world.sampler.on && isInference(route.name))
        live.draft = world.sampler.choose({ body, jsonBytes: jsonBytesIn(request.headers) });
      live.cameWhileIdle = (live.draft !== undefined || world.tellsService) && world.isIdle();
      return body;
    },
  };
}

/** What the answer takes while it is made; once it is written, send.ts charges what is left of it. */
function holdOf({ transfers }: ExchangeWorld, { lease }: Live): Exchange['hold'] {
  let held = 0;
  return (bytes) => {
    held += bytes;
    const { limitBytes } = transfers;
    if (held > limitBytes)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: `the answer of ${formatBytes(held)} or more`,
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

function headersOf(request: IncomingMessage): Readonly<Record<string, string | undefined>> {
  // Node joins repeated headers by ", " already, but for set-cookie, which no request has.
  return request.headers as Readonly<Record<string, string | undefined>>;
}

function timeoutOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = Number(header);
  if (!Number.isFinite(ms) || ms <= 0)
    throw new AppError('REQUEST_INVALID', { problem: `${timeoutHeader} is not a number of milliseconds above 0` });
  return ms;
}

function bodyOfErrors(route: Route | undefined, request: IncomingMessage): Route['errorBody'] {
  return route?.errorBody ?? errorBodyAt(pathOf(request.url ?? '/'));
}

function errorAnswer(world: ExchangeWorld, errorBody: Route['errorBody'], error: ClientError): Answer {
  return {
    ...jsonAnswer(errorBody(error), error.status, errorHeaders(error, world.expectedWaitMs())),
    closes: error.code === 'BODY_TOO_SLOW',
  };
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
  // A body that has not come in full is not waited for on this connection.
  if (world.draining() || answer.closes === true) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  sendBody(response, answer, world.transfers);
}

/** The client's, if it is fit to be written into a header and a log; else one of ours. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  if (typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given)) return given;
  lastRequest += 1;
  return `r-${process.pid.toString(36)}-${lastRequest.toString(36)}`;
}

type Result = {
  readonly route: RouteName;
  readonly trace: RequestTrace;
  readonly status: number;
  readonly error?: { readonly code: string; readonly kind: OutcomeKind };
};

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

/** The same for what must not be in a user's way. */
export function besideWorld(world: ExchangeWorld): ExchangeWorld {
  const admit = (): void => {
    world.admit();
    if (!world.isIdle()) throw new AppError('NOT_IDLE', undefined);
  };
  return { ...world, admit };
}

/**
 * The same for what sidecars ask: golden sets and samples are no traffic, so they show in no count and become no
 * sample.
 */
export function uncountedWorld(world: ExchangeWorld): ExchangeWorld {
  const nothing = (): void => {};
  return {
    ...world,
    metrics: { served: nothing, refused: nothing },
    counters: { record: nothing },
    tally: { answered: nothing, failed: nothing },
    sampler: { on: false, choose: () => undefined },
    tellsService: true,
  };
}
