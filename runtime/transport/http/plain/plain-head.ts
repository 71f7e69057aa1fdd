/**
 * Reads the head of a plain request: a POST whose head is written in the usual way and announces a small body.
 *
 * Owns:  what is plain. For any other head plainHead() returns undefined, and node:http reads the request. Plain heads
 *        leave no room for interpretation, so both readers agree about where a request ends.
 * Pure.
 */
export type PlainHead = {
  /** The head, including the empty line at its end. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Value of Content-Length. */
  readonly contentBytes: number;
};

const longestHead = 8 * 1024;
/** Maximum number of headers; node:http itself refuses a head with more than 1000. */
const mostHeaders = 100;
/** A larger body is read by node:http. */
export const largestPlainBody = 4 * 2 ** 20;

const requestLine = /^POST (\/[A-Za-z0-9/._~-]{1,1000}) HTTP\/1\.1$/;
/** At most one space before the value, and none after it. The value is printable ASCII. */
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
/** Headers that change how a body is read, or what follows the request. */
const special = new Set([
  'transfer-encoding',
  'content-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'proxy-connection',
  'http2-settings',
  'keep-alive',
  'set-cookie',
]);

/** @returns undefined when the head is not complete, or not plain */
export function plainHead(bytes: Buffer): PlainHead | undefined {
  const end = bytes.subarray(0, longestHead).indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n', mostHeaders + 2);
  const path = requestLine.exec(first)?.[1];
  const headers = path === undefined ? undefined : headersOf(lines);
  if (path === undefined || headers === undefined) return undefined;
  const contentBytes = lengthOf(headers['content-length']);
  if (headers['host'] === undefined || contentBytes === undefined) return undefined;
  return { bytes: Uint8Array.from(bytes.subarray(0, end + 4)), path, headers, contentBytes };
}

function headersOf(lines: readonly string[]): Record<string, string> | undefined {
  if (lines.length > mostHeaders) return undefined;
  const headers = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, given, value] = headerLine.exec(line) ?? [];
    if (given === undefined || value === undefined) return undefined;
    const name = given.toLowerCase();
    // Refuse a repeated header: Node joins or drops it, by a rule of that header.
    if (special.has(name) || headers[name] !== undefined) return undefined;
    if (name === 'connection' && value.toLowerCase() !== 'keep-alive') return undefined;
    headers[name] = value;
  }
  return headers;
}

function lengthOf(value: string | undefined): number | undefined {
  if (value === undefined || !/^(?:0|[1-9]\d{0,6})$/.test(value)) return undefined;
  const length = Number(value);
  return length <= largestPlainBody ? length : undefined;
}
