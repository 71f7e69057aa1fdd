/**
 * Reads what the API server sends: JSON answers, errors, and the lines of a watch.
 * Owns: the shapes of `Status` and of a watch event, and their validation.
 * Limits: an answer that is longer than the given bound is an error, and its connection is closed.
 */
import type { Readable } from 'node:stream';
import { AppError, messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { statusError, statusOf } from './kube-error.ts';

/** A Status is a few hundred bytes; a proxy's error page may have any size. */
const refusalLimitBytes = 64 * 1024;
/** Upper bound of the wait that a server asks for, in milliseconds. A longer wait is shortened to it. */
const maxAfterMs = 300_000;

export async function readJson(body: Readable, limitBytes: number, request: string): Promise<unknown> {
  const text = await readText(body, limitBytes);
  if (text === undefined)
    throw new AppError('KUBE_ANSWER_UNUSABLE', { request, problem: `the body is longer than ${limitBytes} bytes` });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError(
      'KUBE_ANSWER_UNUSABLE',
      { request, problem: `the body is not JSON (${messageOf(error)})` },
      { cause: error },
    );
  }
}

type Refused = {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
};

/** Converts an error answer of the server to an AppError. Reads the answer's body, which is not always a Status. */
export async function readStatus(answer: Refused, request: string): Promise<AppError<'KUBE_STATUS'>> {
  const text = (await readText(answer.body, refusalLimitBytes)) ?? '';
  const error = statusFrom(
    parsed(text),
    { status: answer.statusCode, message: text.slice(0, 200).trim() || 'no explanation' },
    request,
  );
  const header = retryAfterMs(answer.headers['retry-after']);
  const status = statusOf(error);
  return header === undefined || status === undefined ? error : statusError({ ...status, afterMs: header });
}

/** @param value a Status from an answer or an ERROR event; fields that it does not have are taken from `fallback` */
export function statusFrom(
  value: unknown,
  fallback: { status: number; message: string },
  request: string,
): AppError<'KUBE_STATUS'> {
  const status: Record<string, unknown> = isRecord(value) && value['kind'] === 'Status' ? value : {};
  const { code, reason, message, details } = status;
  return statusError({
    status: typeof code === 'number' && code >= 400 ? code : fallback.status,
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' && message !== '' ? message : fallback.message,
    request,
    ...pauseIn(details),
  });
}

function pauseIn(details: unknown): { afterMs?: number } {
  const seconds = isRecord(details) ? details['retryAfterSeconds'] : undefined;
  return typeof seconds === 'number' && seconds > 0 ? { afterMs: Math.min(seconds * 1000, maxAfterMs) } : {};
}

/** The wait that the server asked for, in milliseconds; undefined when the server did not ask for a wait. */
export function afterMsOf(error: unknown): number | undefined {
  return statusOf(error)?.afterMs;
}

/**
 * The non-empty lines of a body. A line that is longer than `limitBytes` is an error. When the caller leaves its loop
 * early, the connection is closed.
 */
export async function* readLines(body: Readable, limitBytes: number, request: string): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  let held = 0;
  const check = (bytes: number): void => {
    if (bytes > limitBytes)
      throw new AppError('KUBE_ANSWER_UNUSABLE', { request, problem: `one event is longer than ${limitBytes} bytes` });
  };
  for await (const chunk of body as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      check(held + end - from);
      const line =
        held === 0
          ? chunk.toString('utf8', from, end)
          : Buffer.concat([...pieces, chunk.subarray(from, end)]).toString('utf8');
      pieces = [];
      held = 0;
      from = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (from < chunk.length) {
      pieces.push(chunk.subarray(from));
      held += chunk.length - from;
    }
    check(held);
  }
  // Drop a last line without a newline: it is incomplete, and the next watch gets the same event again.
}

/** @returns undefined when the body is longer than the limit */
async function readText(body: Readable, limitBytes: number): Promise<string | undefined> {
  const bytes = await readBounded(body, limitBytes);
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The header's seconds as milliseconds. The header may also be a date (RFC 9110, 10.2.3), but API servers do not send
 * dates.
 */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined || !/^\d{1,9}$/.test(text.trim())) return undefined;
  return Math.min(Number(text) * 1000, maxAfterMs);
}
