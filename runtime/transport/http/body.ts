/**
 * Reads a request body into one aligned buffer, which can be transferred to another thread.
 *
 * Limits: a body has at most `limitBytes`, also after decompression. Memory is charged for bytes that arrived, not for
 *         bytes that Content-Length announces. transfers.ts limits the sum of all bodies and their pace.
 * Why:    binary data after a JSON header is aligned in one buffer, so tensors can be views of it without a copy.
 */
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate } from 'node:zlib';
import type { Transform } from 'node:stream';
import { AppError } from '../../../api/errors.ts';
import { freeBuffer, freeBytes } from '../../../lib/free-bytes.ts';
import type { BodyLease } from './transfers.ts';

const firstBytes = 64 * 1024;
const growth = 4;
/** Bytes of decompressed data per step. */
const chunkSize = 64 * 1024;

export type BodyRules = {
  readonly limitBytes: number;
  /** Bytes of the JSON at the start of the body; the data after it is aligned to 8 bytes. 0 without such JSON. */
  readonly headBytes: number;
  readonly lease: BodyLease;
};

/**
 * @throws AppError REQUEST_TOO_LARGE, REQUEST_INVALID for an unknown encoding or invalid compressed data, BODIES_FULL,
 *         BODY_TOO_SLOW; the stream's error when the client disconnects
 */
export async function readBody(request: IncomingMessage, rules: BodyRules): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const expand = Object.hasOwn(expanders, encoding) ? expanders[encoding] : undefined;
  if (expand === undefined)
    throw new AppError('REQUEST_INVALID', {
      problem: `Content-Encoding ${encoding} is not one of ${Object.keys(expanders).join(', ')}`,
    });
  const declared = declaredBytes(request);
  if (declared !== undefined && declared > rules.limitBytes) throw tooLarge(rules.limitBytes);
  return expand(await readWhole(request, declared, rules), rules);
}

/**
 * The value of Content-Length; undefined for a chunked body. Node's parser refuses invalid numbers before this function
 * is called.
 */
export function declaredBytes(request: IncomingMessage): number | undefined {
  const declared = request.headers['content-length'];
  return declared === undefined ? undefined : Number(declared);
}

/** A body that grows with each chunk. */
class GrowingBody {
  readonly #rules: BodyRules;
  readonly #mostBytes: number;
  readonly #pad: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param declared final size in bytes; undefined when it is unknown */
  constructor(rules: BodyRules, declared: number | undefined) {
    this.#rules = rules;
    this.#mostBytes = declared ?? rules.limitBytes;
    // Align to eight bytes, the size of the widest tensor element.
    this.#pad = (8 - (rules.headBytes % 8)) % 8;
    this.#bytes = this.#make(Math.min(this.#mostBytes, firstBytes));
  }

  /** @throws AppError REQUEST_TOO_LARGE, BODIES_FULL */
  add(chunk: Uint8Array): void {
    const { lease, limitBytes } = this.#rules;
    const length = this.#length + chunk.length;
    if (length > limitBytes) throw tooLarge(limitBytes);
    lease.grow(chunk.length);
    if (length > this.#bytes.length) this.#growTo(length);
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length);
  }

  #growTo(length: number): void {
    const larger = this.#make(Math.min(this.#mostBytes, Math.max(length, this.#bytes.length * growth)));
    larger.set(this.#bytes.subarray(0, this.#length));
    freeBuffer(this.#bytes.buffer);
    this.#bytes = larger;
  }

  /**
   * The kernel only provides memory for pages that are written, so the unused end of the buffer does not take memory.
   */
  #make(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new ArrayBuffer(this.#pad + length), this.#pad);
  }
}

/**
 * Uses events instead of an async iterator, which would double the cost of a small request.
 * @throws the AppErrors of readBody, without reading the rest of the body; the stream's error when the client
 *   disconnects
 */
function readWhole(
  request: IncomingMessage,
  declared: number | undefined,
  rules: BodyRules,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = new GrowingBody(rules, declared);
  return new Promise((resolve, reject) => {
    const watch = rules.lease.watch(() => fail(new AppError('BODY_TOO_SLOW', undefined)));
    const onData = (chunk: Buffer): void => {
      try {
        watch.moved(chunk.length);
        body.add(chunk);
        freeBytes(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const fail = (error: Error): void => {
      request.off('data', onData);
      watch.done();
      reject(error);
    };
    request.on('data', onData);
    request.on('end', () => {
      watch.done();
      resolve(body.bytes);
    });
    request.on('error', fail);
  });
}

type Expand = (bytes: Uint8Array<ArrayBuffer>, rules: BodyRules) => Promise<Uint8Array<ArrayBuffer>>;

const expanders: Readonly<Record<string, Expand>> = {
  identity: (bytes) => Promise.resolve(bytes),
  gzip: expandBy(() => createGunzip({ chunkSize }), 'gzip'),
  deflate: expandBy(() => createInflate({ chunkSize }), 'deflate'),
};

/** The decompressed size is unknown in advance, so each piece is charged before the next piece is decompressed. */
function expandBy(make: () => Transform, name: string): Expand {
  return (bytes, rules) => {
    const body = new GrowingBody(rules, undefined);
    return new Promise((resolve, reject) => {
      const stream = make();
      stream.on('data', (chunk: Buffer) => {
        try {
          body.add(chunk);
        } catch (error) {
          stream.destroy();
          reject(error as Error);
        }
      });
      stream.on('end', () => resolve(body.bytes));
      stream.on('error', (error) =>
        reject(
          new AppError(
            'REQUEST_INVALID',
            { problem: `Content-Encoding is ${name}, but the body is not valid ${name} data` },
            { cause: error },
          ),
        ),
      );
      stream.end(bytes);
    });
  };
}

function tooLarge(limit: number): AppError {
  return new AppError('REQUEST_TOO_LARGE', { what: 'the body is too large', limit: `${limit} bytes` });
}
