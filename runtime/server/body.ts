/**
 * Reads a request's body: bounded, decompressed, in a buffer of its own that can be handed to another thread.
 *
 * Owns:   the limits of a single body and of all bodies that are held at a time.
 * Limits: a body has at most `limitBytes`, also after decompression; more is refused before it is read.
 * Why:    one allocation of the announced size, filled as chunks come: nothing is joined at the end, and binary
 *         data after a JSON header lies aligned, so that tensors can be views of it.
 */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate, type InputType, type ZlibOptions } from 'node:zlib';
import { AppError } from '../../api/errors.ts';
import { ownValue } from '../../api/record.ts';

/** What one request's body holds of the budget. */
export type Lease = {
  /** @throws AppError BODIES_FULL */
  readonly grow: (bytes: number) => void;
  /** Gives everything back. */
  readonly end: () => void;
};

/** Counts the bytes of bodies in memory. */
export class BodyBudget {
  readonly #limitBytes: () => number;
  #heldBytes = 0;

  /** @param limitBytes read anew each time: it shrinks once the model has taken its memory */
  constructor(limitBytes: () => number) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  lease(): Lease {
    let own = 0;
    return {
      grow: (bytes) => {
        // A body alone always fits: its own limit is checked elsewhere.
        const limitBytes = this.#limitBytes();
        if (this.#heldBytes > own && this.#heldBytes + bytes > limitBytes) throw new AppError('BODIES_FULL', { limitBytes });
        own += bytes;
        this.#heldBytes += bytes;
      },
      end: () => {
        this.#heldBytes -= own;
        own = 0;
      },
    };
  }
}

export type BodyRules = {
  readonly limitBytes: number;
  /** Bytes that precede data which should lie aligned; 0 for none. */
  readonly headBytes: number;
  readonly lease: Lease;
};

/**
 * @throws AppError REQUEST_TOO_LARGE, REQUEST_INVALID for an encoding that is not known or broken; the stream's error
 *         when the client goes away
 */
export async function readBody(request: IncomingMessage, rules: BodyRules): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const expand = ownValue(expanders, encoding);
  if (expand === undefined) throw new AppError('REQUEST_INVALID', { problem: `Content-Encoding ${encoding} is none of ${Object.keys(expanders).join(', ')}` });
  const declared = declaredBytes(request);
  if (declared !== undefined && declared > rules.limitBytes) throw tooLarge(rules.limitBytes);
  const bytes = declared === undefined ? await readUnknown(request, rules) : await readKnown(request, declared, rules);
  return expand(bytes, rules);
}

/** What Content-Length says; undefined for a chunked body. Node's parser has refused what is no number. */
export function declaredBytes(request: IncomingMessage): number | undefined {
  const declared = request.headers['content-length'];
  return declared === undefined ? undefined : Number(declared);
}

async function readKnown(request: IncomingMessage, length: number, { headBytes, lease }: BodyRules): Promise<Uint8Array<ArrayBuffer>> {
  lease.grow(length);
  // Eight bytes is the widest element.
  const pad = (8 - (headBytes % 8)) % 8;
  const body = new Uint8Array(new ArrayBuffer(pad + length), pad);
  let at = 0;
  await eachChunk(request, (chunk) => {
    body.set(chunk, at);
    at += chunk.length;
  });
  return body;
}

async function readUnknown(request: IncomingMessage, { limitBytes, lease }: BodyRules): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  await eachChunk(request, (chunk) => {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    lease.grow(chunk.length);
    chunks.push(chunk);
  });
  return new Uint8Array(Buffer.concat(chunks, size));
}

/**
 * Events, not an async iterator: that costs as much as everything else about a small request.
 * @throws what `take` throws (the rest of the body is left to run past), the stream's error when the client goes away
 */
function eachChunk(request: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      try {
        take(chunk);
      } catch (error) {
        request.off('data', onData);
        reject(error as Error);
      }
    };
    request.on('data', onData);
    request.on('end', resolve);
    request.on('error', reject);
  });
}

type Expand = (bytes: Uint8Array<ArrayBuffer>, rules: BodyRules) => Promise<Uint8Array<ArrayBuffer>>;

const expanders: Readonly<Record<string, Expand>> = {
  identity: (bytes) => Promise.resolve(bytes),
  gzip: expandBy(promisify(gunzip), 'gzip'),
  deflate: expandBy(promisify(inflate), 'deflate'),
};

/** One at a time: how large a compressed body is shows only while it grows, and a thousand could grow together. */
let expanding: Promise<unknown> = Promise.resolve();

function expandBy(run: (input: InputType, options: ZlibOptions) => Promise<Buffer>, name: string): Expand {
  return (bytes, rules) => {
    const mine = expanding.then(() => expandOne(run, bytes, rules, name));
    expanding = mine.catch(() => {});
    return mine;
  };
}

async function expandOne(run: (input: InputType, options: ZlibOptions) => Promise<Buffer>, bytes: Uint8Array, { limitBytes, lease }: BodyRules, name: string): Promise<Uint8Array<ArrayBuffer>> {
  let expanded: Buffer;
  try {
    expanded = await run(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limitBytes);
    throw new AppError('REQUEST_INVALID', { problem: `the body is not ${name} as its Content-Encoding says` }, { cause: error });
  }
  lease.grow(expanded.length);
  // A copy out of Node's shared pool: that buffer could not be handed to another thread.
  return new Uint8Array(expanded);
}

function tooLarge(limit: number): AppError {
  return new AppError('REQUEST_TOO_LARGE', { what: 'the body, in bytes,', limit });
}
