/**
 * One call from its first header to its answer, without a transport.
 *
 * Owns:  the order: admit or refuse, run the handler within the deadline, translate an error, call the observer.
 * Ends:  every call is answered exactly once, unless its client disconnected. The observer is called exactly once: when
 *        a complete answer is made, or when a stream ends. An error of the observer or of `tell` is logged.
 */
import { AppError } from '../../api/errors.ts';
import { outcomeKindOf } from '../../api/outcomes.ts';
import type { Tier } from '../../api/tiers.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { ClientGone, clientErrorOf, errorHeaders, isStream, jsonAnswer, type Answer } from './answer.ts';
import type { ClientError } from './call.ts';
import { serviceHeader } from './beside.ts';
import { ClientDeadline } from './client-deadline.ts';
import type { Call, Handler, IncomingCall } from './handler.ts';
import { observers, type AnsweredCall, type ObservedCall, type Observer } from './observer.ts';
import { RequestTrace, serverTiming } from './trace.ts';
import { WatchedStream } from './watched-stream.ts';

export type CallDeps = {
  /** @throws AppError NOT_READY, MEMORY_FULL */
  readonly admit: () => void;
  /** Whether the queue is empty and two workers are free (one, if only one worker is ready). */
  readonly isIdle: () => boolean;
  /** Milliseconds that a request, if it arrived now, is expected to wait in the queue. */
  readonly expectedWaitMs: (tier: Tier, client: string | undefined) => number;
  /** Header that names the client, in lower case; absent, or for requests without it: the client's address. */
  readonly clientHeader?: string | undefined;
  /**
   * The server's limit for a run, in milliseconds. If a client sets a shorter deadline, an expired request counts
   * as the client's failure.
   */
  readonly ownDeadlineMs: () => number;
  /** Deadlines of the calls that are not answered yet. */
  readonly open: Set<ClientDeadline>;
  readonly observer: Observer;
  /** Whether an answer carries its service time (serviceHeader), if no other request affected that time. */
  readonly tellsService: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * The dependencies for requests of sidecars. Golden cases and replayed samples are not traffic: they are not counted
 * and not sampled.
 */
export function uncounted(deps: CallDeps): CallDeps {
  return { ...deps, observer: observers([]), tellsService: true };
}

/** nginx's status for a client that disconnected before its answer. It is only counted, never sent. */
export const abandonedStatus = 499;

/** @returns undefined when the client disconnected before its answer. Never rejects */
export function perform(deps: CallDeps, incoming: IncomingCall, handler: Handler): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    performThen(deps, incoming, handler, resolve);
  });
}

/**
 * Like perform(), with a callback. Transports of small requests use it, because each promise between a request and its
 * answer costs time.
 * @param tell called exactly once, maybe before this function returns. It closes the connection before it throws
 */
export function performThen(
  deps: CallDeps,
  incoming: IncomingCall,
  handler: Handler,
  tell: (answer: Answer | undefined) => void,
): void {
  const live = new Live(deps, incoming, handler, tell);
  deps.open.add(live.deadline);
  try {
    if (handler.needsRoom) admit(live);
    work(live);
  } catch (error) {
    refuse(live, error);
  }
}

/** Characters of a client's name that are compared. */
const maxClientLength = 128;

/** A call that is not answered yet, and the part of it that its handler sees. */
class Live implements Call {
  readonly deps: CallDeps;
  readonly incoming: IncomingCall;
  readonly handler: Handler;
  readonly deadline: ClientDeadline;
  readonly trace: RequestTrace;
  deadlineMs: number | undefined;
  /** Whether the runtime was idle when the body arrived. Always false when `tellsService` is false. */
  cameWhileIdle = false;
  isTold = false;
  isRecorded = false;
  readonly #tell: (answer: Answer | undefined) => void;

  constructor(deps: CallDeps, incoming: IncomingCall, handler: Handler, tell: (answer: Answer | undefined) => void) {
    this.deps = deps;
    this.incoming = incoming;
    this.handler = handler;
    this.#tell = tell;
    this.trace = new RequestTrace(deps.clock);
    this.deadline = new ClientDeadline(deps.clock, incoming, (error) => refuse(this, error));
  }

  get headers(): Call['headers'] {
    return this.incoming.headers;
  }

  get signal(): AbortSignal {
    return this.incoming.ending.signal;
  }

  get tier(): Tier {
    return this.incoming.tier;
  }

  get client(): string | undefined {
    const { clientHeader } = this.deps;
    const named = clientHeader === undefined ? undefined : this.incoming.headers[clientHeader];
    return named === undefined ? this.incoming.address : `${clientHeader}: ${named.slice(0, maxClientLength)}`;
  }

  get hold(): Call['hold'] {
    return this.incoming.hold;
  }

  nowMs(): number {
    return this.deps.clock.monotonic();
  }

  endBy(earlierMs: number | undefined): number | undefined {
    return this.deadline.endBy(earlierMs);
  }

  readBody(headBytes: number): ReturnType<Call['readBody']> {
    const body = this.incoming.readBody(headBytes);
    return body instanceof Promise ? body.then((bytes) => this.#received(bytes)) : this.#received(body);
  }

  /** Passes the answer to the transport; later calls are ignored. */
  tell(answer: Answer | undefined): void {
    this.isTold = true;
    try {
      this.#tell(answer);
    } catch (error) {
      const { deps, incoming } = this;
      deps.logger.error('answer not sent', { requestId: incoming.requestId, err: error });
    }
  }

  close(): void {
    this.deadline.dispose();
    this.deps.open.delete(this.deadline);
  }

  #received(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { deps, signal, trace } = this;
    signal.throwIfAborted();
    trace.received();
    deps.observer.received?.(observed(this), body);
    this.cameWhileIdle = deps.tellsService && deps.isIdle();
    return body;
  }
}

/** A bulk request is refused rather than queued while the runtime is not idle, since it would delay user requests. */
function admit({ deps, incoming }: Live): void {
  deps.admit();
  if (incoming.tier === 'bulk' && !deps.isIdle()) throw new AppError('NOT_IDLE', undefined);
}

/**
 * Tells the handler's answer, unless the deadline passes first. A run cannot be stopped, so the handler may still work
 * after the deadline; the memory of the body stays charged until the handler returns, or until its stream ends.
 */
function work(live: Live): void {
  const { incoming, handler, deps, deadline } = live;
  let answer: Answer | Promise<Answer>;
  try {
    const timeoutMs = incoming.timeoutMs();
    live.deadlineMs = deadline.endBy(timeoutMs === undefined ? undefined : deps.clock.monotonic() + timeoutMs);
    answer = handler.handle(live);
  } catch (error) {
    incoming.release();
    throw error;
  }
  if (!(answer instanceof Promise)) return answered(live, answer);
  answer.then(
    (made) => answered(live, made),
    (error: unknown) => {
      incoming.release();
      refuse(live, error);
    },
  );
}

function answered(live: Live, answer: Answer): void {
  const { incoming } = live;
  const { body } = answer;
  // Discard the stream when the deadline has passed: the client has already got REQUEST_EXPIRED.
  const streams = isStream(body) && !hasExpired(incoming.ending.signal);
  if (!streams) incoming.release();
  if (isStream(body) && !streams) void body[Symbol.asyncIterator]().return?.();
  if (live.isTold) return;
  try {
    if (streams) return live.tell(streamed(live, answer, body));
    const told = succeed(live, answer);
    live.close();
    live.tell(told);
  } catch (error) {
    refuse(live, error);
  }
}

/** Answers with the error, unless the call is answered already. */
function refuse(live: Live, error: unknown): void {
  if (live.isTold) return;
  live.isTold = true;
  let told: Answer | undefined;
  try {
    told = fail(live, error);
  } catch (err) {
    // Only log the error: the transport closes the connection.
    live.deps.logger.error('error not answered', { requestId: live.incoming.requestId, err });
  }
  live.close();
  live.tell(told);
}

function hasExpired(signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof ClientGone);
}

function observed({ incoming, handler, trace }: Live): ObservedCall {
  return { incoming, route: handler.name, trace };
}

function succeed(live: Live, answer: Answer): Answer {
  const { trace, cameWhileIdle } = live;
  trace.encoded();
  const serviceMs = cameWhileIdle ? trace.serviceMs : undefined;
  record(live, { ...observed(live), kind: 'Answered', status: answer.status, answer });
  return withHeaders(live, answer, serviceMs);
}

/** A streamed call stays open until its stream ends: it keeps its deadline and the memory that the handler charged. */
function streamed(live: Live, answer: Answer, source: AsyncIterable<Uint8Array>): Answer {
  const { incoming, trace } = live;
  trace.encoded();
  const body = new WatchedStream(source, {
    signal: incoming.ending.signal,
    first: () => trace.began(),
    lastChunk: (error) => (error instanceof ClientGone ? undefined : answer.lastChunk?.(clientErrorOf(error))),
    ended: (error) => {
      incoming.release();
      live.close();
      if (error === undefined) record(live, { ...observed(live), kind: 'Answered', status: answer.status, answer });
      else recordFailure(live, error, answer.status);
    },
  });
  return withHeaders(live, { ...answer, body });
}

function fail(live: Live, error: unknown): Answer | undefined {
  const { deps, incoming, handler, trace } = live;
  trace.encoded();
  const shown = recordFailure(live, error);
  if (shown === undefined) return undefined;
  const { code, status } = shown;
  const answer = jsonAnswer(
    handler.errorBody(shown),
    status,
    errorHeaders(shown, deps.expectedWaitMs(incoming.tier, live.client)),
  );
  // After BODY_TOO_SLOW, close the connection: the server does not wait for the rest of that body.
  return withHeaders(live, { ...answer, closes: code === 'BODY_TOO_SLOW' });
}

/**
 * @param sent the status that was already sent, if a stream broke
 * @returns the error that the client gets; undefined when the client disconnected
 */
function recordFailure(live: Live, error: unknown, sent?: number): ClientError | undefined {
  const { deps, incoming, deadline } = live;
  if (error instanceof ClientGone || incoming.ending.signal.reason instanceof ClientGone || incoming.isGone()) {
    record(live, { ...observed(live), kind: 'Abandoned', status: abandonedStatus });
    return undefined;
  }
  const shown = clientErrorOf(error);
  const { code, kind, status } = shown;
  if (kind === 'bug') deps.logger.error('request failed', { requestId: incoming.requestId, err: error });
  const outcome = outcomeKindOf({
    ...shown,
    clientDeadlineMs: deadline.givenMs,
    ownDeadlineMs: deps.ownDeadlineMs(),
  });
  record(live, { ...observed(live), kind: 'Failed', status: sent ?? status, code, outcome });
  return shown;
}

/** @param serviceMs sent in serviceHeader; if undefined, the header is left out */
function withHeaders({ incoming, trace }: Live, answer: Answer, serviceMs?: number): Answer {
  const headers: Record<string, string> = {
    ...answer.headers,
    'server-timing': serverTiming(trace.times),
    'x-request-id': incoming.requestId,
  };
  if (serviceMs !== undefined) headers[serviceHeader] = serviceMs.toFixed(6);
  return { ...answer, headers };
}

/** Records only the first outcome: making the answer can still fail after the call was recorded as successful. */
function record(live: Live, call: AnsweredCall): void {
  if (live.isRecorded) return;
  live.isRecorded = true;
  const { deps, incoming } = live;
  try {
    deps.observer.answered(call);
  } catch (error) {
    deps.logger.error('call not observed', { requestId: incoming.requestId, err: error });
  }
  if (!deps.logger.isDebug) return;
  deps.logger.debug('request answered', {
    route: call.route,
    status: call.status,
    ms: Math.round(call.trace.totalMs),
    code: call.kind === 'Failed' ? call.code : undefined,
  });
}
