/**
 * Reads a request's body: bounded, decompressed, in a buffer of its own that can be handed to another thread.
 *
 * Owns:   the limit of a single body. What all hold together, and how fast they come, is in transfers.ts.
 * Limits: a body has at most `limitBytes`, also after decompression; more is refused before it is read. Memory is taken
 *         for bytes that came, not for those that were announced.
 * Why:    a buffer that grows in large steps up to the announced size: nothing is joined at the end, and binary data
 *         after a JSON header lies aligned, so that tensors can be views of it.
 */
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate } from 'node:zlib';
import type { Transform } from 'node:stream';
import { AppError } from '../../../api/errors.ts';
import type { BodyLease } from './transfers.ts';

const firstBytes = 64 * 1024;
const growth = 4;
/** Of decompressed data. */
const chunkSize = 64 * 1024;

export type BodyRules = {
  readonly limitBytes: number;
  /** Bytes that precede data which should lie aligned; 0 for none. */
  readonly headBytes: number;
  readonly lease: BodyLease;
};

/**
 * @throws AppError REQUEST_TOO_LARGE, REQUEST_INVALID for an encoding that is not known or broken, BODIES_FULL,
 *         BODY_TOO_SLOW; the stream's error when the client goes away
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

/** What Content-Length says; undefined for a chunked body. Node's parser has refused what is not a number. */
export function declaredBytes(request: IncomingMessage): number | undefined {
  const declared = request.headers['content-length'];
  return declared === undefined ? undefined : Number(declared);
}

/** A body of bytes that come one after the other. */
class GrowingBody {
  readonly #rules: BodyRules;
  readonly #mostBytes: number;
  readonly #pad: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param declared bytes that there will be; undefined when nobody knows */
  constructor(rules: BodyRules, declared: number | undefined) {
    this.#rules = rules;
    this.#mostBytes = declared ?? rules.limitBytes;
    // Eight bytes is the widest element.
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
    this.#bytes = larger;
  }

  /** The kernel gives memory for what is written, so that unused room at the end costs nothing. */
  #make(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new ArrayBuffer(this.#pad + length), this.#pad);
  }
}

/**
 * Events, not an async iterator: that costs as much as everything else about a small request.
 * @throws what is wrong with the body (the rest of it is left to run past), the stream's error when the client goes
 *   away
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

/** How large a compressed body is shows only while it grows: each piece is charged before the next is made. */
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
            { problem: `the body is not ${name} as its Content-Encoding says` },
            { cause: error },
          ),
        ),
      );
      stream.end(bytes);
    });
  };
}

function tooLarge(limit: number): AppError {
  return new AppError('REQUEST_TOO_LARGE', { what: 'the body, in bytes,', limit });
}
