/**
 * One connection while all its requests are plain: it reads a request, passes it on, and waits for the answer.
 *
 * Owns:  when bytes are held: those of a request that is not complete, and those that arrive before the answer.
 * Ends:  when the connection closes, or when it is handed over to node:http, which reads everything that is not plain:
 *        another method, path or form of a head, a large body, pipelined requests, a request that arrives slowly, a
 *        request of a client that has not read the answer before it. All bytes of a request are handed over, so
 *        node:http sees what it would have seen from the start.
 */
import type { Socket } from 'node:net';
import type { BodyLease } from '../transfers.ts';
import { HeldBytes, type ExpectedBytes } from './held-bytes.ts';
import { plainHead, type PlainHead } from './plain-head.ts';

export type PlainOwner = {
  /** Whether the requests with this head are answered here. */
  readonly takes: (head: PlainHead) => boolean;
  /**
   * Answers a request, and then calls `answered` of the connection.
   * @returns a function that aborts the request; the connection calls it when the client disconnects
   */
  readonly begin: (head: PlainHead, body: Uint8Array<ArrayBuffer>, connection: PlainConnection) => () => void;
  /** Called when a request is answered. @returns whether the server is closing */
  readonly ended: (connection: PlainConnection) => boolean;
  /** Gives the connection to node:http, with the bytes that were not answered here. */
  readonly handOver: (socket: Socket, bytes: Buffer | undefined, hasEnded: boolean) => void;
  readonly closed: (connection: PlainConnection) => void;
  readonly lease: () => BodyLease;
  readonly nowMs: () => number;
};

/**
 * When a client has sent this much before its answer is written, its connection is not read until the answer is
 * written.
 */
const earlyBytes = 64 * 1024;
/** A request that is not complete after this time is handed over. */
const patienceMs = 1000;
const nothing = new Uint8Array(0);

export class PlainConnection {
  readonly socket: Socket;
  readonly #owner: PlainOwner;
  /** Head of the request whose body arrives, or else of the latest request. */
  #last: PlainHead | undefined;
  readonly #held: HeldBytes;
  #abort: (() => void) | undefined;
  #hasServed = false;
  #isOver = false;
  /** When the connection was opened, the latest answer was written, or the first piece of a request arrived. */
  #sinceMs: number;

  constructor(socket: Socket, owner: PlainOwner) {
    this.socket = socket;
    this.#owner = owner;
    this.#held = new HeldBytes(owner.lease);
    this.#sinceMs = owner.nowMs();
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError);
  }

  /** Whether no request is in progress. */
  get isIdle(): boolean {
    return this.#abort === undefined;
  }

  /** Call it when the answer was written. @param closes whether the connection ends now */
  answered(closes: boolean): void {
    this.#abort = undefined;
    this.#hasServed = true;
    this.#sinceMs = this.#owner.nowMs();
    const serverCloses = this.#owner.ended(this);
    if (closes) this.#end();
    else if (this.#held.length > 0) this.#handOver(false);
    else if (serverCloses) this.#end();
  }

  /**
   * Called when the server closes. Closes an idle connection, and hands over one with a part of a request. A connection
   * with a request in progress ends after the answer.
   */
  close(): void {
    if (!this.isIdle || this.#isOver) return;
    if (this.#held.length > 0) this.#handOver(false);
    else this.#end();
  }

  /** Called about once a second. Ends a connection that has waited too long, or hands it over. */
  look(nowMs: number, { keepAliveMs, stalledMs }: { readonly keepAliveMs: number; readonly stalledMs: number }): void {
    if (!this.isIdle) return;
    const waitedMs = nowMs - this.#sinceMs;
    if (this.socket.writableLength > 0) {
      if (waitedMs > stalledMs) this.socket.destroy();
    } else if (this.#isOver) this.socket.destroy();
    else if (!this.#hasServed || this.#held.length > 0) {
      if (waitedMs >= patienceMs) this.#handOver(false);
    } else if (waitedMs > keepAliveMs) this.socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isOver) return;
    if (this.isIdle) this.#read(chunk);
    else if (!this.#hold(chunk) || this.#held.length > earlyBytes) this.socket.pause();
  };

  #read(chunk: Buffer): void {
    // The first piece contains the whole head: otherwise the connection was handed over.
    const head = this.#held.length > 0 ? this.#last : this.#headOf(chunk);
    // If the client has not read its last answer, hand over: node:http then stops reading the client's requests.
    if (head === undefined || this.socket.writableLength > 0 || !this.#owner.takes(head))
      return this.#handOver(false, chunk);
    const missingBytes = head.bytes.length + head.contentBytes - this.#held.length - chunk.length;
    if (missingBytes === 0) return this.#begin(head, chunk);
    if (missingBytes < 0) return this.#handOver(false, chunk);
    this.#last = head;
    // If the memory budget is full, node:http reads the request and refuses it.
    if (!this.#hold(chunk, head)) this.#handOver(false);
  }

  /** @param chunk the last bytes of the request */
  #begin(head: PlainHead, chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : (this.#held.take(chunk, expectedOf(head)) ?? chunk);
    this.#last = head;
    const body =
      head.contentBytes === 0
        ? nothing.slice()
        : new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + head.bytes.length, head.contentBytes);
    this.#abort = unset;
    const abort = this.#owner.begin(head, body, this);
    // begin() may have answered the request already; there is nothing to abort then.
    if (!this.isIdle) this.#abort = abort;
  }

  /** Clients often repeat a head, so it is compared with the last head first, which is faster than parsing it. */
  #headOf(bytes: Buffer): PlainHead | undefined {
    const last = this.#last;
    if (last !== undefined && bytes.length >= last.bytes.length) {
      const { length } = last.bytes;
      if (bytes.compare(last.bytes, 0, length, 0, length) === 0) return last;
    }
    return plainHead(bytes);
  }

  /**
   * Keeps and charges bytes.
   * @param head the head of the request that they belong to; undefined when it is not known
   * @returns false when there is no room for more
   */
  #hold(chunk: Buffer, head?: PlainHead): boolean {
    if (this.#held.length === 0) this.#sinceMs = this.#owner.nowMs();
    return this.#held.add(chunk, head === undefined ? undefined : expectedOf(head));
  }

  #handOver(hasEnded: boolean, chunk?: Buffer): void {
    const bytes = this.#held.take(chunk);
    this.#leave();
    this.#owner.handOver(this.socket, bytes, hasEnded);
  }

  /** Closes the connection once the written data is sent, without waiting for the client to close its side. */
  #end(): void {
    this.#isOver = true;
    this.socket.destroySoon();
  }

  #leave(): void {
    this.#isOver = true;
    const { socket } = this;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
    this.#owner.closed(this);
  }

  /** Like node:http, sends no answer to a client that has closed its side. */
  readonly #onEnd = (): void => {
    if (this.isIdle && this.#held.length > 0) this.#handOver(true);
    else this.socket.end();
  };

  readonly #onClose = (): void => {
    this.#held.take();
    this.#isOver = true;
    this.#owner.closed(this);
    this.#abort?.();
  };

  /** Node emits `close` after `error`; without a listener, `error` would end the process. */
  readonly #onError = (): void => {};
}

const unset = (): void => {};

/** The bytes of the whole request. The pad aligns its binary data, so that tensors are views of it. */
function expectedOf({ bytes, headers, contentBytes }: PlainHead): ExpectedBytes {
  const jsonBytes = Number(headers['inference-header-content-length'] ?? 0);
  const before = bytes.length + (Number.isSafeInteger(jsonBytes) ? Math.max(0, jsonBytes) : 0);
  return { bytes: bytes.length + contentBytes, pad: (8 - (before % 8)) % 8 };
}
