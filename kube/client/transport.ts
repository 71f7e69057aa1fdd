/**
 * HTTP to the API server: pooled connections, one deadline per request, bounded answers.
 * Owns: two connection pools, replacing dead connections, retries, and the rest_client_* metrics. Requests share at
 * most 16 connections, which are kept for a minute without requests; every watch has its own connection. When the
 * server is busy and asks one request to wait, all requests wait (throttle.ts).
 * Limits: an answer has at most `limitBytes`, an error answer at most 64 KiB.
 * Why: only HTTP/1.1 is used, because undici's HTTP/2 does not notice a dead connection, and with HTTP/2 all watches
 * would share one connection.
 */
import type { Readable } from 'node:stream';
import { Agent, ProxyAgent, request, type buildConnector, type Dispatcher } from 'undici';
import { AppError, messageOf } from '../../api/errors.ts';
import { raceAbort, reasonOf } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { startDeadline, type Deadline } from '../../lib/deadline.ts';
import { counter, histogram, type Counter, type Histogram, type Registry } from '../../lib/metrics.ts';
import { retry, retryErrors } from '../../lib/retry.ts';
import type { ClusterAccess } from './access.ts';
import type { Credentials } from './credentials.ts';
import { readJson, readStatus } from './answer.ts';
import { statusOf } from './kube-error.ts';
import { Throttle, type ThrottleLimits } from './throttle.ts';

export type ApiCall = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** The value to send as JSON. */
  readonly body?: unknown;
  /** Converts the body to JSON, for a body whose order of fields matters. The default is JSON.stringify. */
  readonly toText?: (body: unknown) => string;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** The time for all tries together, in milliseconds. */
  readonly deadlineMs?: number;
  readonly limitBytes?: number;
};

export type TransportDeps = {
  readonly access: ClusterAccess;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly userAgent: string;
  readonly deadlineMs?: number;
  readonly connections?: number;
  /** The client's own limit of its request rate. If absent, the client does not limit itself. */
  readonly limits?: ThrottleLimits;
};

const maxTries = 5;
/** When the server asks for a longer wait, the request fails at once: waiting would block the caller's worker. */
const maxWaitMs = 10_000;
const defaultDeadlineMs = 30_000;
const defaultLimitBytes = 32 * 2 ** 20;
const secondsBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

type Pools = {
  readonly credentials: Credentials;
  readonly tls: string;
  readonly requests: Dispatcher;
  readonly watches: Dispatcher;
};

export class Transport {
  readonly #deps: TransportDeps;
  readonly #requests: Counter<'code' | 'method' | 'host'>;
  readonly #durations: Histogram<'verb' | 'host'>;
  readonly #waits: Histogram<'verb' | 'host'>;
  readonly #throttle: Throttle;
  readonly #host: string;
  #pools: Pools | undefined;

  constructor(deps: TransportDeps) {
    this.#deps = deps;
    this.#host = new URL(deps.access.server).host;
    this.#requests = counter(deps.registry, {
      name: 'rest_client_requests_total',
      help: 'Number of HTTP requests, partitioned by status code, method, and host.',
      labels: ['code', 'method', 'host'],
    });
    this.#durations = histogram(deps.registry, {
      name: 'rest_client_request_duration_seconds',
      help: 'Request latency in seconds. Broken down by verb, and host.',
      labels: ['verb', 'host'],
      buckets: secondsBuckets,
    });
    this.#waits = histogram(deps.registry, {
      name: 'rest_client_rate_limiter_duration_seconds',
      help: 'Client side rate limiter latency in seconds. Broken down by verb, and host.',
      labels: ['verb', 'host'],
      buckets: secondsBuckets,
    });
    this.#throttle = new Throttle(deps.clock, deps.limits);
  }

  /**
   * Sends one request and returns its JSON answer.
   *
   * The request is sent at most five times within the deadline. It is sent again in three cases. First, the server
   * answers 429 or 5xx with a Retry-After of at most 10 s. Second, the answer is a 401: the request is sent once more,
   * with fresh credentials. Third, the connection of a GET broke, or gave no answer within half of the deadline: the
   * GET is sent once more, because an idle connection from the pool may have been dead.
   */
  async request(call: ApiCall): Promise<unknown> {
    const deadline = startDeadline(this.#deps.clock, this.#deadlineMs(call), call.signal);
    const spent: Spent = new Set();
    try {
      const outcome = await retry(() => this.#try(call, deadline), {
        clock: this.#deps.clock,
        signal: deadline.signal,
        pauseAfter: (tried, attempt) =>
          'error' in tried && attempt < maxTries ? pauseBefore(call, tried.error, spent) : undefined,
      });
      if ('error' in outcome) throw this.explain(call, outcome.error, deadline);
      return outcome.answer;
    } finally {
      deadline.dispose();
    }
  }

  /**
   * The body of a GET as a stream, which ends when the signal is aborted. Headers must arrive within 30 s. The request
   * is retried only once, after a 401, with fresh credentials.
   */
  async stream(call: Pick<ApiCall, 'path' | 'query'>, signal: AbortSignal): Promise<Readable> {
    const get: ApiCall = { method: 'GET', ...call };
    const spent: Spent = new Set();
    try {
      return await retryErrors(() => this.#open(get, signal), {
        clock: this.#deps.clock,
        signal,
        pauseAfter: (error) => (statusOf(error)?.status === 401 ? once(spent, 'credentials') : undefined),
      });
    } catch (error) {
      throw this.explain(get, error, { signal, expired: () => false });
    }
  }

  /**
   * Call this method when a connection died without an error. Other connections of the pools may be dead too, so later
   * requests use new connections.
   */
  retire(): void {
    const pools = this.#pools;
    if (pools === undefined) return;
    this.#pools = undefined;
    void Promise.allSettled([pools.requests.close(), pools.watches.close()]);
  }

  /** Closes every connection, also those in use. */
  async close(): Promise<void> {
    const pools = this.#pools;
    this.#pools = undefined;
    await Promise.all([pools?.requests.destroy(), pools?.watches.destroy()]);
  }

  async #open(get: ApiCall, signal: AbortSignal): Promise<Readable> {
    try {
      return (await this.#send(get, signal, 'watches')).body;
    } catch (error) {
      if (statusOf(error)?.status === 401) this.#deps.access.forget();
      throw error;
    }
  }

  async #try(call: ApiCall, deadline: Deadline): Promise<{ readonly answer: unknown } | { readonly error: unknown }> {
    try {
      const { body } = await this.#send(call, deadline.signal, 'requests');
      return { answer: await readJson(body, call.limitBytes ?? defaultLimitBytes, describe(call)) };
    } catch (error) {
      if (statusOf(error)?.status === 401) this.#deps.access.forget();
      if (deadline.expired() || isLate(error)) this.retire();
      return { error };
    }
  }

  async #send(call: ApiCall, signal: AbortSignal, pool: 'requests' | 'watches'): Promise<Dispatcher.ResponseData> {
    const { access, clock } = this.#deps;
    await this.#turn(call, signal);
    const credentials = await raceAbort(access.credentials(), signal);
    const started = clock.monotonic();
    const count = (code: string): void => {
      this.#requests.inc({ code, method: call.method, host: this.#host });
      this.#durations.observe({ verb: call.method, host: this.#host }, (clock.monotonic() - started) / 1000);
    };
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(access.server + call.path + queryOf(call.query), {
        dispatcher: this.#poolsFor(credentials)[pool],
        method: call.method,
        headers: this.#headersFor(call, credentials),
        body: call.body === undefined ? null : (call.toText ?? JSON.stringify)(call.body),
        signal,
        ...(pool === 'requests' ? { headersTimeout: this.#deadlineMs(call) / 2 } : {}),
      });
    } catch (error) {
      count('<error>');
      throw error;
    }
    count(String(answer.statusCode));
    if (answer.statusCode >= 200 && answer.statusCode <= 299) return answer;
    const error = await readStatus(answer, describe(call));
    const { afterMs } = statusOf(error) ?? {};
    if (isBusy(answer.statusCode) && afterMs !== undefined) this.#throttle.pause(afterMs);
    throw error;
  }

  async #turn(call: ApiCall, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const at = clock.monotonic();
    try {
      await this.#throttle.turn(signal, Math.min(maxWaitMs, this.#deadlineMs(call)));
    } finally {
      this.#waits.observe({ verb: call.method, host: this.#host }, (clock.monotonic() - at) / 1000);
    }
  }

  #deadlineMs(call: ApiCall): number {
    return call.deadlineMs ?? this.#deps.deadlineMs ?? defaultDeadlineMs;
  }

  #headersFor(call: ApiCall, credentials: Credentials): Record<string, string> {
    return {
      accept: 'application/json',
      'user-agent': this.#deps.userAgent,
      ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      ...credentials.headers,
    };
  }

  /** Makes new pools when the TLS material or the proxy has changed. Requests in progress finish on the old pools. */
  #poolsFor(credentials: Credentials): Pools {
    // Credentials are usually the same object as before. Compare the content only of a new object.
    if (this.#pools?.credentials === credentials) return this.#pools;
    const tls = JSON.stringify([credentials.tls, credentials.proxy]);
    const old = this.#pools;
    if (old?.tls === tls) {
      this.#pools = { ...old, credentials };
      return this.#pools;
    }
    const make = (settings: Agent.Options): Dispatcher => {
      const options: Agent.Options = { allowH2: false, pipelining: 1, ...settings };
      if (credentials.proxy !== undefined)
        return new ProxyAgent({
          ...options,
          uri: credentials.proxy,
          requestTls: credentials.tls as buildConnector.BuildOptions,
        });
      return new Agent({
        ...options,
        connect: {
          ...(credentials.tls as buildConnector.BuildOptions),
          timeout: 10_000,
          keepAlive: true,
          keepAliveInitialDelay: 30_000,
        },
      });
    };
    // The client closes an idle connection after 60 s, because kube-apiserver would close it after 90 s.
    const requests = make({
      connections: this.#deps.connections ?? 16,
      keepAliveTimeout: 60_000,
      keepAliveMaxTimeout: 60_000,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const watches = make({ keepAliveTimeout: 10_000, headersTimeout: defaultDeadlineMs, bodyTimeout: 0 });
    this.#pools = { credentials, tls, requests, watches };
    if (old !== undefined) void Promise.allSettled([old.requests.close(), old.watches.close()]);
    return this.#pools;
  }

  /** The error to report: the server's answer, the caller's abort reason, or why the server could not be reached. */
  explain(
    call: Pick<ApiCall, 'method' | 'path'>,
    error: unknown,
    deadline: Pick<Deadline, 'signal' | 'expired'>,
  ): unknown {
    // Prefer an answer of the server even after the deadline, because it gives the cause.
    if (error instanceof AppError) return error;
    if (deadline.expired() || isLate(error))
      return new AppError(
        'KUBE_UNREACHABLE',
        { server: this.#deps.access.server, why: `no answer to ${describe(call)} in time` },
        { cause: error },
      );
    if (deadline.signal.aborted) return reasonOf(deadline.signal);
    return new AppError('KUBE_UNREACHABLE', { server: this.#deps.access.server, why: whyOf(error) }, { cause: error });
  }
}

/** The kinds of retry that a call has already used. Each kind can help only once. */
type Spent = Set<'credentials' | 'connection'>;

/** Milliseconds until the same request is sent again; undefined when the request is not retried. */
function pauseBefore(call: ApiCall, error: unknown, spent: Spent): number | undefined {
  const status = statusOf(error);
  if (status === undefined)
    return error instanceof AppError || call.method !== 'GET' ? undefined : once(spent, 'connection');
  if (status.status === 401) return once(spent, 'credentials');
  const busy = status.status === 429 || status.status >= 500;
  return busy && status.afterMs !== undefined && status.afterMs <= maxWaitMs ? status.afterMs : undefined;
}

/**
 * True for an answer that concerns all requests to the server: API Priority and Fairness (429), or a server that starts
 * or shuts down (503). Any other 5xx concerns one request; for example, its webhook failed.
 */
function isBusy(status: number): boolean {
  return status === 429 || status === 503;
}

function once(spent: Spent, cure: 'credentials' | 'connection'): 0 | undefined {
  if (spent.has(cure)) return undefined;
  spent.add(cure);
  return 0;
}

/**
 * Whether undici gave up because no headers came in time: within half of the deadline for a request, within 30 s for a
 * watch.
 */
function isLate(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_HEADERS_TIMEOUT';
}

function describe(call: Pick<ApiCall, 'method' | 'path'>): string {
  return `${call.method} ${call.path}`;
}

function queryOf(query: ApiCall['query']): string {
  const given = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

/** For a host with several addresses Node throws an AggregateError whose own message is empty. */
function whyOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return messageOf(error);
}
