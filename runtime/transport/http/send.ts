/**
 * Writes an answer at the pace at which its client reads.
 *
 * Owns:  the memory charge of an answer until its last byte is sent. For a stream, only the chunks that are not sent
 *        yet are charged. The next chunk is requested when the socket has room.
 * Ends:  at the response's `close`. The connection is closed when the client reads too slowly or a stream fails.
 */
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { freeBytes } from '../../../lib/free-bytes.ts';
import { isStream, type Answer, type WholeBody } from '../../call/answer.ts';
import type { BodyLease, Transfers, Watch } from './transfers.ts';

/** Size of one write. It limits how much Node buffers for a socket. The client's pace is measured piece by piece. */
export const pieceBytes = 64 * 1024;

/** Requires that the head was written and that the response is not destroyed. */
export function sendBody(response: ServerResponse, body: Answer['body'], transfers: Pick<Transfers, 'lease'>): void {
  const lease = transfers.lease();
  if (isStream(body)) void sendStream(response, body, lease);
  else sendWhole(response, body, lease);
}

function sendWhole(response: ServerResponse, body: WholeBody, lease: BodyLease): void {
  const { chunks, bytes } = body;
  lease.take(bytes);
  const watch = lease.watch(() => response.destroy());
  response.once('close', () => {
    watch.done();
    lease.end();
  });
  if (bytes > pieceBytes) {
    void sendPieces(response, body, watch.moved).then(() => response.end());
    return;
  }
  const [first, ...rest] = chunks;
  if (rest.length === 0) {
    response.end(first);
    return;
  }
  response.cork();
  for (const chunk of chunks) response.write(chunk);
  response.end();
  response.uncork();
}

/** Ends early when the response is destroyed. Never rejects. */
export async function sendPieces(
  response: Writable,
  { chunks, isOwn = false }: WholeBody,
  moved: (bytes: number) => void,
): Promise<void> {
  for (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const sent = isOwn ? freeWhenSent(bytes) : undefined;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      if (response.destroyed) return;
      const piece = bytes.subarray(at, at + pieceBytes);
      // Once it is sent, the chunk may be freed, and has no length any more.
      const { length } = piece;
      const isLast = at + length === bytes.length;
      // When the kernel took all of it, there is nothing to wait for.
      if (!response.write(piece, isLast ? sent : undefined) && response.writableLength > 0) await drained(response);
      moved(length);
    }
  }
}

/** After a failed write the kernel may still read the bytes, so V8 frees them when the socket is gone. */
function freeWhenSent(bytes: Uint8Array): (error?: Error | null) => void {
  return (error) => {
    if (error === undefined || error === null) freeBytes(bytes);
  };
}

/** Never rejects. */
async function sendStream(response: ServerResponse, body: AsyncIterable<Uint8Array>, lease: BodyLease): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  const out = new StreamWriter(response, lease);
  response.once('close', () => {
    out.closed();
    void chunks.return?.();
  });
  try {
    response.flushHeaders();
    // Do not produce a body for HEAD: Node would discard it.
    while (response.req.method !== 'HEAD') {
      const next = await chunks.next();
      if (next.done === true || response.destroyed) break;
      if (!out.write(next.value)) await drained(response);
    }
    response.end();
  } catch {
    response.destroy();
  }
}

/** Charges each chunk until the kernel has accepted it, and checks the client's pace only while chunks wait. */
class StreamWriter {
  readonly #response: ServerResponse;
  readonly #lease: BodyLease;
  #waitingBytes = 0;
  #watch: Watch | undefined;

  constructor(response: ServerResponse, lease: BodyLease) {
    this.#response = response;
    this.#lease = lease;
  }

  /** @returns whether there is room for more */
  write(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return true;
    this.#lease.take(chunk.length);
    this.#waitingBytes += chunk.length;
    this.#watch ??= this.#lease.watch(() => this.#response.destroy());
    return this.#response.write(chunk, () => this.#gone(chunk.length));
  }

  closed(): void {
    this.#watch?.done();
    this.#lease.end();
  }

  #gone(bytes: number): void {
    this.#lease.give(bytes);
    this.#waitingBytes -= bytes;
    this.#watch?.moved(bytes);
    if (this.#waitingBytes > 0) return;
    this.#watch?.done();
    this.#watch = undefined;
  }
}

function drained(response: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}
