/**
 * Answers and how errors become them.
 *
 * Owns:  the translation of anything thrown into what a client may see, and the headers of every answer.
 */
import { codes, type ParamsOf } from '../../api/error-codes.ts';
import { kinds } from '../../api/error-kinds.ts';
import { AppError } from '../../api/errors.ts';
import type { ClientError } from './call.ts';

/** A body that is there in full, to be written one chunk after the other. */
export type WholeBody = { readonly chunks: readonly (string | Uint8Array)[]; readonly bytes: number };

export type Answer = {
  readonly status: number;
  readonly contentType: string;
  /**
   * A stream is made while it is sent, is iterated once, and is ended by `return` when the rest is not wanted. An error
   * that needs a status of its own has to be thrown before the stream is given.
   */
  readonly body: WholeBody | AsyncIterable<Uint8Array>;
  /** The last chunk of a stream that breaks. Absent: its protocol has none, and the transport breaks off. */
  readonly lastChunk?: (error: ClientError) => Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the connection ends with it. */
  readonly closes?: boolean;
};

export function wholeBody(body: string | Uint8Array): WholeBody {
  return { chunks: [body], bytes: typeof body === 'string' ? Buffer.byteLength(body) : body.length };
}

export function isStream(body: Answer['body']): body is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in body;
}

/** The client closed its connection before its answer. */
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

/** What is not ours to say is our bug: the client learns no more than that. */
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

/** The code's own status where its kind's would not do. */
function statusOf({ code, kind }: AppError): number {
  const row = codes[code];
  return 'http' in row ? row.http : kinds[kind].http;
}

/** Errors that pass by themselves say when to come back. */
export function errorHeaders(error: ClientError, waitMs: number): Record<string, string> {
  const headers: Record<string, string> = { 'x-error-code': error.code };
  if (error.code === 'METHOD_UNKNOWN')
    headers['allow'] = (error.params as ParamsOf<'METHOD_UNKNOWN'>).allowed.replace(' or ', ', ');
  if (error.kind === 'overloaded' || error.kind === 'waiting' || error.kind === 'transient')
    headers['retry-after'] = String(Math.max(1, Math.ceil(waitMs / 1000)));
  return headers;
}

/** The error body of the Open Inference Protocol. */
export function protocolErrorBody(error: ClientError): unknown {
  return { error: error.message };
}
