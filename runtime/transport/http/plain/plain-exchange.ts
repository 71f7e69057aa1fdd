/**
 * Answers plain requests (small POSTs in the usual form, plain-head.ts): makes a call of each, and writes its answer in
 * one piece.
 *
 * Owns:  the head of an answer, in the form in which node:http writes it, and the memory charge of what a client has
 *        not read yet.
 */
import { STATUS_CODES } from '../../../../lib/node-http.ts';
import type { Socket } from 'node:net';
import type { Clock } from '../../../../lib/clock.ts';
import { freeBytes, leastFreedBytes } from '../../../../lib/free-bytes.ts';
import type { Tier } from '../../../../api/tiers.ts';
import { ClientGone, isStream, type Answer, type WholeBody } from '../../../call/answer.ts';
import type { Call, Handler, IncomingCall } from '../../../call/handler.ts';
import { performThen } from '../../../call/perform.ts';
import { holdOf, requestIdOf, timeoutHeader, timeoutIn, type HttpDeps, type Terms } from '../exchange.ts';
import { findRoute, type RouteTable } from '../routes.ts';
import { pieceBytes, sendPieces } from '../send.ts';
import type { BodyLease } from '../transfers.ts';
import type { PlainConnection } from './plain-connection.ts';
import type { PlainHead } from './plain-head.ts';
import type { PlainHandler } from './plain-server.ts';

/** @param keepAliveMs sent to clients in the header Keep-Alive */
export function plainHandler(deps: HttpDeps, terms: Terms, clock: Clock, keepAliveMs: number): PlainHandler {
  const routes = new PlainRoutes(deps.routes);
  const dates = new Dates(clock);
  const usualEnd = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`;
  const write = (answer: Answer, connection: PlainConnection): void => {
    const closes = deps.draining() || answer.closes === true;
    // The same order as node:http: the headers of the answer, an explicit `connection`, Date, then the default headers.
    const [before, after] = closes ? ['connection: close\r\n', '\r\n'] : ['', usualEnd];
    const head = `${headOf(answer)}${before}Date: ${dates.now}\r\n${after}`;
    sendAnswer(deps, connection, { head, body: answer.body as WholeBody, closes });
  };
  return {
    lease: () => deps.transfers.lease(),
    takes: (head) =>
      !deps.draining() && head.contentBytes <= deps.bodyLimitBytes() && routes.inferAt(head.path) !== undefined,
    begin: (head, body, connection) => {
      const handler = routes.inferAt(head.path) as Handler;
      const call = new PlainCall(deps, terms.tier, { head, body, socket: connection.socket });
      performThen(terms.calls, call, handler, (answer) => {
        const { socket } = connection;
        // The answer is undefined when the client has disconnected.
        if (answer === undefined || socket.destroyed) return void socket.destroy();
        try {
          write(answer, connection);
        } catch (error) {
          socket.destroy();
          throw error;
        }
      });
      return call.leave;
    },
  };
}

/** The handlers of inference paths. Their answers are never streams. */
class PlainRoutes {
  readonly #routes: () => RouteTable;
  readonly #known = new Map<string, Handler>();
  #table: RouteTable | undefined;

  constructor(routes: () => RouteTable) {
    this.#routes = routes;
  }

  /** @returns undefined for a path that node:http answers */
  inferAt(path: string): Handler | undefined {
    const table = this.#routes();
    if (table !== this.#table) this.#known.clear();
    this.#table = table;
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = findOrNone(table, path);
    if (found?.name !== 'infer') return undefined;
    // Keep at most 8 forms of the path: clients may add any number of slashes at its end.
    if (this.#known.size < 8) this.#known.set(path, found);
    return found;
  }
}

function findOrNone(table: RouteTable, path: string): Handler | undefined {
  try {
    return findRoute(table, 'POST', path);
  } catch {
    return undefined;
  }
}

type PlainRequest = {
  readonly head: PlainHead;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly socket: Socket;
};

class PlainCall implements IncomingCall {
  readonly requestId: string;
  readonly path: string;
  readonly headers: Call['headers'];
  readonly tier: Tier;
  readonly ending = new AbortController();
  readonly hold: Call['hold'];
  readonly release: () => void;
  readonly #body: Uint8Array<ArrayBuffer>;
  readonly #lease: BodyLease;
  readonly #socket: Socket;

  constructor(deps: HttpDeps, tier: Tier, { head, body, socket }: PlainRequest) {
    this.requestId = requestIdOf(head.headers['x-request-id']);
    this.path = head.path;
    this.headers = head.headers;
    this.tier = tier;
    this.#body = body;
    this.#lease = deps.transfers.lease();
    this.hold = holdOf(deps, this.#lease);
    this.release = this.#lease.end;
    this.#socket = socket;
  }

  get address(): string | undefined {
    return this.#socket.remoteAddress;
  }

  timeoutMs(): number | undefined {
    return timeoutIn(this.headers[timeoutHeader]);
  }

  readBody(): Uint8Array<ArrayBuffer> {
    this.#lease.grow(this.#body.length);
    return this.#body;
  }

  isGone(): boolean {
    return this.#socket.destroyed;
  }

  readonly leave = (): void => this.ending.abort(new ClientGone());
}

const nothing = new Uint8Array(0);

/** The text of the header Date, which is made once a second. */
class Dates {
  readonly #clock: Clock;
  #second = NaN;
  #text = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get now(): string {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}

function headOf({ status, headers = {}, contentType, body }: Answer): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (const name of Object.keys(headers)) head += `${name}: ${headers[name] ?? ''}\r\n`;
  const bytes = isStream(body) ? 0 : body.bytes;
  return `${head}content-type: ${contentType}\r\ncontent-length: ${bytes}\r\n`;
}

type WholeAnswer = { readonly head: string; readonly body: WholeBody; readonly closes: boolean };

function sendAnswer(deps: HttpDeps, connection: PlainConnection, { head, body, closes }: WholeAnswer): void {
  const { socket } = connection;
  if (body.bytes <= pieceBytes) {
    socket.write(inOnePiece(head, body));
    if (socket.writableLength > 0) chargeUnsent(deps, socket);
    connection.answered(closes);
    return;
  }
  const lease = deps.transfers.lease();
  lease.take(body.bytes);
  const watch = lease.watch(() => socket.destroy());
  // The head and the first piece are one write.
  socket.cork();
  socket.write(head, 'latin1');
  const sent = sendPieces(socket, body, watch.moved);
  socket.uncork();
  void sent.then(() => {
    watch.done();
    lease.end();
    if (socket.writableLength > 0) chargeUnsent(deps, socket);
    connection.answered(closes);
  });
}

function inOnePiece(head: string, { chunks, bytes, isOwn = false }: WholeBody): Buffer {
  const whole = Buffer.allocUnsafe(head.length + bytes);
  let at = whole.write(head, 0, 'latin1');
  for (const chunk of chunks) {
    if (typeof chunk === 'string') at += whole.write(chunk, at);
    else {
      whole.set(chunk, at);
      const { length } = chunk;
      at += length;
      if (isOwn && length >= leastFreedBytes) freeBytes(chunk);
    }
  }
  return whole;
}

/**
 * Charges the bytes that the kernel has not accepted yet, and watches the client's pace until it has accepted them.
 * They are charged only once, because a connection with unsent bytes is handed over before its next request
 * (plain-connection.ts).
 */
function chargeUnsent({ transfers }: HttpDeps, socket: Socket): void {
  const lease = transfers.lease();
  lease.take(socket.writableLength);
  const watch = lease.watch(() => socket.destroy());
  // Node calls the callback of an empty write after all earlier writes, or when the socket closes.
  socket.write(nothing, () => {
    watch.done();
    lease.end();
  });
}
