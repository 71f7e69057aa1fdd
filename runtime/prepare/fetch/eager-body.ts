/**
 * Reads a stream. If the stream breaks, the bytes that have already arrived are not lost.
 *
 * Owns:   reading pieces as they arrive, and pausing the stream when too many pieces wait. A stream that breaks drops
 *         its buffer: on a connection that breaks often, a slow reader would lose the last pieces each time and never
 *         finish.
 * Limits: 16 waiting pieces. A piece from a socket has at most 64 KiB.
 */
import type { Readable } from 'node:stream';

const maxWaiting = 16;

/** @param explain converts the stream's error; the result is thrown after all earlier pieces were delivered */
export function eagerly(stream: Readable, explain: (error: unknown) => unknown): AsyncIterable<Uint8Array> {
  const pieces = new Pieces(stream);
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (let piece = await pieces.next(); piece !== undefined; piece = await pieces.next()) yield piece;
      } finally {
        stream.destroy();
      }
      if (pieces.error !== undefined) throw explain(pieces.error);
    },
  };
}

class Pieces {
  readonly #stream: Readable;
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #wake = (): void => {};
  error: unknown;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', (piece: Uint8Array) => {
      this.#waiting.push(piece);
      if (this.#waiting.length >= maxWaiting) stream.pause();
      this.#wake();
    });
    stream.once('end', () => this.#end(undefined));
    stream.once('error', (error) => this.#end(error));
    // A closed stream does not deliver more bytes, whatever closed it.
    stream.once('close', () => this.#end(undefined));
    if (stream.destroyed) this.#end(stream.errored ?? undefined);
  }

  /** The next piece; undefined at the end of the stream. `error` is set if the stream ended because it failed. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#waiting.length === 0 && !this.#ended) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#stream.resume();
      await woken;
    }
    return this.#waiting.shift();
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.error = error;
    this.#wake();
  }
}
