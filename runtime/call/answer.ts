/**
 * Answers to requests.
 *
 * Owns:  the shape of an answer, the translation of a thrown error into what a client may see, and the error headers.
 */
import { codes, type ParamsOf } from '../../api/error-codes.ts';
import { kinds } from '../../api/error-kinds.ts';
import { AppError } from '../../api/errors.ts';
import type { ClientError } from './call.ts';

/** A body that is complete in memory; its chunks are written in this order. */
export type WholeBody = {
  readonly chunks: readonly (string | Uint8Array)[];
  readonly bytes: number;
  /** True when only the answer uses the chunks: their memory is freed when they are sent. */
  readonly isOwn?: boolean;
};

export type Answer = {
  readonly status: number;
  readonly contentType: string;
  /**
   * A stream is produced while it is sent, and is iterated once. Its return() is called when the client stops reading.
   * An error that needs its own HTTP status must be thrown before the stream is returned.
   */
  readonly body: WholeBody | AsyncIterable<Uint8Array>;
  /** Encodes an error as the last chunk of a broken stream. If absent, the transport closes the connection instead. */
  readonly lastChunk?: (error: ClientError) => Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the connection is closed after this answer. */
  readonly closes?: boolean;
};

export function wholeBody(body: string | Uint8Array): WholeBody {
  return { chunks: [body], bytes: typeof body === 'string' ? Buffer.byteLength(body) : body.length };
}

export function isStream(body: Answer['body']): body is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in body;
}

/** The reason of a call that ended because the client closed its connection before the answer was complete. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  constructor() {
    super('the client closed its connection');
  }
}

export function jsonAnswer(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  const text = JSON.stringify(value);
  return { status, contentType: 'application/json', body: wholeBody(text), headers };
}

/** Any error but an AppError is a bug. Its text may contain internals, so the client only gets "internal error". */
export function clientErrorOf(error: unknown): ClientError {
  if (error instanceof AppError)
    return {
      status: statusOf(error),
      code: error.code,
      kind: error.kind,
      message: error.message,
      params: error.params,
    };
  return { status: kinds.bug.http, code: 'INTERNAL', kind: 'bug', message: 'internal error' };
}

/** The status of the error code if it has one, else the status of its kind. */
function statusOf({ code, kind }: AppError): number {
  const row = codes[code];
  return 'http' in row ? row.http : kinds[kind].http;
}

/**
 * @param waitMs expected wait of a new request. Temporary errors send it as Retry-After, in whole seconds as HTTP
 *   requires, and as retry-after-ms, which OpenAI's clients read
 */
export function errorHeaders(error: ClientError, waitMs: number): Record<string, string> {
  const headers: Record<string, string> = { 'x-error-code': error.code };
  if (error.code === 'METHOD_UNKNOWN')
    headers['allow'] = (error.params as ParamsOf<'METHOD_UNKNOWN'>).allowed.replace(' or ', ', ');
  if (error.kind === 'overloaded' || error.kind === 'waiting' || error.kind === 'transient') {
    headers['retry-after'] = String(Math.max(1, Math.ceil(waitMs / 1000)));
    if (waitMs > 0) headers['retry-after-ms'] = String(Math.ceil(waitMs));
  }
  return headers;
}

/** The error body of the Open Inference Protocol. */
export function protocolErrorBody(error: ClientError): unknown {
  return { error: error.message };
}
