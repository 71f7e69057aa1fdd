/**
 * Clients that send requests continuously and count the results.
 * Owns: the sending loops and the tally. Half of the loops keep one connection each; the other half open a new
 * connection per request. A request fails if its answer is missing, wrong or not a 200. There are no retries.
 */
import { Agent, request } from 'node:http';
import { messageOf } from '../../api/errors.ts';

export type Answer = { readonly status: number; readonly body: string };

/** A request, and a check of its answer. The check returns the revision that answered. */
export type Conversation = {
  readonly path: string;
  readonly body: string;
  /**
   * @returns the revision
   * @throws Error when the answer is wrong
   */
  readonly check: (answer: Answer) => string;
};

export type Tally = {
  readonly answered: number;
  /** One line per failed request. */
  readonly failed: readonly string[];
  readonly byRevision: Readonly<Record<string, number>>;
};

const deadlineMs = 30_000;

/**
 * One request.
 * @param agent keeps the connection; absent: the request uses a new connection
 */
export function send(entry: string, conversation: Conversation, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = new URL(conversation.path, entry);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(conversation.body) };
    const sent = request(
      url,
      { method: 'POST', headers, agent: agent ?? false, signal: AbortSignal.timeout(deadlineMs) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(conversation.body);
  });
}

/**
 * Whether the entry answers on a new connection. A cluster's nodes see a new Service shortly after the status is Ready.
 * A connection that a client opens earlier may hang for long.
 */
export function isReachable(entry: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(
      new URL('/v2/health/ready', entry),
      { agent: false, signal: AbortSignal.timeout(1_000) },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    sent.on('error', () => resolve(false));
    sent.end();
  });
}

export class Clients {
  readonly #entry: string;
  readonly #conversation: Conversation;
  readonly #loops: Promise<void>[];
  readonly #byRevision: Record<string, number> = {};
  readonly #failed: string[] = [];
  #answered = 0;
  #stopped = false;

  /** @param count loops; every second one keeps its connection */
  constructor(entry: string, conversation: Conversation, count = 4) {
    this.#entry = entry;
    this.#conversation = conversation;
    this.#loops = Array.from({ length: count }, (_, index) => this.#loop(index % 2 === 0));
  }

  get tally(): Tally {
    return { answered: this.#answered, failed: this.#failed, byRevision: this.#byRevision };
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    return this.tally;
  }

  async #loop(keepsConnection: boolean): Promise<void> {
    const agent = keepsConnection ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    while (!this.#stopped) {
      await this.#once(keepsConnection, agent);
      // Pause briefly, because the two cores of the test machine also run the pods and the API server.
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    agent?.destroy();
  }

  async #once(keepsConnection: boolean, agent: Agent | undefined): Promise<void> {
    try {
      const revision = this.#conversation.check(await send(this.#entry, this.#conversation, agent));
      this.#answered += 1;
      this.#byRevision[revision] = (this.#byRevision[revision] ?? 0) + 1;
    } catch (error) {
      const connection = keepsConnection ? 'kept connection' : 'fresh connection';
      this.#failed.push(`${new Date().toISOString()} ${connection}: ${messageOf(error)}`);
    }
  }
}
