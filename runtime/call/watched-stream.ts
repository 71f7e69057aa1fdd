/**
 * The body of an answer that is made while it is sent, as its transport iterates it.
 *
 * Owns:  noticing the first chunk and the end, whichever way it ends: whole, broken, at the deadline, or left by its
 *        client. The transport asks for a chunk when it has room for one: that is the back-pressure.
 * Ends:  `ended` is told exactly once. The source's return() is called whenever the source has not ended by itself.
 */
export type StreamWatch = {
  /** Aborted when the client leaves or the deadline has come; the reason says which. */
  readonly signal: AbortSignal;
  readonly first: () => void;
  /** @param error undefined when the stream came to its end, or its transport wanted no more of it */
  readonly ended: (error: unknown) => void;
  /** The chunk that tells the client of an error in the stream's protocol; undefined where only breaking off does. */
  readonly lastChunk: (error: unknown) => Uint8Array | undefined;
};

const done = { done: true, value: undefined } as const;

export class WatchedStream implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #watch: StreamWatch;
  /** Ends the chunk that is waited for. */
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

  /** @throws what the source throws, and what the signal was aborted for */
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

  /** The transport wants no more of it. */
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

  /** Once the client's last chunk, if there is one; else the error. */
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

  /** @returns whether it had not ended yet */
  #end(error: unknown): boolean {
    if (this.#state === 'Ended') return false;
    this.#state = 'Ended';
    if (error !== undefined) this.#failure = { error };
    this.#watch.signal.removeEventListener('abort', this.#onAbort);
    this.#watch.ended(error);
    return true;
  }

  /** Not waited for: a source that hangs must not hold the answer. */
  #leaveSource(): void {
    this.#source.return?.()?.catch(() => {});
  }
}
