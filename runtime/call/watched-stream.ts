/**
 * The body of a streamed answer, as its transport iterates it.
 *
 * Owns:  the calls of `first` and `ended`. A stream ends when it is complete, when it fails, at the deadline, or when
 *        the client disconnects. The transport requests a chunk only when the socket has room, so a slow client slows
 *        the source down (back-pressure).
 * Ends:  `ended` is called exactly once. The source's return() is called unless the source ended by itself.
 */
export type StreamWatch = {
  /** Aborted when the client disconnects or the deadline has passed; the abort reason shows which of the two it was. */
  readonly signal: AbortSignal;
  readonly first: () => void;
  /** @param error undefined when the stream was complete, or when the transport stopped reading it */
  readonly ended: (error: unknown) => void;
  /** Encodes the error as a chunk in the stream's protocol. Undefined when the connection must be closed instead. */
  readonly lastChunk: (error: unknown) => Uint8Array | undefined;
};

const done = { done: true, value: undefined } as const;

export class WatchedStream implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #watch: StreamWatch;
  /** Rejects the pending next(). */
  #fail: (error: unknown) => void = () => {};
  #state: 'Fresh' | 'Flowing' | 'Ended' = 'Fresh';
  #failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterable<Uint8Array>, watch: StreamWatch) {
    this.#source = source[Symbol.asyncIterator]();
    this.#watch = watch;
    const { signal } = watch;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws the error of the source, or the signal's abort reason, if lastChunk() cannot encode it */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'Ended') return this.#afterEnd();
    try {
      const next = await new Promise<IteratorResult<Uint8Array, unknown>>((resolve, reject) => {
        this.#fail = reject;
        this.#source.next().then(resolve, reject);
      });
      return this.#passed(next);
    } catch (error) {
      this.#end(error);
      return this.#afterEnd();
    }
  }

  /** Called by the transport when it stops reading. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#end(undefined)) this.#leaveSource();
    return Promise.resolve(done);
  }

  #passed(next: IteratorResult<Uint8Array, unknown>): IteratorResult<Uint8Array, undefined> {
    if (next.done === true) {
      this.#end(undefined);
      return done;
    }
    if (this.#state === 'Fresh') {
      this.#state = 'Flowing';
      this.#watch.first();
    }
    return { done: false, value: next.value };
  }

  /** After a failure, returns the encoded error once, as the last chunk. Throws the error if it cannot be encoded. */
  #afterEnd(): IteratorResult<Uint8Array, undefined> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) return done;
    const chunk = this.#watch.lastChunk(failure.error);
    if (chunk === undefined) throw failure.error;
    return { done: false, value: chunk };
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#watch.signal as { readonly reason: unknown };
    if (!this.#end(reason)) return;
    this.#leaveSource();
    this.#fail(reason);
  };

  /** @returns false when the stream had ended before */
  #end(error: unknown): boolean {
    if (this.#state === 'Ended') return false;
    this.#state = 'Ended';
    if (error !== undefined) this.#failure = { error };
    this.#watch.signal.removeEventListener('abort', this.#onAbort);
    this.#watch.ended(error);
    return true;
  }

  /** Calls the source's return() without waiting for it: a source that hangs must not delay the answer. */
  #leaveSource(): void {
    this.#source.return?.()?.catch(() => {});
  }
}
