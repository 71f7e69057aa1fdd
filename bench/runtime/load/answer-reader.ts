/**
 * Reads HTTP/1.1 answers from the bytes of one connection.
 * Owns: finding the end of an answer by content-length or by chunks, and the status. It keeps bodies only when asked,
 * so that reading costs little beside the server that is measured.
 * Limits: one answer at a time (no pipelining); no answers without content-length and without chunks.
 */
import { Buffer } from 'node:buffer';

export type ReadAnswer = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** The body; empty unless bodies are kept. */
  readonly body: Uint8Array;
  /** False when the server closes the connection after this answer. */
  readonly keepsAlive: boolean;
};

const endOfHead = Buffer.from('\r\n\r\n');
const endOfLine = Buffer.from('\r\n');

export class AnswerReader {
  readonly #keepsBodies: boolean;
  #pending: Buffer = Buffer.alloc(0);
  #head: Omit<ReadAnswer, 'body'> | undefined;
  #missing = 0;
  #isChunked = false;
  #parts: Buffer[] = [];

  constructor(keepsBodies = false) {
    this.#keepsBodies = keepsBodies;
  }

  /** @returns the answer when these bytes complete it. @throws Error for bytes that are not HTTP/1.1 */
  push(bytes: Buffer): ReadAnswer | undefined {
    if (this.#head !== undefined && !this.#isChunked) return this.#take(bytes);
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (this.#head === undefined && !this.#readHead()) return undefined;
    if (this.#isChunked) return this.#readChunks();
    const rest = this.#pending;
    this.#pending = Buffer.alloc(0);
    return this.#take(rest);
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf(endOfHead);
    if (end < 0) return false;
    const [first = '', ...lines] = this.#pending.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`not an HTTP/1.1 answer: ${first.slice(0, 80)}`);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    this.#head = { status, headers, keepsAlive: headers.get('connection')?.toLowerCase() !== 'close' };
    this.#isChunked = headers.get('transfer-encoding') === 'chunked';
    this.#missing = Number(headers.get('content-length') ?? 0);
    this.#pending = this.#pending.subarray(end + endOfHead.length);
    return true;
  }

  #take(bytes: Buffer): ReadAnswer | undefined {
    this.#missing -= bytes.length;
    if (this.#keepsBodies) this.#parts.push(bytes);
    return this.#missing > 0 ? undefined : this.#done();
  }

  #readChunks(): ReadAnswer | undefined {
    for (;;) {
      const line = this.#pending.indexOf(endOfLine);
      if (line < 0) return undefined;
      const size = parseInt(this.#pending.toString('latin1', 0, line), 16);
      const from = line + endOfLine.length;
      if (this.#pending.length < from + size + endOfLine.length) return undefined;
      if (this.#keepsBodies) this.#parts.push(this.#pending.subarray(from, from + size));
      this.#pending = this.#pending.subarray(from + size + endOfLine.length);
      if (size === 0) return this.#done();
    }
  }

  #done(): ReadAnswer | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    const body = Buffer.concat(this.#parts);
    this.#head = undefined;
    this.#parts = [];
    this.#isChunked = false;
    return { ...head, body };
  }
}
