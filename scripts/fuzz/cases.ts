/**
 * A fuzz case: random bytes for one connection to a model server, and the expected answers.
 * Owns: the types, making HTTP requests from a body, and the checks that every answer must pass.
 * Pure.
 */
import { deflateSync, gzipSync } from 'node:zlib';
import type { Chance } from './chance.ts';

export const targets = ['http', 'json', 'binary', 'embeddings'] as const;
export type Target = (typeof targets)[number];

export type Answer = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: Buffer };

/** A check of one answer. @returns what is wrong with the answer; undefined when it is right */
export type Check = (answer: Answer) => string | undefined;

/**
 * One action of the client in a case: write bytes, wait some milliseconds, close the client's sending side ('end'), or
 * destroy the connection.
 */
export type Part = Buffer | { readonly pauseMs: number } | 'end' | 'destroy';

export type Due = { readonly check: Check; /** True for HEAD: its answer has no body. */ readonly head?: boolean };

export type Case = {
  /** The kind of case, which the summary and reports of faults print. */
  readonly kind: string;
  readonly server: string;
  readonly parts: readonly Part[];
  /** One check for each expected answer, in the order of the answers. */
  readonly due: readonly Due[];
  /**
   * keep: every answer arrives, and the connection stays usable. close: every answer arrives, then the connection may
   * close. free: the bytes are truncated or are not valid HTTP, so some answers may be missing, and the connection must
   * close after `end`. gone: the client disconnects, so no answer is expected.
   */
  readonly connection: 'keep' | 'close' | 'free' | 'gone';
};

export type Post = { readonly path: string; readonly body: Buffer; readonly headers?: readonly string[] };

/**
 * A POST request in one of the forms that HTTP/1.1 allows: with a length or in chunks, compressed or not, in one write
 * or in several.
 */
export function postParts(chance: Chance, { path, body, headers = [] }: Post): Part[] {
  const encoding = chance.weighted([
    [92, 'identity'],
    [5, 'gzip'],
    [3, 'deflate'],
  ] as const);
  const sent =
    encoding === 'gzip'
      ? gzipSync(body, { level: 1 })
      : encoding === 'deflate'
        ? deflateSync(body, { level: 1 })
        : body;
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: fuzz',
    ...headers,
    ...(encoding === 'identity' && chance.percent(97) ? [] : [`Content-Encoding: ${encoding}`]),
  ];
  const chunked = chance.percent(8);
  const whole = chunked ? chunkedBody(chance, sent) : sent;
  const head = Buffer.from(
    `${[...lines, chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${sent.length}`].join('\r\n')}\r\n\r\n`,
    'latin1',
  );
  return split(chance, Buffer.concat([head, whole]));
}

/**
 * Splits the bytes at random: mostly into one write, otherwise into two writes with a wait of at most 3 ms between
 * them.
 */
export function split(chance: Chance, bytes: Buffer): Part[] {
  if (bytes.length < 2 || chance.percent(93)) return [bytes];
  const at = chance.between(1, bytes.length - 1);
  return [bytes.subarray(0, at), { pauseMs: chance.below(4) }, bytes.subarray(at)];
}

export function chunkedBody(chance: Chance, body: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, chance.between(1, Math.max(1, chance.pick([7, 64, 4096]))));
    const hex = chance.percent(50)
      ? size.toString(16)
      : `${'0'.repeat(chance.below(3))}${size.toString(16).toUpperCase()}`;
    const extension = chance.percent(5) ? ';name=value' : '';
    pieces.push(Buffer.from(`${hex}${extension}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  const trailer = chance.percent(5) ? 'x-trailer: 1\r\n' : '';
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${trailer}\r\n`)]);
}

export function get(path: string, headers: readonly string[] = [], method = 'GET'): Buffer {
  return Buffer.from(`${[`${method} ${path} HTTP/1.1`, 'Host: fuzz', ...headers].join('\r\n')}\r\n\r\n`, 'latin1');
}

/**
 * A check that the answer has one of these statuses, and that an answer with an error status contains an error message.
 */
export function statusIn(...statuses: readonly number[]): Check {
  return (answer) =>
    statuses.includes(answer.status) ? errorBody(answer) : `status ${answer.status}, expected ${statuses.join(' or ')}`;
}

/** Checks that an answer with an error status is JSON with a message. */
export function errorBody({ status, headers, body }: Answer): string | undefined {
  if (status < 400) return undefined;
  const type = headers.get('content-type') ?? '';
  if (!type.startsWith('application/json')) return `an error of type '${type}'`;
  const words = wordsOf(parseOrUndefined(body));
  return typeof words === 'string' && words !== '' ? undefined : 'an error without a message';
}

/** Checks that an error under /v1 has the form of OpenAI's API. */
export function openAiError(answer: Answer): string | undefined {
  const { error } = (parseOrUndefined(answer.body) ?? {}) as { readonly error?: unknown };
  if (typeof error !== 'object' || error === null || !['message', 'type', 'param', 'code'].every((key) => key in error))
    return `the error is not OpenAI's: ${answer.body.subarray(0, 200).toString()}`;
  return errorBody(answer);
}

/**
 * The message of an error. The Open Inference Protocol has `{"error": message}`; OpenAI's API has `{"error":
 * {"message": message}}`.
 */
function wordsOf(body: unknown): unknown {
  const { error } = (body ?? {}) as { readonly error?: unknown };
  return typeof error === 'object' && error !== null ? (error as { readonly message?: unknown }).message : error;
}

export function parseOrUndefined(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
