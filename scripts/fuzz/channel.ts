/**
 * One connection to a server: writes the bytes of a case, and reads the answers with the fuzzer's own parser.
 * Owns: the socket, and the framing rules of an answer: a status line, a length, no extra byte.
 * Limits: all answers of a case must arrive within `patienceMs`; otherwise the case fails and the connection is closed.
 */
import { connect, type Socket } from 'node:net';
import type { Answer, Case, Due, Part } from './cases.ts';

export type Result = { readonly problem: string | undefined; readonly statuses: readonly number[] };

export type Dial = { readonly host: string; readonly port: number; readonly patienceMs: number };

export class Channel {
  readonly #dial: Dial;
  #socket: Socket | undefined;
  #pending: Buffer = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  async run(fuzz: Case): Promise<Result> {
    const socket = await this.#open();
    // Start to read before the write is complete. A server that refuses a request early may close the connection during
    // the write, and its answer still counts.
    const written = this.#write(socket, fuzz.parts);
    const result = fuzz.connection === 'gone' ? { problem: undefined, statuses: [] } : await this.#read(fuzz);
    await written;
    if (fuzz.connection !== 'keep' || result.problem !== undefined || this.#closed) this.close();
    return result;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#closed && this.#pending.length === 0) return this.#socket;
    this.close();
    const socket = connect({ host: this.#dial.host, port: this.#dial.port, noDelay: true, allowHalfOpen: true });
    this.#socket = socket;
    this.#pending = Buffer.alloc(0);
    this.#closed = false;
    const mine = (act: () => void) => (): void => {
      if (this.#socket === socket) {
        act();
        this.#wake();
      }
    };
    socket.on('data', (bytes: Buffer) =>
      mine(() => {
        this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
      })(),
    );
    for (const end of ['end', 'close', 'error'] as const)
      socket.on(
        end,
        mine(() => {
          this.#closed = true;
        }),
      );
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve);
      socket.once('close', () => resolve());
    });
    return socket;
  }

  async #write(socket: Socket, parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      if (socket.destroyed) return;
      if (part === 'end') socket.end();
      else if (part === 'destroy') socket.resetAndDestroy();
      else if (Buffer.isBuffer(part)) socket.write(part);
      else
        await new Promise((resolve) => {
          setTimeout(resolve, part.pauseMs);
        });
    }
  }

  async #read({ due, connection }: Case): Promise<Result> {
    const statuses: number[] = [];
    const deadline = performance.now() + this.#dial.patienceMs;
    for (const [index, one] of due.entries()) {
      const answer = await this.#next(one, deadline);
      if (typeof answer === 'string') {
        if (connection === 'free' && answer === closedEarly) return { problem: undefined, statuses };
        return { problem: `answer ${index + 1} of ${due.length}: ${answer}`, statuses };
      }
      statuses.push(answer.status);
      const problem = one.check(answer);
      if (problem !== undefined) return { problem: `answer ${index + 1} of ${due.length}: ${problem}`, statuses };
    }
    if (connection === 'free') return { problem: await this.#untilClosed(deadline, statuses), statuses };
    if (this.#pending.length > 0)
      return {
        problem: `bytes after the last answer: ${JSON.stringify(this.#pending.subarray(0, 100).toString('latin1'))}`,
        statuses,
      };
    return { problem: undefined, statuses };
  }

  /**
   * Reads until the server closes. The server may treat extra bytes as requests. Its answers to them must be complete;
   * of the statuses from 500 on, only 501 and 505 are allowed.
   */
  async #untilClosed(deadline: number, statuses: number[]): Promise<string | undefined> {
    for (;;) {
      const answer = await this.#next({ check: () => undefined }, deadline);
      if (answer === closedEarly) return undefined;
      if (typeof answer === 'string') return `after the last answer: ${answer}`;
      statuses.push(answer.status);
      if (answer.status >= 500 && answer.status !== 501 && answer.status !== 505)
        return `after the last answer: status ${answer.status}`;
    }
  }

  /** @returns the next answer, or an error message */
  async #next({ head = false }: Due, deadline: number): Promise<Answer | string> {
    for (;;) {
      const found = parseAnswer(this.#pending, head, this.#closed);
      if (found.kind === 'Bad') return found.why;
      if (found.kind === 'Answer') {
        this.#pending = this.#pending.subarray(found.bytes);
        // Skip a `100 Continue`, which comes before the answer.
        if (found.answer.status >= 200) return found.answer;
        continue;
      }
      if (this.#closed)
        return this.#pending.length === 0 ? closedEarly : 'the connection closed in the middle of an answer';
      if (!(await this.#more(deadline))) return `no answer within ${this.#dial.patienceMs} ms`;
    }
  }

  /** Waits for more bytes or for the end of the connection. @returns false when the deadline has passed */
  #more(deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, deadline - performance.now()));
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(true);
      };
    });
  }
}

const closedEarly = 'the connection closed without an answer';

type Parsed =
  | { readonly kind: 'Answer'; readonly answer: Answer; readonly bytes: number }
  | { readonly kind: 'Bad'; readonly why: string }
  | { readonly kind: 'More' };

/** Parses one answer. @param closed whether the connection has ended */
export function parseAnswer(bytes: Buffer, head: boolean, closed: boolean): Parsed {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return { kind: 'More' };
  const { status, headers, line } = parseHead(bytes.subarray(0, end).toString('latin1'));
  if (status === undefined) return { kind: 'Bad', why: `a status line ${JSON.stringify(line.slice(0, 100))}` };
  const body = (to: number): Parsed => ({
    kind: 'Answer',
    answer: { status, headers, body: bytes.subarray(end + 4, to) },
    bytes: to,
  });
  const length = lengthOf(status, headers, head);
  // When an answer has no length, its body ends with the connection.
  if (length === undefined) return closed ? body(bytes.length) : { kind: 'More' };
  const whole = end + 4 + length;
  if (!Number.isSafeInteger(whole))
    return {
      kind: 'Bad',
      why:
        `a ${status} with content-length '${headers.get('content-length') ?? ''}' and transfer-encoding ` +
        `'${headers.get('transfer-encoding') ?? ''}'`,
    };
  return bytes.length < whole ? { kind: 'More' } : body(whole);
}

function parseHead(text: string): {
  readonly status: number | undefined;
  readonly headers: ReadonlyMap<string, string>;
  readonly line: string;
} {
  const [line = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3}) .*$/.exec(line)?.[1];
  const headers = new Map(
    lines.map((header) => {
      const colon = header.indexOf(':');
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()] as const;
    }),
  );
  return { status: status === undefined ? undefined : Number(status), headers, line };
}

/** The length of an answer's body; undefined when the body ends with the connection. */
function lengthOf(status: number, headers: ReadonlyMap<string, string>, head: boolean): number | undefined {
  if (head || status < 200 || status === 204 || status === 304) return 0;
  const length = headers.get('content-length');
  if (length !== undefined) return Number(length);
  return headers.has('transfer-encoding') ? NaN : undefined;
}
