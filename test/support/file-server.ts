/**
 * A web server on loopback for tests of downloads: serves bytes by path, with faults on demand.
 * Owns: one server and the record of its requests. It supports ranges, If-Range and ETags; a test's `on` may handle a
 * request itself, for example wrongly.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Asked = {
  readonly path: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
};

/**
 * Handles a request in place of the server: it answers or cuts the connection, and returns true. If it returns false,
 * the server answers. `nth` counts the requests.
 */
export type Fault = (request: IncomingMessage, response: ServerResponse, nth: number) => boolean;

export class FileServer {
  readonly asked: Asked[] = [];
  readonly files = new Map<string, Uint8Array>();
  /** ETags by path, weak or strong. Absent: a strong ETag made from the content's length; null: without an ETag. */
  readonly etags = new Map<string, string | null>();
  on: Fault = () => false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<FileServer> {
    const server = new FileServer();
    await new Promise<void>((resolve) => {
      server.#server.listen(0, '127.0.0.1', resolve);
    });
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    const { range } = request.headers;
    this.asked.push({ path, range, headers: request.headers });
    response.on('error', () => {});
    if (this.on(request, response, this.asked.length)) return;
    const bytes = this.files.get(path);
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    const given = this.etags.get(path);
    sendFile(request, response, { bytes, etag: given === undefined ? `"${bytes.length}"` : given });
  }
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: { readonly bytes: Uint8Array; readonly etag: string | null },
): void {
  const { bytes, etag } = file;
  const headers = etag === null ? {} : { etag };
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? NaN);
  const fresh = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  if (Number.isNaN(from) || !fresh)
    response.writeHead(200, { ...headers, 'content-length': bytes.length, 'accept-ranges': 'bytes' }).end(bytes);
  else if (from >= bytes.length) response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  else
    response
      .writeHead(206, {
        ...headers,
        'content-length': bytes.length - from,
        'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
      })
      .end(bytes.subarray(from));
}

/** Sends the head of a good answer and a part of the body, then cuts the connection. */
export function cutAfter(
  response: ServerResponse,
  bytes: Uint8Array,
  count: number,
  headers: Readonly<Record<string, string>> = {},
): true {
  response.writeHead(200, { 'content-length': bytes.length, ...headers });
  response.write(bytes.subarray(0, count), () => setImmediate(() => response.destroy()));
  return true;
}
