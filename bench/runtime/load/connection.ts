/**
 * One kept-alive connection of a client, with one request at a time.
 * Owns: the socket; it connects again after the server has closed it.
 */
import { connect, type Socket } from 'node:net';
import { AnswerReader, type ReadAnswer } from './answer-reader.ts';

const noAnswer: ReadAnswer = { status: 0, headers: new Map(), body: new Uint8Array(), keepsAlive: false };

export class Connection {
  readonly #port: number;
  readonly #keepsBodies: boolean;
  #socket: Socket | undefined;
  #reader: AnswerReader;
  #settle: ((answer: ReadAnswer) => void) | undefined;

  constructor(port: number, keepsBodies = false) {
    this.#port = port;
    this.#keepsBodies = keepsBodies;
    this.#reader = new AnswerReader(keepsBodies);
  }

  /** Sends an encoded request. The answer has status 0 when the connection broke. */
  send(request: Uint8Array): Promise<ReadAnswer> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#open().write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#finish(noAnswer);
  }

  #open(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    this.#socket = socket;
    this.#reader = new AnswerReader(this.#keepsBodies);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#finish(noAnswer);
    });
    return socket;
  }

  #read(bytes: Buffer): void {
    const answer = this.#reader.push(bytes);
    if (answer === undefined) return;
    if (!answer.keepsAlive) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#finish(answer);
  }

  #finish(answer: ReadAnswer): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }
}
