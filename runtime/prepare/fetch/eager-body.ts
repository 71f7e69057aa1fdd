/**
 * Reads a stream so that nothing that has arrived is lost when it breaks.
 *
 * Owns:   taking pieces as they come, from the moment of the call, and holding the sender back when too many wait.
 * Why:    a stream that is destroyed drops what waits in it. Read piece by piece, with a disk in between, a download
 *         over a connection that is often cut would lose the last pieces each time, and might never get on.
 * Limits: 16 pieces wait, of 64 KiB at most as sockets give them.
 */
import type { Readable } from 'node:stream';

const maxWaiting = 16;

/** @param explain turns the stream's error into what is thrown, after every piece before it was given */
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
    // Whatever else happened: a stream that is closed gives nothing more.
    stream.once('close', () => this.#end(undefined));
    if (stream.destroyed) this.#end(stream.errored ?? undefined);
  }

  /** The next piece; undefined at the end, when `error` may be set. */
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
