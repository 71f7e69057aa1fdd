/** A small client of the Open Inference Protocol for tests: bodies, and requests that return the whole answer. */
import { request as send, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';

export type Seen = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer };

export type Ask = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sends the body without a Content-Length. */
  readonly chunked?: boolean;
  readonly signal?: AbortSignal;
};

/** @param url of the server, without a path */
export function ask(
  url: string,
  path: string,
  { method, headers = {}, body, chunked = false, signal }: Ask = {},
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    // Set Transfer-Encoding or Content-Length, because otherwise Node would choose.
    const length = chunked
      ? { 'transfer-encoding': 'chunked' }
      : { 'content-length': String(Buffer.byteLength(body ?? '')) };
    const request = send(
      new URL(path, url),
      {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { ...length, ...headers },
        agent: false,
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends raw bytes, and returns what is received until the connection closes. */
export function askRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

export function jsonOf(seen: Seen): unknown {
  return JSON.parse(seen.body.toString());
}

/** One input of the Open Inference Protocol, as JSON. */
export function inputOf(values: readonly unknown[], overrides: object = {}): object {
  return { name: 'x', shape: [1, values.length], datatype: 'FP32', data: values, ...overrides };
}

/** JSON and binary data in one body, with the header that gives the JSON's length. */
export function binaryBody(json: unknown, ...blobs: readonly Uint8Array[]): Required<Pick<Ask, 'headers' | 'body'>> {
  const head = Buffer.from(JSON.stringify(json));
  return {
    headers: { 'inference-header-content-length': String(head.length), 'content-type': 'application/octet-stream' },
    body: Buffer.concat([head, ...blobs]),
  };
}

/** Splits an answer into its JSON and its binary data. A header of the answer gives the JSON's length. */
export function splitBody(seen: Seen): { readonly json: unknown; readonly blob: Buffer } {
  const length = Number(seen.headers['inference-header-content-length']);
  return { json: JSON.parse(seen.body.subarray(0, length).toString()), blob: seen.body.subarray(length) };
}
