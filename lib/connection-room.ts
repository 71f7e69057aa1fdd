/**
 * Which connection of a server has to go when there are too many: never the one that came last, as long as another one
 * does nothing.
 *
 * Owns:   the choice. First goes a connection without a request under way, of the address that has the most of them, the
 *         longest unused of these; then a connection whose request has been under way for `stalledMs`; else the newest.
 * Limits: `max` connections. So whoever holds connections open keeps nobody out who asks and reads.
 */
import type { Clock } from './clock.ts';

/** Of a net.Socket, what is needed of it. */
export type Connection = { readonly remoteAddress?: string | undefined; destroy(): unknown };

/** A whole answer is milliseconds; who has not read it by then does not want it. */
export const stalledMs = 10_000;

type Held = { readonly address: string; isBusy: boolean; sinceMs: number };

export class ConnectionRoom<C extends Connection> {
  readonly #max: number;
  readonly #clock: Clock;
  /** In the order in which they were last used. */
  readonly #held = new Map<C, Held>();

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  get size(): number {
    return this.#held.size;
  }

  /** A connection has come. One that has to go for it is destroyed. */
  opened(connection: C): void {
    this.#held.set(connection, { address: connection.remoteAddress ?? '', isBusy: false, sinceMs: this.#clock.monotonic() });
    if (this.#held.size <= this.#max) return;
    const victim = this.#leastUsed(connection) ?? this.#stalled() ?? connection;
    this.#held.delete(victim);
    victim.destroy();
  }

  /** A request has come on it. */
  began(connection: C): void {
    this.#use(connection, true);
  }

  /** Its request was answered, or given up. */
  ended(connection: C): void {
    this.#use(connection, false);
  }

  closed(connection: C): void {
    this.#held.delete(connection);
  }

  #use(connection: C, isBusy: boolean): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    this.#held.delete(connection);
    this.#held.set(connection, { ...held, isBusy, sinceMs: this.#clock.monotonic() });
  }

  #leastUsed(newest: C): C | undefined {
    const others = [...this.#held].filter(([connection]) => connection !== newest);
    const idle = others.filter(([, { isBusy }]) => !isBusy);
    const counts = new Map<string, number>();
    for (const [, { address }] of others) counts.set(address, (counts.get(address) ?? 0) + 1);
    const most = Math.max(...idle.map(([, { address }]) => counts.get(address) ?? 0));
    return idle.find(([, { address }]) => counts.get(address) === most)?.[0];
  }

  #stalled(): C | undefined {
    const nowMs = this.#clock.monotonic();
    return [...this.#held].find(([, { isBusy, sinceMs }]) => isBusy && nowMs - sinceMs >= stalledMs)?.[0];
  }
}
