/**
 * The requests of a client that asks for as much as it can: many rows, long rows, large bodies, and JSON that takes far
 * more memory once it is parsed. They are sent beside the usual requests while memory is measured.
 * Owns: these requests, and the client that sends them, one connection for each kind.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { benchModels, rowOfIds } from './cases.ts';
import { encodeMessage, tensorMessage, type HttpMessage } from './encode.ts';
import { Connection } from './load/connection.ts';

const path = '/v2/models/m/infer';
const mib = 2 ** 20;
const pauseMs = 60_000;

/** The messages by name. The server may answer or refuse each of them; it must not end. */
export function giantMessages(): ReadonlyMap<string, HttpMessage> {
  return new Map([
    ['48 rows of 512 tokens', rowsOf(48, 512)],
    ['1024 rows of 16 tokens', rowsOf(1024, 16)],
    ['4096 tokens in a row', rowsOf(1, 4096)],
    ['40 MiB of binary data', binary(40 * mib)],
    ['20 MiB of empty lists', json(`{"inputs":[${'[],'.repeat((20 * mib) / 3)}[]]}`)],
    ['20 MiB of numbers', json(`{"inputs":[{"data":[${'1,'.repeat(10 * mib)}1]}]}`)],
    ['4 MiB of nested lists', json('['.repeat(4 * mib))],
    ['a text of 8 MiB', json(JSON.stringify({ model: 'm', input: 'word '.repeat((8 * mib) / 5) }), '/v1/embeddings')],
  ]);
}

/** Answers of each message by status; 0 is a connection that the server closed without an answer. */
export type GiantAnswers = Readonly<Record<string, Readonly<Record<number, number>>>>;

export class GreedyClient {
  readonly #connections: readonly Connection[];
  readonly #counts: Record<string, Record<number, number>> = {};
  readonly #loops: Promise<unknown>;
  readonly #over = new AbortController();

  constructor(port: number) {
    const messages = [...giantMessages()].map(([name, message]) => [name, encodeMessage(message)] as const);
    this.#connections = messages.map(() => new Connection(port));
    this.#loops = Promise.all(
      messages.map(async ([name, bytes], at) => {
        const counts = (this.#counts[name] = {} as Record<number, number>);
        while (!this.#over.signal.aborted) {
          const { status } = (await this.#connections[at]?.send(bytes)) ?? { status: 0 };
          counts[status] = (counts[status] ?? 0) + 1;
          // The largest request that is accepted takes a worker 15 s: without a pause, little else would be measured.
          await pause(pauseMs, undefined, { signal: this.#over.signal }).catch(() => {});
        }
      }),
    );
  }

  async end(): Promise<GiantAnswers> {
    this.#over.abort();
    for (const connection of this.#connections) connection.close();
    await this.#loops;
    return this.#counts;
  }
}

/** Every row has the same token ids. */
function rowsOf(count: number, length: number): HttpMessage {
  const one = rowOfIds(Array.from({ length }, (_, at) => 1996 + at));
  const many = one.map((tensor) => {
    const data = tensor.data as BigInt64Array;
    const all = BigInt64Array.from({ length: count * length }, (_, at) => data[at % length] ?? 0n);
    return { ...tensor, shape: [count, length], data: all };
  });
  return tensorMessage('oip', many, benchModels.minilm.outputs);
}

function binary(bytes: number): HttpMessage {
  return { path, headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) };
}

function json(text: string, at = path): HttpMessage {
  return { path: at, headers: { 'content-type': 'application/json' }, body: Buffer.from(text) };
}
