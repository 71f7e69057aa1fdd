/**
 * The Kubernetes API over plain HTTP requests for the conformance suite, without a client library that could hide the
 * server's answer.
 * Owns: the connection and the credentials, which come from a kubeconfig; calls that return every answer, errors too;
 * and watches, which collect their events.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';

export type Json = any; // eslint-disable-line typescript/no-explicit-any -- tests read any field

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Json;
  readonly text: string;
};

export type CallOptions = {
  readonly body?: unknown;
  readonly type?: string;
  readonly accept?: string;
  readonly agent?: string;
};

export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export type WatchEvent = { readonly type: string; readonly object: Json };

export class Watch {
  readonly events: WatchEvent[] = [];
  ended = false;
  readonly #abort: AbortController;

  constructor(body: AsyncIterable<Buffer>, abort: AbortController) {
    this.#abort = abort;
    void this.#read(body);
  }

  /** Waits for an event that matches. */
  until(what: string, fits: (event: WatchEvent) => boolean): Promise<WatchEvent> {
    return eventually(what, () => this.events.find(fits));
  }

  untilEnd(): Promise<unknown> {
    return eventually('the watch to end', () => this.ended);
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const line of createInterface({ input: Readable.from(body) }))
        this.events.push(JSON.parse(line) as WatchEvent);
    } catch {
      // The test closed the watch, or the connection broke.
    }
    this.ended = true;
  }
}

export class KubeApi {
  readonly #server: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #dispatcher: Dispatcher;

  /** @param text a kubeconfig */
  constructor(text: string) {
    const config = parse(text) as Json;
    const context = config.contexts.find((one: Json) => one.name === config['current-context']).context;
    const cluster = config.clusters.find((one: Json) => one.name === context.cluster).cluster;
    const user = config.users.find((one: Json) => one.name === context.user).user;
    const file = (record: Json, name: string): Buffer | undefined => {
      if (record[`${name}-data`] !== undefined) return Buffer.from(record[`${name}-data`], 'base64');
      return record[name] === undefined ? undefined : readFileSync(record[name]);
    };
    const [ca, cert, key] = [
      file(cluster, 'certificate-authority'),
      file(user, 'client-certificate'),
      file(user, 'client-key'),
    ];
    this.#server = String(cluster.server).replace(/\/$/, '');
    this.#headers = user.token === undefined ? {} : { authorization: `Bearer ${user.token}` };
    this.#dispatcher = new Agent({
      allowH2: false,
      connect: {
        rejectUnauthorized: cluster['insecure-skip-tls-verify'] !== true,
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      },
    });
  }

  async call(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, type = 'application/json', accept = 'application/json', agent = 'conformance/1' } = options;
    const answer = await request(`${this.#server}${path}`, {
      method,
      dispatcher: this.#dispatcher,
      headers: {
        ...this.#headers,
        accept,
        'user-agent': agent,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      body: body === undefined ? null : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, text, body: parsed(text) };
  }

  get(path: string, options: CallOptions = {}): Promise<Answer> {
    return this.call('GET', path, options);
  }

  post(path: string, body: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call('POST', path, { ...options, body });
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.call('PUT', path, { body });
  }

  patch(path: string, type: keyof typeof patchTypes, body: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call('PATCH', path, { ...options, body, type: patchTypes[type] });
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call('DELETE', path, body === undefined ? {} : { body });
  }

  /**
   * Opens a watch. Resolves when the server has answered with 200.
   * @param path the path and the query, which must contain `watch=true`
   */
  async watch(path: string, accept = 'application/json'): Promise<Watch> {
    const abort = new AbortController();
    const answer = await request(`${this.#server}${path}`, {
      dispatcher: this.#dispatcher,
      headers: { ...this.#headers, accept },
      signal: abort.signal,
      bodyTimeout: 0,
    });
    if (answer.statusCode !== 200)
      throw new Error(`the watch was answered ${answer.statusCode}: ${await answer.body.text()}`);
    return new Watch(answer.body, abort);
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
