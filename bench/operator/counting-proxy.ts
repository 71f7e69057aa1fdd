/**
 * An HTTP proxy between an operator and its API server, on a loopback address. It counts requests by verb and resource.
 * Owns: the listener and the connections to the API server. The proxy adds the credentials to each request. It passes
 * everything else, including watches, as an unchanged stream.
 * Why: counting in a proxy works with any API server and any operator.
 */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Agent, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isCounted, requestName, type RequestCounts } from './requests.ts';

export type ProxyTarget = {
  /** The URL of the API server: `https://HOST:PORT`. */
  readonly server: string;
  readonly token: string;
};

/** Headers that concern one connection only. A proxy must not forward these headers. */
const ofConnection: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host']);

export class CountingProxy {
  readonly #target: ProxyTarget;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  readonly #counts = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  #underWay = 0;
  #lastAtMs = performance.now();

  constructor(target: ProxyTarget) {
    this.#target = target;
    this.#server = createServer({ requestTimeout: 0, keepAliveTimeout: 120_000 }, (request, response) =>
      this.#forward(request, response),
    );
  }

  /** Starts to listen. @returns the URL to give to the operator */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  /** For each request name, the number of requests since the start. */
  get counts(): RequestCounts {
    return Object.fromEntries(this.#counts);
  }

  /** The number of answers with status 400 and above since the start, by name, such as `409 apply deployments`. */
  get refusals(): RequestCounts {
    return Object.fromEntries(this.#refusals);
  }

  /** Milliseconds since the last request ended; 0 while a request is in progress. Watches are not considered. */
  get quietMs(): number {
    return this.#underWay > 0 ? 0 : performance.now() - this.#lastAtMs;
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = request;
    const name = requestName({ method, url, contentType: headers['content-type'] });
    increase(this.#counts, name);
    if (isCounted(name)) this.#begin(response);
    const upstream = send(this.#target.server + url, {
      method,
      agent: this.#agent,
      headers: { ...forwarded(headers), authorization: `Bearer ${this.#target.token}` },
    });
    upstream.on('response', (answer) => {
      const status = answer.statusCode ?? 502;
      if (status >= 400) increase(this.#refusals, `${status} ${name}`);
      response.writeHead(status, forwarded(answer.headers));
      // Send the head at once: a watch sends no bytes until its first event, but the client waits for the head.
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => {
      // When the operator ends its connection before the answer is complete, end the upstream request too. After a
      // complete answer, the agent keeps the upstream connection for the next request.
      if (!response.writableFinished) upstream.destroy();
    });
    request.pipe(upstream);
  }

  #begin(response: ServerResponse): void {
    this.#underWay += 1;
    response.once('close', () => {
      this.#underWay -= 1;
      this.#lastAtMs = performance.now();
    });
  }
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function forwarded(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.has(name)));
}
