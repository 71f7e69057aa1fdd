/**
 * Files behind an http(s) URL: a single file, or the files of a folder.
 *
 * Owns:  range requests (RFC 9110, 13.1.5 If-Range and 14.4 Content-Range), and the check that a response contains the
 *        requested range of the same file. If the check fails, the download starts from the beginning.
 */
import { AppError } from '../../../api/errors.ts';
import { eagerly } from './eager-body.ts';
import { abandon, fault, type SourceResponse, type HttpClient } from './http-client.ts';
import type { OpenAt, Opened, Source, Validator } from './source.ts';
import { showUri } from './uri.ts';

export class HttpSource implements Source {
  readonly #client: HttpClient;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(client: HttpClient, url: URL, headers: Readonly<Record<string, string>> = {}) {
    this.#client = client;
    this.#url = url;
    this.#headers = headers;
  }

  show(path: string): string {
    return showUri(this.#at(path).href);
  }

  async open(path: string, at: OpenAt, signal: AbortSignal): Promise<Opened> {
    const url = this.#at(path);
    const answer = await this.#client.get(url, { ...this.#headers, ...rangeHeaders(at) }, signal);
    const opened = judge(answer, at);
    if (opened !== undefined) return { ...opened, bytes: eagerly(answer.body, (error) => fault(url, error, signal)) };
    abandon(answer);
    if (at.offset > 0) return await this.open(path, { offset: 0 }, signal);
    throw new AppError('SOURCE_UNAVAILABLE', {
      uri: showUri(url.href),
      why: `the server answered ${answer.status} to a request for the whole file`,
    });
  }

  #at(path: string): URL {
    if (path === '') return this.#url;
    const url = new URL(this.#url);
    url.pathname += path.split('/').map(encodeURIComponent).join('/');
    return url;
  }
}

function rangeHeaders({ offset, validator }: OpenAt): Record<string, string> {
  if (offset === 0) return {};
  // Without a validator, the caller verifies the file by its digest.
  return { range: `bytes=${offset}-`, ...(validator === undefined ? {} : { 'if-range': validator }) };
}

type Judged = Omit<Opened, 'bytes'>;

/** @returns undefined when the response cannot be used */
function judge(answer: SourceResponse, at: OpenAt): Judged | undefined {
  const validator = validatorOf(answer);
  const known = validator === undefined ? {} : { validator };
  if (answer.status === 200) {
    const totalBytes = countOf(answer.headers['content-length']);
    return { offset: 0, ...known, ...(totalBytes === undefined ? {} : { totalBytes }) };
  }
  const range = rangeOf(answer.headers['content-range']);
  if (answer.status !== 206 || range === undefined) return undefined;
  return continues(at, range.start, validator)
    ? { offset: at.offset, totalBytes: range.totalBytes, ...known }
    : undefined;
}

/**
 * False for a range that does not start where the earlier pieces end, and for a 206 response whose validator differs
 * from the one in If-Range: the result would be a mixture of two files.
 */
function continues(at: OpenAt, start: number, validator: Validator | undefined): boolean {
  const same = at.validator === undefined || validator === undefined || validator === at.validator;
  return same && at.offset > 0 && start === at.offset;
}

/**
 * @returns undefined when the header lacks the range or the file's size, or when the range ends before the end of the
 *   file
 */
function rangeOf(header = ''): { start: number; totalBytes: number } | undefined {
  const [, start, end, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header) ?? [];
  return total !== undefined && Number(end) === Number(total) - 1
    ? { start: Number(start), totalBytes: Number(total) }
    : undefined;
}

/**
 * Weak ETags identify equivalent content, not equal bytes, so a weak ETag does not show that two ranges belong to the
 * same file.
 */
function validatorOf({ headers }: SourceResponse): Validator | undefined {
  const { etag, 'last-modified': modified } = headers;
  if (etag !== undefined) return etag.startsWith('W/') || etag.length > 1024 ? undefined : etag;
  return modified !== undefined && modified.length <= 64 ? modified : undefined;
}

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
