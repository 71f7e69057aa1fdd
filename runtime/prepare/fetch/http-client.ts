/**
 * One GET request over HTTP(S), with all failures mapped to AppErrors.
 *
 * Owns:   connections, redirects, credentials in a URL, time-outs, and the meaning of each status.
 * Limits: 5 redirects; a redirect from https must lead to https. Credentials go only to their own origin. Every address
 *         is checked on connecting (address-guard.ts). 10 s to connect, 30 s to answer, 60 s between bytes. Bodies are
 *         streams; the caller limits them.
 */
import { Agent, errors, request, type Dispatcher } from 'undici';
import { AppError, messageOf } from '../../../api/errors.ts';
import { blockedCode, blockedMessage, guardedLookup, isBlockedAddress } from './address-guard.ts';
import { showUri } from './uri.ts';

export type HttpOptions = {
  /** Allows link-local and metadata addresses. */
  readonly allowLinkLocal?: boolean;
  /** Certificates to trust in addition to the built-in certificates, PEM. */
  readonly ca?: readonly string[];
  /** Time limits. Tests set shorter limits. */
  readonly timeouts?: { readonly connectMs: number; readonly headersMs: number; readonly idleMs: number };
};

export type SourceResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Dispatcher.ResponseData['body'];
};

const maxRedirects = 5;
const redirects = new Set([301, 302, 303, 307, 308]);
const defaultTimeouts = { connectMs: 10_000, headersMs: 30_000, idleMs: 60_000 };

export class HttpClient {
  readonly #agent: Agent;
  readonly #allowLinkLocal: boolean;

  constructor(options: HttpOptions = {}) {
    const { connectMs, headersMs, idleMs } = options.timeouts ?? defaultTimeouts;
    this.#allowLinkLocal = options.allowLinkLocal ?? false;
    this.#agent = new Agent({
      headersTimeout: headersMs,
      bodyTimeout: idleMs,
      connections: 4,
      connect: {
        timeout: connectMs,
        ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
        ...(this.#allowLinkLocal ? {} : { lookup: guardedLookup() as never }),
      },
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * @returns a response with status 200, 206 or 416; the caller must read or destroy its body
   * @throws SOURCE_MISSING (404, 410, 401, 403), SOURCE_INVALID (blocked address, bad redirect target, too many
   * redirects), SOURCE_UNAVAILABLE (every other failure)
   */
  async get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<SourceResponse> {
    let at = url;
    for (let hops = 0; hops <= maxRedirects; hops += 1) {
      const answer = await this.#once(at, headersFor(url, at, headers), signal);
      const { location } = answer.headers;
      if (!redirects.has(answer.status) || location === undefined) return await accept(answer, url);
      discard(answer);
      at = next(at, location);
    }
    throw new AppError('SOURCE_INVALID', {
      uri: showUri(url.href),
      problem: `it was redirected more than ${maxRedirects} times`,
    });
  }

  async #once(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<SourceResponse> {
    // Check literal addresses here: Node does not look them up, so the guard in the look-up does not check them.
    if (!this.#allowLinkLocal && isBlockedAddress(url.hostname)) {
      throw new AppError('SOURCE_INVALID', { uri: showUri(url.href), problem: blockedMessage(url.hostname) });
    }
    const bare = new URL(url);
    bare.username = '';
    bare.password = '';
    try {
      const {
        statusCode,
        headers: got,
        body,
      } = await request(bare, { method: 'GET', headers, dispatcher: this.#agent, signal });
      return { status: statusCode, headers: flat(got), body };
    } catch (error) {
      throw fault(url, error, signal);
    }
  }
}

/**
 * Headers for one request. Credentials, from the URL or from the caller's Authorization header, are only sent to the
 * first URL's origin.
 */
function headersFor(first: URL, at: URL, given: Readonly<Record<string, string>>): Record<string, string> {
  const { authorization, ...others } = given;
  // Request no content encoding: bytes are counted, hashed and resumed as stored.
  const headers: Record<string, string> = { 'accept-encoding': 'identity', ...others };
  if (at.origin !== first.origin) return headers;
  const basic = `${decodeURIComponent(first.username)}:${decodeURIComponent(first.password)}`;
  const credential = authorization ?? (basic === ':' ? undefined : `Basic ${Buffer.from(basic).toString('base64')}`);
  return credential === undefined ? headers : { ...headers, authorization: credential };
}

function next(from: URL, location: string): URL {
  const invalid = (problem: string): AppError => new AppError('SOURCE_INVALID', { uri: showUri(from.href), problem });
  if (!URL.canParse(location, from.href)) throw invalid('it redirects to an invalid URL');
  const to = new URL(location, from.href);
  const secure = to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:');
  if (!secure)
    throw invalid(
      `it redirects from ${from.protocol} to ${to.protocol} ${showUri(to.href)}; such redirects are not followed`,
    );
  return to;
}

async function accept(answer: SourceResponse, url: URL): Promise<SourceResponse> {
  const { status } = answer;
  if (status === 200 || status === 206 || status === 416) return answer;
  discard(answer);
  const uri = showUri(url.href);
  if (status === 404 || status === 410)
    throw new AppError('SOURCE_MISSING', { uri, why: `the server answered ${status}` });
  if (status === 401 || status === 403)
    throw new AppError('SOURCE_MISSING', { uri, why: `the server answered ${status}: check the credentials` });
  throw new AppError('SOURCE_UNAVAILABLE', { uri, why: `the server answered ${status}` });
}

/** Discards the body without reading it. */
export function abandon(answer: SourceResponse): void {
  // undici reports the destroyed body as an error, and an error event without a listener would end the process.
  answer.body.on('error', () => {});
  answer.body.destroy();
}

/** Reads a short remaining body, so that the connection can be reused; aborts a long one. */
function discard(answer: SourceResponse): void {
  answer.body.dump({ limit: 16_384 }).catch(() => {});
}

/** The AppError for a failed request or body. An abort by the caller is returned unchanged. */
export function fault(url: URL, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || error instanceof AppError) return error;
  const uri = showUri(url.href);
  if (codeOf(error) === blockedCode)
    return new AppError('SOURCE_INVALID', { uri, problem: messageOf(error) }, { cause: error });
  return new AppError('SOURCE_UNAVAILABLE', { uri, why: wordsOf(error) }, { cause: error });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/**
 * The reason of a failure. If connecting to several addresses failed, undici's error has no message, so the messages of
 * all attempts are joined.
 */
function wordsOf(error: unknown): string {
  if (error instanceof errors.ConnectTimeoutError) return 'connecting to the server timed out';
  if (error instanceof errors.HeadersTimeoutError) return 'the server did not answer in time';
  if (error instanceof errors.BodyTimeoutError) return 'the server sent no data for too long';
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return messageOf(error);
}

function flat(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) out[name] = first;
  }
  return out;
}
