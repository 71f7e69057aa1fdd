/**
 * One call from its first header to its answer, without a transport.
 *
 * Owns:  the order: let in or refuse, run the handler within the deadline, translate an error, tell the observer.
 *        A transport reads bytes and writes bytes; a handler only translates.
 * Ends:  every call gets exactly one answer, unless its client left, and is observed exactly once: when its answer is
 *        made, and a streamed one when the stream ends.
 */
import { AppError } from '../../api/errors.ts';
import { outcomeKindOf } from '../../api/outcomes.ts';
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
  /** Whether no request waits and a worker is free. */
  readonly isIdle: () => boolean;
  /** How long a request that came now would wait. */
  readonly expectedWaitMs: () => number;
  /** What the server allows a run at most; a shorter deadline of the client is the client's responsibility. */
  readonly ownDeadlineMs: () => number;
  /** Calls that have no answer yet. */
  readonly open: Set<ClientDeadline>;
  readonly observer: Observer;
  /** Answers to inference say how long the work took, where that is comparable. */
  readonly tellsService: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * The same for what sidecars ask: golden sets and samples are not traffic, so they show in no count and become no
 * sample.
 */
export function uncounted(deps: CallDeps): CallDeps {
  return { ...deps, observer: observers([]), tellsService: true };
}

/** nginx's status for a client that left before its answer. It is only counted, never sent. */
export const abandonedStatus = 499;

/** @returns undefined when the client left before its answer. Never rejects */
export async function perform(deps: CallDeps, incoming: IncomingCall, handler: Handler): Promise<Answer | undefined> {
  const { clock, open } = deps;
  const deadline = new ClientDeadline(clock, incoming.ending);
  const live: Live = {
    deps,
    incoming,
    handler,
    deadline,
    trace: new RequestTrace(clock),
    cameWhileIdle: false,
  };
  open.add(deadline);
  try {
    if (handler.needsRoom) admit(live);
    const answer = await handled(live);
    if (isStream(answer.body)) return streamed(live, answer, answer.body);
    const told = succeed(live, answer);
    close(live);
    return told;
  } catch (error) {
    const told = fail(live, error);
    close(live);
    return told;
  }
}

function close({ deps, deadline }: Live): void {
  deadline.dispose();
  deps.open.delete(deadline);
}

type Live = {
  readonly deps: CallDeps;
  readonly incoming: IncomingCall;
  readonly handler: Handler;
  readonly deadline: ClientDeadline;
  readonly trace: RequestTrace;
  /** Its body came when the runtime was idle. Only known where a service time is told. */
  cameWhileIdle: boolean;
};

/** Bulk work that comes one by one is refused, not queued, while it would be in a user's way. */
function admit({ deps, incoming }: Live): void {
  deps.admit();
  if (incoming.tier === 'bulk' && !deps.isIdle()) throw new AppError('NOT_IDLE', undefined);
}

/**
 * The handler's answer, or REQUEST_EXPIRED when the deadline comes first, whatever the handler is doing: a run cannot
 * be stopped. The body stays charged until the handler is done with it, or the stream that it gave has ended.
 */
async function handled(live: Live): Promise<Answer> {
  return Promise.race([worked(live), live.deadline.expired]);
}

async function worked(live: Live): Promise<Answer> {
  const { incoming, handler } = live;
  let streams = false;
  try {
    const answer = await handler.handle(callOf(live));
    if (!isStream(answer.body)) return answer;
    streams = !hasExpired(incoming.ending.signal);
    // The deadline has answered already.
    if (!streams) void answer.body[Symbol.asyncIterator]().return?.();
    return answer;
  } finally {
    if (!streams) incoming.release();
  }
}

function hasExpired(signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof ClientGone);
}

function callOf(live: Live): Call {
  const { deps, incoming, deadline, trace } = live;
  const { signal } = incoming.ending;
  const timeoutMs = incoming.timeoutMs();
  const deadlineMs = deadline.endBy(timeoutMs === undefined ? undefined : deps.clock.monotonic() + timeoutMs);
  return {
    headers: incoming.headers,
    trace,
    signal,
    tier: incoming.tier,
    hold: incoming.hold,
    nowMs: () => deps.clock.monotonic(),
    deadlineMs,
    endBy: (earlierMs) => deadline.endBy(earlierMs),
    readBody: async (headBytes) => {
      const body = await incoming.readBody(headBytes);
      signal.throwIfAborted();
      trace.received();
      deps.observer.received?.(observed(live), body);
      live.cameWhileIdle = deps.tellsService && deps.isIdle();
      return body;
    },
  };
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

/** The call ends with its stream: until then it is open, keeps its deadline, and holds what its handler held. */
function streamed(live: Live, answer: Answer, source: AsyncIterable<Uint8Array>): Answer {
  const { incoming, trace } = live;
  trace.encoded();
  const body = new WatchedStream(source, {
    signal: incoming.ending.signal,
    first: () => trace.began(),
    lastChunk: (error) => (error instanceof ClientGone ? undefined : answer.lastChunk?.(clientErrorOf(error))),
    ended: (error) => {
      incoming.release();
      close(live);
      if (error === undefined) record(live, { ...observed(live), kind: 'Answered', status: answer.status, answer });
      else recordFailure(live, error, answer.status);
    },
  });
  return withHeaders(live, { ...answer, body });
}

function fail(live: Live, error: unknown): Answer | undefined {
  const { deps, handler, trace } = live;
  trace.encoded();
  const shown = recordFailure(live, error);
  if (shown === undefined) return undefined;
  const { code, status } = shown;
  const answer = jsonAnswer(handler.errorBody(shown), status, errorHeaders(shown, deps.expectedWaitMs()));
  // A body that has not come in full is not waited for on this connection.
  return withHeaders(live, { ...answer, closes: code === 'BODY_TOO_SLOW' });
}

/**
 * @param sent the status that the client has already, for an answer that broke
 * @returns undefined when the client left
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

/** @param serviceMs told to a sidecar where it is known */
function withHeaders({ incoming, trace }: Live, answer: Answer, serviceMs?: number): Answer {
  const headers: Record<string, string> = {
    ...answer.headers,
    'server-timing': serverTiming(trace.times),
    'x-request-id': incoming.requestId,
  };
  if (serviceMs !== undefined) headers[serviceHeader] = serviceMs.toFixed(6);
  return { ...answer, headers };
}

function record({ deps }: Live, call: AnsweredCall): void {
  deps.observer.answered(call);
  deps.logger.debug('request answered', {
    route: call.route,
    status: call.status,
    ms: Math.round(call.trace.totalMs),
    code: call.kind === 'Failed' ? call.code : undefined,
  });
}
