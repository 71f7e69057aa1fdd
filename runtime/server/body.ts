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

/** Counts the bytes of bodies in memory. */
export class BodyBudget {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /**
   * @returns gives the bytes back; to be called exactly once
   * @throws AppError BODIES_FULL
   */
  hold(bytes: number): () => void {
    // A body alone always fits: its own limit has been checked.
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.#limitBytes) throw new AppError('BODIES_FULL', { limitBytes: this.#limitBytes });
    this.#heldBytes += bytes;
    return () => { this.#heldBytes -= bytes; };
  }
}

export type BodyRules = {
  readonly limitBytes: number;
  /** Bytes that precede data which should lie aligned; 0 for none. */
  readonly headBytes: number;
};

/**
 * @throws AppError REQUEST_TOO_LARGE, REQUEST_INVALID for an encoding that is not known or broken; the stream's error
 *         when the client goes away
 */
export async function readBody(request: IncomingMessage, rules: BodyRules): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const expand = expanders[encoding];
  if (expand === undefined) throw new AppError('REQUEST_INVALID', { problem: `Content-Encoding ${encoding} is none of ${Object.keys(expanders).join(', ')}` });
  const declared = declaredBytes(request);
  if (declared !== undefined && declared > rules.limitBytes) throw tooLarge(rules.limitBytes);
  const bytes = declared === undefined ? await readUnknown(request, rules.limitBytes) : await readKnown(request, declared, rules.headBytes);
  return expand(bytes, rules.limitBytes);
}

/** What Content-Length says; undefined for a chunked body. Node's parser has refused what is no number. */
export function declaredBytes(request: IncomingMessage): number | undefined {
  const declared = request.headers['content-length'];
  return declared === undefined ? undefined : Number(declared);
}

async function readKnown(request: IncomingMessage, length: number, headBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  // Eight bytes is the widest element.
  const pad = (8 - (headBytes % 8)) % 8;
  const body = new Uint8Array(new ArrayBuffer(pad + length), pad);
  let at = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

async function readUnknown(request: IncomingMessage, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

type Expand = (bytes: Uint8Array<ArrayBuffer>, limitBytes: number) => Promise<Uint8Array<ArrayBuffer>>;

const expanders: Readonly<Record<string, Expand>> = {
  identity: (bytes) => Promise.resolve(bytes),
  gzip: expandBy(promisify(gunzip), 'gzip'),
  deflate: expandBy(promisify(inflate), 'deflate'),
};

function expandBy(run: (input: InputType, options: ZlibOptions) => Promise<Buffer>, name: string): Expand {
  return async (bytes, limitBytes) => {
    try {
      const expanded = await run(bytes, { maxOutputLength: limitBytes });
      // A copy out of Node's shared pool: that buffer could not be handed to another thread.
      return new Uint8Array(expanded);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limitBytes);
      throw new AppError('REQUEST_INVALID', { problem: `the body is not ${name} as its Content-Encoding says` }, { cause: error });
    }
  };
}

function tooLarge(limit: number): AppError {
  return new AppError('REQUEST_TOO_LARGE', { what: 'the body, in bytes,', limit });
}
