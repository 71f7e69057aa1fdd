/**
 * Requests that the server sends to itself before it is ready.
 *
 * Node.js compiles a function to fast code only after the function has run often. Without self-requests, the first
 * thousands of requests of users take two to three times the CPU time of later ones, and a candidate (a new revision)
 * with little traffic is judged while it is slow. A self-request passes through all parts of the server that a user's
 * request uses: socket, headers, decoding, queue, engine, encoding. It is not counted and not sampled.
 *
 * Owns: how many requests are sent, when they end, and the private socket.
 * Ends: when the CPU time of a request does not fall any more, when the time is over, or when `stop` is aborted. A
 *       request that the model refuses is not sent again. Never throws: an error is returned as `problem`.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent, createServer, request } from '../../lib/node-http.ts';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { Connections } from '../../lib/connections.ts';
import { uncounted } from '../call/perform.ts';
import { serveRequest, type HttpDeps, type Terms } from '../transport/http/exchange.ts';
import { plainHandler } from '../transport/http/plain/plain-exchange.ts';
import { PlainServer, type PlainHandler } from '../transport/http/plain/plain-server.ts';

export type SelfRequest = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

export type SelfRequestsDeps = {
  /** Answers a request as the server's own port does, but without admission, counting and samples. */
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Answers plain requests (small POSTs, without node:http) as the server's own port does; absent when that port does
   * not.
   */
  readonly plain?: PlainHandler;
  /** Requests that are sent in turn. */
  readonly requests: readonly SelfRequest[];
  readonly limitMs: number;
  readonly clock: Clock;
  /** CPU time of this process so far, in milliseconds. */
  readonly cpuMs: () => number;
  readonly stop: AbortSignal;
};

export type SelfRequestsResult = {
  /** Number of requests that were answered with 200. */
  readonly done: number;
  /** Why requests were refused or failed. */
  readonly problem?: string;
};

/** Number of requests in progress at a time: several, so that runs with more than one request occur, too. */
const lanes = 4;
/** Every other lane sends a header that only node:http accepts, so that requests take both ways through the server. */
const ownHeaders = [{}, { te: 'trailers' }];
/** The CPU time of a request is compared between periods of this length. */
const periodMs = 200;
const maxRequests = 10_000;
/** The cost has settled when none of this many latest periods is clearly cheaper than all periods before them. */
const latestPeriods = 3;
/** A period is clearly cheaper when its cost is below this share of the lowest earlier cost. */
const falling = 0.95;
/** The header by which the server recognises its self-requests; its private socket refuses all others. */
const keyHeader = 'x-self-request';

/**
 * Whether the cost of a request does not fall any more.
 * @param costs CPU time of a request in each period, oldest first
 */
export function hasSettled(costs: readonly number[]): boolean {
  if (costs.length < 2 * latestPeriods) return false;
  return Math.min(...costs.slice(-latestPeriods)) >= falling * Math.min(...costs.slice(0, -latestPeriods));
}

export async function sendSelfRequests(deps: SelfRequestsDeps): Promise<SelfRequestsResult> {
  if (deps.requests.length === 0 || deps.limitMs <= 0 || deps.stop.aborted) return { done: 0 };
  const key = randomUUID();
  const server = createServer((incoming, response) => {
    if (incoming.headers[keyHeader] === key) deps.serve(incoming, response);
    else incoming.destroy();
  });
  const plain = plainServer(deps, key);
  plain?.listenTo(server);
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return await new Sending(deps, (server.address() as AddressInfo).port, key).finished();
  } catch (error) {
    return { done: 0, problem: messageOf(error) };
  } finally {
    plain?.close();
    await closed(server);
  }
}

/**
 * Returns the handler of the server's own requests. They are neither admitted, counted nor sampled.
 *
 * @param terms how requests of users are treated
 */
export function selfServing(
  deps: HttpDeps,
  { calls, tier }: Terms,
  clock: Clock,
): Pick<SelfRequestsDeps, 'serve' | 'plain'> {
  const own: Terms = { calls: { ...uncounted(calls), admit: () => {} }, tier };
  return {
    serve: (request, response) => void serveRequest(deps, own, request, response),
    plain: plainHandler(deps, own, clock, 0),
  };
}

function plainServer({ plain, clock }: SelfRequestsDeps, key: string): PlainServer | undefined {
  if (plain === undefined) return undefined;
  return new PlainServer({
    handler: { ...plain, takes: (head) => head.headers[keyHeader] === key && plain.takes(head) },
    connections: new Connections({ maxConnections: lanes, spare: 0 }),
    clock,
    keepAliveMs: Infinity,
    stalledMs: Infinity,
    arrived: () => {},
  });
}

class Sending {
  readonly #deps: SelfRequestsDeps;
  readonly #port: number;
  readonly #key: string;
  /** One agent for requests that are read without node:http, and one for requests that node:http reads. */
  readonly #agents = [0, 1].map(() => new Agent({ keepAlive: true, maxSockets: lanes / 2 }));
  readonly #ending = new AbortController();
  readonly #costs: number[] = [];
  #requests: readonly SelfRequest[];
  #period: { readonly atMs: number; readonly cpuMs: number; readonly done: number };
  #sent = 0;
  #done = 0;
  /**
   * True once the cost has settled. The lanes then end after their current requests, so that no run is left when the
   * server becomes ready.
   */
  #isSettled = false;
  #problem: string | undefined;

  constructor(deps: SelfRequestsDeps, port: number, key: string) {
    this.#deps = deps;
    this.#port = port;
    this.#key = key;
    this.#requests = deps.requests;
    this.#period = { atMs: deps.clock.monotonic(), cpuMs: deps.cpuMs(), done: 0 };
  }

  async finished(): Promise<SelfRequestsResult> {
    const { clock, limitMs, stop } = this.#deps;
    const end = (): void => this.#ending.abort();
    const callOff = clock.after(limitMs, end);
    stop.addEventListener('abort', end, { once: true });
    try {
      await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane % 2)));
    } finally {
      callOff();
      stop.removeEventListener('abort', end);
      for (const agent of this.#agents) agent.destroy();
    }
    return { done: this.#done, ...(this.#problem === undefined ? {} : { problem: this.#problem }) };
  }

  async #lane(way: number): Promise<void> {
    while (!this.#isSettled && !this.#ending.signal.aborted && this.#sent < maxRequests) {
      const next = this.#requests[this.#sent % Math.max(1, this.#requests.length)];
      if (next === undefined) return;
      this.#sent += 1;
      try {
        this.#note(next, await this.#send(next, way));
      } catch (error) {
        // Ignore the error when the time is over: requests in progress are then aborted.
        if (!this.#ending.signal.aborted) this.#drop(next, messageOf(error));
      }
    }
  }

  #note(sent: SelfRequest, { status, text }: Reply): void {
    if (status !== 200) return this.#drop(sent, `${status} ${text}`);
    this.#done += 1;
    const { clock, cpuMs } = this.#deps;
    const { atMs, cpuMs: before, done } = this.#period;
    const nowMs = clock.monotonic();
    if (nowMs - atMs < periodMs) return undefined;
    this.#costs.push((cpuMs() - before) / (this.#done - done));
    this.#period = { atMs: nowMs, cpuMs: cpuMs(), done: this.#done };
    this.#isSettled = hasSettled(this.#costs);
    return undefined;
  }

  #drop(refused: SelfRequest, problem: string): void {
    this.#problem ??= `${refused.path}: ${problem}`;
    this.#requests = this.#requests.filter((one) => one !== refused);
  }

  #send({ path, headers, body }: SelfRequest, way: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          method: 'POST',
          path,
          headers: { ...headers, ...ownHeaders[way], 'content-length': body.length, [keyHeader]: this.#key },
          agent: this.#agents[way],
          signal: this.#ending.signal,
        },
        (response) => {
          const { statusCode: status = 0 } = response;
          let text = '';
          response.on('data', (chunk: Buffer) => {
            if (status !== 200 && text.length < 200) text += chunk.toString('utf8', 0, 200);
          });
          response.on('end', () => resolve({ status, text }));
          response.on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }
}

type Reply = {
  readonly status: number;
  /** The beginning of an error's body; empty for 200. */ readonly text: string;
};

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
