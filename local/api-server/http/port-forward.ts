/**
 * `POST …/pods/NAME/portforward`: connections from kubectl to a pod's ports, multiplexed over one SPDY connection.
 * Owns: the handshake, pairing the data stream of each connection with its error stream, and the sockets to the pod.
 * kubectl tries WebSockets first, and falls back to SPDY when WebSockets are refused.
 * Limits: 256 connections at a time. The sockets apply back pressure.
 * Ends: with kubectl's connection, and with the server.
 */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../../api/errors.ts';
import { stringAt } from '../../../lib/json.ts';
import type { ApiDeps } from '../core.ts';
import { dataFrame, FrameReader, pingFrame, replyFrame, type Frame } from '../spdy/frames.ts';
import { HeaderReader, HeaderWriter } from '../spdy/header-blocks.ts';
import { badRequest, notFound, StatusError } from '../status.ts';
import { storeKeyOf } from '../store.ts';

const protocol = 'portforward.k8s.io';
const maxConnections = 256;

/**
 * Whether an upgrade request is for port forwarding. Other upgrade requests are answered like requests without an
 * upgrade.
 */
export function wantsPortForward(request: IncomingMessage): boolean {
  return targetOf(request) !== undefined && (request.headers.upgrade ?? '').toLowerCase() === 'spdy/3.1';
}

type PodTarget = { readonly namespace: string; readonly name: string };

function targetOf(request: IncomingMessage): PodTarget | undefined {
  const [, namespace, name] =
    /^\/api\/v1\/namespaces\/([a-z0-9-]+)\/pods\/([a-z0-9.-]+)\/portforward(?:\?|$)/.exec(request.url ?? '') ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/** The open connections from kubectl. The server ends these connections when it ends. */
export class PortForwards {
  readonly #open = new Set<Duplex>();

  /**
   * Answers an upgrade request.
   * @param head bytes that were received after the request
   * @param check throws when the client is not authorized
   */
  start(
    deps: ApiDeps,
    upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
    check: () => void,
  ): void {
    const { request, socket, head } = upgrade;
    socket.on('error', () => socket.destroy());
    try {
      check();
      const host = hostOf(deps, request);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n` +
          `X-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
      );
      socket.unshift(head);
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      void new Forwarding(socket, host).run();
    } catch (error) {
      refuse(
        socket,
        error instanceof StatusError
          ? error
          : new StatusError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`),
      );
    }
  }

  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

function refuse(socket: Duplex, { body }: StatusError): void {
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${body.code ?? 500} ${body.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ` +
      `${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}

/**
 * @returns the pod's address
 * @throws StatusError 404 when the pod does not exist; 400 when it does not run or the client uses another protocol
 */
function hostOf(deps: ApiDeps, request: IncomingMessage): string {
  const { namespace, name } = targetOf(request) ?? { namespace: '', name: '' };
  const offered = String(request.headers['x-stream-protocol-version'] ?? '')
    .split(',')
    .map((one) => one.trim());
  if (!offered.includes(protocol))
    throw badRequest(
      `unable to negotiate protocol: client supports [${offered.join(' ')}], server supports [${protocol}]`,
    );
  const pod = deps.store.get('pods', storeKeyOf(namespace, name));
  if (pod === undefined) throw notFound({ group: '', plural: 'pods', kind: 'Pod' }, name);
  const host = stringAt(pod, 'status', 'podIP');
  if (host === undefined || stringAt(pod, 'status', 'phase') !== 'Running')
    throw badRequest(`pod ${JSON.stringify(name)} is not running`);
  return host;
}

/** One connection to a port of the pod: its data stream, its error stream, and the socket to the pod. */
type Connection = { readonly data: number; readonly errors: number; readonly socket: Socket };

class Forwarding {
  readonly #client: Duplex;
  readonly #host: string;
  readonly #reader = new HeaderReader();
  readonly #writer = new HeaderWriter();
  /**
   * Error streams whose data stream has not arrived yet. The key is the request id, which is in the headers of both
   * streams.
   */
  readonly #waiting = new Map<string, number>();
  readonly #connections = new Map<number, Connection>();

  constructor(client: Duplex, host: string) {
    this.#client = client;
    // Allow one listener for each connection: when kubectl reads slowly, every forwarded connection waits for the
    // client's socket.
    client.setMaxListeners(maxConnections + 10);
    this.#host = host;
  }

  /**
   * Reads frames until kubectl's connection ends. Never rejects: when a client breaks the protocol, its connection is
   * closed.
   */
  async run(): Promise<void> {
    const frames = new FrameReader();
    try {
      for await (const chunk of this.#client as AsyncIterable<Buffer>)
        for (const frame of frames.push(chunk)) await this.#take(frame);
    } catch {
      // Do not report the error: kubectl only prints that it lost the connection.
    }
    for (const { socket } of this.#connections.values()) socket.destroy();
    this.#reader.close();
    this.#writer.close();
    this.#client.destroy();
  }

  async #take(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case 'open':
        await this.#opened(frame.stream, await this.#reader.read(frame.block));
        return;
      case 'data':
        await this.#carry(frame.stream, frame.bytes, frame.isLast);
        return;
      case 'reset':
        this.#connections.get(frame.stream)?.socket.destroy();
        return;
      case 'ping':
        this.#client.write(pingFrame(frame.bytes));
        return;
      case 'other':
        return;
    }
  }

  async #opened(stream: number, headers: ReadonlyMap<string, string>): Promise<void> {
    this.#client.write(replyFrame(stream, await this.#writer.empty()));
    const id = headers.get('requestid') ?? '';
    if (headers.get('streamtype') === 'error') {
      if (this.#waiting.size >= maxConnections) throw new Error('too many error streams');
      this.#waiting.set(id, stream);
      return;
    }
    const errors = this.#waiting.get(id);
    const port = Number(headers.get('port'));
    this.#waiting.delete(id);
    if (errors === undefined || !Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error('a stream does not name its port or has no error stream');
    if (this.#connections.size >= maxConnections)
      this.#finish({ data: stream, errors }, `more than ${maxConnections} connections at a time`);
    else this.#connect({ data: stream, errors, port });
  }

  #connect({ data, errors, port }: { readonly data: number; readonly errors: number; readonly port: number }): void {
    const socket = connect({ host: this.#host, port, allowHalfOpen: true, noDelay: true });
    this.#connections.set(data, { data, errors, socket });
    let problem: string | undefined;
    socket.on('data', (bytes: Buffer) => {
      if (this.#client.write(dataFrame(data, bytes, false))) return;
      socket.pause();
      this.#client.once('drain', () => socket.resume());
    });
    socket.on(
      'error',
      (error) => void (problem = `error forwarding port ${port} to ${this.#host}: ${messageOf(error)}`),
    );
    socket.once('end', () => this.#client.write(dataFrame(data, Buffer.alloc(0), true)));
    socket.once('close', () => {
      this.#connections.delete(data);
      this.#finish({ data, errors }, problem);
    });
  }

  /** Ends both streams of a connection. A second call does no harm. */
  #finish({ data, errors }: Pick<Connection, 'data' | 'errors'>, problem: string | undefined): void {
    if (!this.#client.writable) return;
    this.#client.write(dataFrame(data, Buffer.alloc(0), true));
    this.#client.write(dataFrame(errors, Buffer.from(problem ?? ''), true));
  }

  async #carry(stream: number, bytes: Buffer, isLast: boolean): Promise<void> {
    const socket = this.#connections.get(stream)?.socket;
    if (socket === undefined || socket.destroyed) return;
    if (bytes.length > 0 && !socket.write(bytes))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
    if (isLast) socket.end();
  }
}
