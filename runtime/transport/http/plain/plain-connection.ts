/**
 * One connection while all its requests are plain: it reads a request, passes it on, and waits for the answer.
 *
 * Owns:  the bytes of a request that is not complete, and bytes that arrive before the answer.
 * Ends:  when the connection closes, or when it is handed over to node:http, which reads everything that is not plain:
 *        another method, path or form of a head, a large body, pipelined requests, a request that arrives slowly. Only
 *        whole requests are handed over, so node:http sees what it would have seen from the start.
 */
import type { Socket } from 'node:net';
import type { BodyLease } from '../transfers.ts';
import { plainHead, type PlainHead } from './plain-head.ts';

export type PlainOwner = {
  /** Whether the requests with this head are answered here. */
  readonly takes: (head: PlainHead) => boolean;
  /** Answers a request, and then calls `answered` of the connection. @returns aborts it when the client is gone */
  readonly begin: (head: PlainHead, body: Uint8Array<ArrayBuffer>, connection: PlainConnection) => () => void;
  /** Called when a request is answered. @returns whether the connection ends now */
  readonly ended: (connection: PlainConnection) => boolean;
  /** Gives the connection to node:http, with the bytes that it has not seen. */
  readonly handOver: (socket: Socket, bytes: Buffer | undefined, hasEnded: boolean) => void;
  readonly closed: (connection: PlainConnection) => void;
  readonly lease: () => BodyLease;
  readonly nowMs: () => number;
};

/** A client may send this much before it has read its answer; then its connection is not read any more. */
const earlyBytes = 64 * 1024;
/** A request that is not complete after this time is handed over. */
const patienceMs = 1000;
const nothing = new Uint8Array(0);

export class PlainConnection {
  readonly socket: Socket;
  readonly #owner: PlainOwner;
  #last: PlainHead | undefined;
  #held: Buffer | undefined;
  #lease: BodyLease | undefined;
  #abort: (() => void) | undefined;
  #hasServed = false;
  #isOver = false;
  /** When the connection began to wait for what it waits for now. */
  #sinceMs: number;

  constructor(socket: Socket, owner: PlainOwner) {
    this.socket = socket;
    this.#owner = owner;
    this.#sinceMs = owner.nowMs();
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError);
  }

  /** Whether no request is in progress. */
  get isIdle(): boolean {
    return this.#abort === undefined;
  }

  /** The answer was written. @param closes whether the connection ends now */
  answered(closes: boolean): void {
    this.#abort = undefined;
    this.#hasServed = true;
    this.#sinceMs = this.#owner.nowMs();
    if (this.#owner.ended(this) || closes) {
      this.#isOver = true;
      this.socket.end();
    } else if (this.#held !== undefined) this.#handOver(false);
  }

  /** Called about once a second. */
  look(nowMs: number, { keepAliveMs, stalledMs }: { readonly keepAliveMs: number; readonly stalledMs: number }): void {
    if (!this.isIdle) return;
    const waitedMs = nowMs - this.#sinceMs;
    if (this.socket.writableLength > 0) {
      if (waitedMs > stalledMs) this.socket.destroy();
    } else if (this.#isOver) return;
    else if (!this.#hasServed || this.#held !== undefined) {
      if (waitedMs >= patienceMs) this.#handOver(false);
    } else if (waitedMs > keepAliveMs) this.socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isOver) return;
    const bytes = this.#held === undefined ? chunk : joined(this.#held, chunk);
    if (!this.isIdle) {
      this.#held = bytes;
      if (bytes.length > earlyBytes) this.socket.pause();
      return;
    }
    const head = this.#headOf(bytes);
    const length = head === undefined ? 0 : head.bytes.length + head.contentBytes;
    if (head === undefined || bytes.length > length || !this.#owner.takes(head)) {
      this.#held = bytes;
      this.#handOver(false);
    } else if (bytes.length < length) this.#hold(bytes, chunk.length);
    else this.#begin(head, bytes);
  };

  #begin(head: PlainHead, bytes: Buffer): void {
    this.#release();
    this.#last = head;
    const body =
      head.contentBytes === 0
        ? nothing.slice()
        : new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + head.bytes.length, head.contentBytes);
    this.#abort = unset;
    const abort = this.#owner.begin(head, body, this);
    // The answer may be there already.
    if (!this.isIdle) this.#abort = abort;
  }

  /** Clients send the same head again and again, so it is compared before it is read. */
  #headOf(bytes: Buffer): PlainHead | undefined {
    const last = this.#last;
    if (last !== undefined && bytes.length >= last.bytes.length) {
      const { length } = last.bytes;
      if (bytes.compare(last.bytes, 0, length, 0, length) === 0) return last;
    }
    return plainHead(bytes);
  }

  #hold(bytes: Buffer, newBytes: number): void {
    if (this.#held === undefined) this.#sinceMs = this.#owner.nowMs();
    this.#held = bytes;
    this.#lease ??= this.#owner.lease();
    try {
      this.#lease.grow(newBytes);
    } catch {
      // node:http reads the request with its own charge, and refuses it.
      this.#handOver(false);
    }
  }

  #release(): void {
    this.#held = undefined;
    this.#lease?.end();
    this.#lease = undefined;
  }

  #handOver(hasEnded: boolean): void {
    const bytes = this.#held;
    this.#release();
    this.#leave();
    this.#owner.handOver(this.socket, bytes, hasEnded);
  }

  #leave(): void {
    this.#isOver = true;
    const { socket } = this;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
    this.#owner.closed(this);
  }

  /** As with node:http, a client that ends its side gets no answer any more. */
  readonly #onEnd = (): void => {
    if (this.isIdle && this.#held !== undefined) this.#handOver(true);
    else this.socket.end();
  };

  readonly #onClose = (): void => {
    this.#release();
    this.#isOver = true;
    this.#owner.closed(this);
    this.#abort?.();
  };

  /** `close` follows. */
  readonly #onError = (): void => {};
}

const unset = (): void => {};

/** A buffer of its own: the handler may transfer it to another thread. */
function joined(held: Buffer, chunk: Buffer): Buffer {
  const whole = Buffer.allocUnsafeSlow(held.length + chunk.length);
  held.copy(whole);
  chunk.copy(whole, held.length);
  return whole;
}
