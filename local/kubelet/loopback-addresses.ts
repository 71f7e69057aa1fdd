/**
 * Gives every pod its own address on the loopback network, so that every pod may use port 8080.
 * Owns: which address of 127.x.y.z a pod has until it releases the address. A listening socket on one port reserves the
 * address. Two processes of local mode therefore never use the same address, and a crash releases it.
 * Limits: Linux answers on all addresses of 127.0.0.0/8. Elsewhere (macOS) only addresses that can be bound are used.
 */
import { createServer, type Server } from 'node:net';
import { AppError } from '../../api/errors.ts';

/** The port whose socket reserves an address. Containers must not declare this port. */
const markPort = 10_249;

export type AddressRange = { readonly first: string; readonly size: number };

/** 65,000 addresses, beginning with 127.64.0.1. */
export const podRange: AddressRange = { first: '127.64.0.1', size: 65_000 };

export class LoopbackAddresses {
  readonly #range: AddressRange;
  readonly #marks = new Map<string, Server>();
  #next: number;

  /**
   * @param start the offset in the range at which the search begins; it is random, so that two processes of local mode
   * rarely try the same address
   */
  constructor(range: AddressRange = podRange, start: number = Math.floor(Math.random() * range.size)) {
    this.#range = range;
    this.#next = start % range.size;
  }

  /**
   * @param ports the container ports that the pod declares; each port can be bound on the returned address
   * @throws AppError ADDRESSES_EXHAUSTED when 64 addresses in a row are in use
   */
  async take(ports: readonly number[]): Promise<string> {
    for (let tries = 0; tries < 64; tries += 1) {
      const address = this.#advance();
      const mark = await listen(address, markPort);
      if (mark === undefined) continue;
      if (await canBindAll(address, ports)) {
        this.#marks.set(address, mark);
        return address;
      }
      mark.close();
    }
    throw new AppError('ADDRESSES_EXHAUSTED', { first: this.#range.first, ports: ports.join(', ') || 'none' });
  }

  release(address: string): void {
    this.#marks.get(address)?.close();
    this.#marks.delete(address);
  }

  releaseAll(): void {
    for (const mark of this.#marks.values()) mark.close();
    this.#marks.clear();
  }

  #advance(): string {
    const address = addressAt(this.#range.first, this.#next);
    this.#next = (this.#next + 1) % this.#range.size;
    return address;
  }
}

/** The address `offset` places after `first`. */
export function addressAt(first: string, offset: number): string {
  const [a = 0, b = 0, c = 0, d = 0] = first.split('.').map(Number);
  const value = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

async function canBindAll(address: string, ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    const probe = await listen(address, port);
    if (probe === undefined) return false;
    await new Promise((resolve) => probe.close(resolve));
  }
  return true;
}

function listen(address: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', () => resolve(undefined));
    server.listen({ host: address, port, exclusive: true }, () => resolve(server));
  });
}
