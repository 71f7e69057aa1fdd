/**
 * One request and its answer.
 * Owns: the parameters of a request whose path was parsed, reading its body up to a limit, and writing answers: JSON,
 * warnings, errors.
 * Limits: bodies of 3 MiB, as on kube-apiserver.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FieldValidation } from '../decode.ts';
import type { Resource, Subresource } from '../resource.ts';
import { unsupportedValue, type Cause } from '../../../kube/schema/cause.ts';
import { invalidObject, StatusError } from '../status.ts';

export const maxBodyBytes = 3 * 1024 * 1024;

/** A request for objects of a resource. */
export type Target = {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  /** Absent when the request is for a collection. */
  readonly name: string | undefined;
  readonly subresource: string;
};

export class ApiExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #warnings: string[] = [];

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const url = new URL(request.url ?? '/', 'http://local');
    this.path = url.pathname;
    this.query = url.searchParams;
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  get accept(): string {
    return this.request.headers.accept ?? '*/*';
  }

  get mediaType(): string {
    return (this.request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  }

  warn(message: string): void {
    if (!this.#warnings.includes(message)) this.#warnings.push(message);
  }

  /** @throws StatusError 413 when the body is too large; an Error of Node when the client disconnects */
  async readBody(): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    let size = 0;
    // Keep the connection open, so that the client can read the error.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBodyBytes)
        throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${maxBodyBytes}`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  sendJson(code: number, body: unknown, contentType = 'application/json'): void {
    this.send(code, JSON.stringify(body), contentType);
  }

  send(code: number, text: string, contentType: string): void {
    if (this.response.headersSent) return;
    this.setCommonHeaders(contentType);
    this.response.writeHead(code, { 'Content-Length': Buffer.byteLength(text) });
    this.response.end(text);
  }

  setCommonHeaders(contentType: string): void {
    this.response.setHeader('Content-Type', contentType);
    this.response.setHeader('Cache-Control', 'no-cache, private');
    if (this.#warnings.length > 0)
      this.response.setHeader(
        'Warning',
        this.#warnings.map((message) => `299 - ${JSON.stringify(message)}`),
      );
  }

  sendError(error: StatusError): void {
    const { body } = error;
    if (body.details?.retryAfterSeconds !== undefined)
      this.response.setHeader('Retry-After', body.details.retryAfterSeconds);
    // Close the connection: otherwise the rest of the body, which was not read, would be parsed as the next request.
    if (!this.request.complete) {
      this.response.setHeader('Connection', 'close');
      this.request.resume();
    }
    this.sendJson(body.code ?? 500, body);
  }

  /** The field manager for managedFields: the requested manager, or else the name of the program in the User-Agent. */
  get manager(): string {
    const asked = this.query.get('fieldManager') ?? '';
    if (asked !== '') return asked;
    return (this.request.headers['user-agent'] ?? 'unknown').split('/')[0]?.slice(0, 128) ?? 'unknown';
  }
}

export type WriteQuery = { readonly dryRun: boolean; readonly validation: FieldValidation; readonly manager: string };

/**
 * @param kind `CreateOptions`, `UpdateOptions` or `PatchOptions`; it is part of the error message
 * @throws StatusError 422
 */
export function writeQuery(exchange: ApiExchange, kind: string): WriteQuery {
  const causes: Cause[] = [];
  const dryRun = exchange.query.getAll('dryRun').filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All'))
    causes.push({
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`,
      field: 'dryRun',
    });
  const validation = exchange.query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Strict', 'Warn'].includes(validation))
    causes.push(unsupportedValue('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  const manager = exchange.query.get('fieldManager') ?? '';
  if (manager.length > 128)
    causes.push({
      reason: 'FieldValueTooLong',
      message: 'Too long: may not be more than 128 bytes',
      field: 'fieldManager',
    });
  if (causes.length > 0) throw invalidObject({ group: 'meta.k8s.io', plural: '', kind }, '', causes);
  return {
    dryRun: dryRun.length > 0,
    validation: validation === '' ? 'Warn' : (validation as FieldValidation),
    manager: exchange.manager,
  };
}

export function asSubresource(name: string): Subresource {
  return name === 'status' || name === 'scale' ? name : '';
}
