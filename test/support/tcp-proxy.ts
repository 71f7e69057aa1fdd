/**
 * A TCP proxy that breaks connections as networks do. TLS passes through unchanged.
 * Owns: the pairs of sockets. `cut` resets them, `stall` keeps them open without forwarding, `refuse` rejects new ones.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export class TcpProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server = createServer((socket) => this.#accept(socket));
  #refusing = false;
  /** Connections accepted so far. */
  accepted = 0;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get open(): number {
    return this.#pairs.size;
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Stops forwarding on all open connections and keeps them open. New connections are forwarded. */
  stall(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  #accept(near: Socket): void {
    this.accepted += 1;
    if (this.#refusing) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.#target);
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
  }
}
