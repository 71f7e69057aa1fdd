/**
 * One GET over HTTP(S), with everything that may go wrong put into our words.
 *
 * Owns:   the connections, redirects, credentials of a URL, time-outs, and what each status means.
 * Limits: 5 redirects; from https only to https; credentials only ever go to the origin they were given for; every
 *         address is checked when it is connected to (address-guard.ts); 10 s to connect, 30 s to answer, 60 s
 *         without a byte. Bodies are streams: whoever reads them bounds them.
 */
import { Agent, errors, request, type Dispatcher } from 'undici';
import { AppError, messageOf } from '../../../api/errors.ts';
import { blockedCode, blockedMessage, guardedLookup, isBlockedAddress } from './address-guard.ts';
import { showUri } from './uri.ts';

export type HttpOptions = {
  /** Link-local and metadata addresses may be fetched from. */
  readonly allowLinkLocal?: boolean;
  /** Certificates to trust beside the built-in ones, PEM. */
  readonly ca?: readonly string[];
  /** Shorter ones for tests. */
  readonly timeouts?: { readonly connectMs: number; readonly headersMs: number; readonly idleMs: number };
};

export type Answer = {
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
   * @returns an answer of status 200 or 206; its body must be read or destroyed
   * @throws SOURCE_MISSING (404, 410, 401, 403), SOURCE_INVALID (where it leads to), SOURCE_UNAVAILABLE (all else)
   */
  async get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
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

  async #once(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    // Node resolves no name for a literal address, so the guard at the look-up does not see those.
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

/** User and password of the URL go to its own origin only; so do headers that the caller gives for it. */
function headersFor(first: URL, at: URL, given: Readonly<Record<string, string>>): Record<string, string> {
  const { authorization, ...others } = given;
  // Bytes are counted, hashed and resumed as they are stored: no encoding on the way.
  const headers: Record<string, string> = { 'accept-encoding': 'identity', ...others };
  if (at.origin !== first.origin) return headers;
  const basic = `${decodeURIComponent(first.username)}:${decodeURIComponent(first.password)}`;
  const credential = authorization ?? (basic === ':' ? undefined : `Basic ${Buffer.from(basic).toString('base64')}`);
  return credential === undefined ? headers : { ...headers, authorization: credential };
}

function next(from: URL, location: string): URL {
  const invalid = (problem: string): AppError => new AppError('SOURCE_INVALID', { uri: showUri(from.href), problem });
  if (!URL.canParse(location, from.href)) throw invalid('it redirects to something that is not a URL');
  const to = new URL(location, from.href);
  const secure = to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:');
  if (!secure)
    throw invalid(`it redirects from ${from.protocol} to ${to.protocol} ${showUri(to.href)}, which is not followed`);
  return to;
}

async function accept(answer: Answer, url: URL): Promise<Answer> {
  const { status } = answer;
  if (status === 200 || status === 206 || status === 416) return answer;
  discard(answer);
  const uri = showUri(url.href);
  if (status === 404 || status === 410)
    throw new AppError('SOURCE_MISSING', { uri, why: `the server answered ${status}` });
  if (status === 401 || status === 403)
    throw new AppError('SOURCE_MISSING', { uri, why: `the server answered ${status}: it wants other credentials` });
  throw new AppError('SOURCE_UNAVAILABLE', { uri, why: `the server answered ${status}` });
}

/** The body is not wanted, however long it is. */
export function abandon(answer: Answer): void {
  // undici calls this an error, and one that nobody listens to ends the process.
  answer.body.on('error', () => {});
  answer.body.destroy();
}

/** A small rest is read so that the connection can be used again, a long one is cut off. */
function discard(answer: Answer): void {
  answer.body.dump({ limit: 16_384 }).catch(() => {});
}

/** What a failed request or body means. An abort by the caller stays what it is. */
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

/** undici's own words, with the system's where a connection to several addresses failed and the message is empty. */
function wordsOf(error: unknown): string {
  if (error instanceof errors.ConnectTimeoutError) return 'the connection was not made in time';
  if (error instanceof errors.HeadersTimeoutError) return 'the server did not answer in time';
  if (error instanceof errors.BodyTimeoutError) return 'the server sent nothing for too long';
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
