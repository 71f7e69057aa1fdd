/**
 * Carries one connection from a client to a backend, byte for byte.
 *
 * Owns:  trying the next backend while nothing was sent yet; half-open ends; ending both sides together on an error.
 * Limits: back pressure is the sockets' own: a slow reader stops the other side's writer. Nothing is buffered beyond
 *         that.
 */
import { connect, type Socket } from 'node:net';
import type { Backend } from './backends.ts';

/** A backend on this machine answers at once or not at all. */
const connectTimeoutMs = 2000;

/**
 * @param client paused, with half-open allowed
 * @param order the backends to try, first to last
 * @returns the socket to the backend; undefined when none could be reached, and the client was reset
 */
export async function carry(client: Socket, order: readonly Backend[]): Promise<Socket | undefined> {
  // A client may go while we look for a backend; without a listener its error would end the process.
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
  // Reset, not closed: a client must not take "no backend" for an empty answer.
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
  // A broken side is passed on as broken: the other must not read a cut answer as a whole one.
  upstream.on('error', () => client.resetAndDestroy());
  client.on('error', () => upstream.resetAndDestroy());
  upstream.once('close', () => client.destroySoon());
  client.once('close', () => upstream.destroySoon());
  client.pipe(upstream);
  upstream.pipe(client);
}
