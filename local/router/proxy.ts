/**
 * Forwards one connection from a client to a backend, byte for byte.
 * Owns: trying the next backend until one accepts the connection; half-open connections; closing both sides on an
 * error.
 * Limits: the sockets apply back pressure: when one side reads slowly, the other side must wait before it can send
 * more. Data is not buffered anywhere else.
 */
import { connect, type Socket } from 'node:net';
import type { Backend } from './backends.ts';

/** Connect timeout in milliseconds. A backend on this machine answers at once or not at all. */
const connectTimeoutMs = 2000;

/**
 * Connects a client to a backend.
 * @param client the client's socket: paused, with half-open connections allowed
 * @param order the backends to try, first to last
 * @returns the socket to the backend; undefined when no backend could be reached and the client's connection was reset
 */
export async function carry(client: Socket, order: readonly Backend[]): Promise<Socket | undefined> {
  // The client may disconnect before a backend is connected. Without a listener, its error would end the process.
  client.on('error', () => client.destroy());
  client.setNoDelay(true);
  for (const backend of order) {
    const upstream = await open(backend);
    if (upstream === undefined) continue;
    if (client.destroyed) {
      upstream.destroy();
      return undefined;
    }
    join(client, upstream);
    return upstream;
  }
  // Reset the connection instead of closing it: otherwise the client would read an empty answer.
  client.resetAndDestroy();
  return undefined;
}

function open({ host, port }: Backend): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, timeout: connectTimeoutMs });
    const fail = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    socket.once('error', fail);
    socket.once('timeout', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      socket.off('timeout', fail);
      resolve(socket);
    });
  });
}

function join(client: Socket, upstream: Socket): void {
  // Forward an error on one side as a reset: otherwise the other side would take a truncated answer as complete.
  upstream.on('error', () => client.resetAndDestroy());
  client.on('error', () => upstream.resetAndDestroy());
  upstream.once('close', () => client.destroySoon());
  client.once('close', () => upstream.destroySoon());
  client.pipe(upstream);
  upstream.pipe(client);
}
