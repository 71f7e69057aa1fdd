/**
 * The waiting requests, and the sums by which the queue is bounded and a wait is predicted.
 *
 * Owns:   the list, oldest first, and for each tier its requests, rows and bytes, and the work of each client.
 * Limits: requests, rows and bytes of a tier. A request is accepted by an empty tier whatever its size: it runs next.
 */
import type { Tier } from '../../api/tiers.ts';
import { clientToYield, Turns, workBefore } from './turns.ts';

export type Queued = {
  readonly tier: Tier;
  readonly client?: string | undefined;
  readonly rows: number;
  /** Bytes of the inputs. */
  readonly inputBytes: number;
  /** The request's part of a full run: predicted worker time in milliseconds. */
  readonly workMs: number;
  /** From `turnOf`; absent before. */
  readonly turn?: number;
};

/** Limits of each tier. */
export type QueueLimits = { readonly requests: number; readonly rows: number; readonly bytes: number };

/** A limit that a request would exceed. */
export type Exceeded = { readonly what: keyof QueueLimits; readonly limit: number };

/** Positions of the requests that yield to a new one, and why; or why there is no place for it. */
export type Place =
  | { readonly fits: true; readonly yields: readonly number[]; readonly exceeded?: Exceeded }
  | { readonly fits: false; readonly exceeded: Exceeded };

type Sums = { requests: number; rows: number; bytes: number; workMs: number };

class TierSums {
  readonly all: Sums = { requests: 0, rows: 0, bytes: 0, workMs: 0 };
  /** A client is listed only while it has waiting requests: the maps are at most as large as the queue. */
  readonly workOf = new Map<string | undefined, number>();
  readonly countOf = new Map<string | undefined, number>();
  readonly turns = new Turns();

  change({ client, rows, inputBytes, workMs }: Queued, by: 1 | -1): void {
    const { all } = this;
    all.requests += by;
    all.rows += by * rows;
    all.bytes += by * inputBytes;
    // Start again from 0 when the tier is empty, so that rounding errors do not add up.
    all.workMs = all.requests === 0 ? 0 : all.workMs + by * workMs;
    const count = (this.countOf.get(client) ?? 0) + by;
    if (count === 0) {
      this.countOf.delete(client);
      this.workOf.delete(client);
      if (all.requests === 0) this.turns.emptied();
      return;
    }
    this.countOf.set(client, count);
    this.workOf.set(client, (this.workOf.get(client) ?? 0) + by * workMs);
  }
}

export class WaitingQueue<T extends Queued> {
  #list: T[] = [];
  readonly #sums: Readonly<Record<Tier, TierSums>> = { interactive: new TierSums(), bulk: new TierSums() };

  /** Oldest first. */
  get list(): readonly T[] {
    return this.#list;
  }

  /** Sums over both tiers. */
  get size(): Readonly<Pick<Sums, 'requests' | 'rows' | 'bytes'>> {
    const { interactive, bulk } = this.#sums;
    return {
      requests: this.#list.length,
      rows: interactive.all.rows + bulk.all.rows,
      bytes: interactive.all.bytes + bulk.all.bytes,
    };
  }

  /** The turn of a new request, which is then added. */
  turnOf({ tier, client, workMs }: Queued): number {
    return this.#sums[tier].turns.next(client, workMs);
  }

  add(item: T): void {
    this.#list.push(item);
    this.#sums[item.tier].change(item, 1);
  }

  /** Removes requests that will not run. @returns them, oldest first */
  take(positions: readonly number[]): T[] {
    const taken = this.#remove(positions);
    for (const { tier, client, workMs } of taken) this.#sums[tier].turns.dropped(client, workMs);
    return taken;
  }

  #remove(positions: readonly number[]): T[] {
    const chosen = new Set(positions);
    const taken = this.#list.filter((_, position) => chosen.has(position));
    this.#list = this.#list.filter((_, position) => !chosen.has(position));
    for (const item of taken) this.#sums[item.tier].change(item, -1);
    return taken;
  }

  /** Removes requests whose run begins. @returns them, oldest first */
  serve(positions: readonly number[]): T[] {
    const taken = this.#remove(positions);
    for (const tier of ['interactive', 'bulk'] as const) {
      const turns = taken.flatMap((item) => (item.tier === tier && item.turn !== undefined ? [item.turn] : []));
      if (turns.length > 0) this.#sums[tier].turns.served(turns);
    }
    return taken;
  }

  /**
   * Finds a place for a new request. In a full tier, the newest request of the client with the most requests yields
   * (turns.ts), and so on until the new request fits. None yields if the new request would not fit even then.
   */
  placeFor(asked: Queued, limits: QueueLimits): Place {
    const { all, countOf } = this.#sums[asked.tier];
    const exceeded = exceededBy(asked, all, limits);
    if (exceeded === undefined) return { fits: true, yields: [] };
    const left = { ...all };
    const counts = new Map(countOf);
    let stays: Map<string | undefined, number[]> | undefined;
    const yields: number[] = [];
    while (exceededBy(asked, left, limits) !== undefined) {
      const most = clientToYield(counts, asked.client);
      if (most === undefined) return { fits: false, exceeded };
      // Refusals are frequent in a full queue, so they do not read it.
      stays ??= this.#positionsIn(asked.tier);
      const position = stays.get(most.client)?.pop() as number;
      const { rows, inputBytes } = this.#list[position] as T;
      yields.push(position);
      counts.set(most.client, (counts.get(most.client) as number) - 1);
      left.requests -= 1;
      left.rows -= rows;
      left.bytes -= inputBytes;
    }
    return { fits: true, yields, exceeded };
  }

  /** Positions of each client's requests of this tier, oldest first. */
  #positionsIn(tier: Tier): Map<string | undefined, number[]> {
    const positions = new Map<string | undefined, number[]>();
    this.#list.forEach((item, position) => {
      if (item.tier !== tier) return;
      const own = positions.get(item.client);
      if (own === undefined) positions.set(item.client, [position]);
      else own.push(position);
    });
    return positions;
  }

  /**
   * Work that is done before a new request, in milliseconds of worker time. Bulk requests do not delay interactive
   * requests, because these overtake them.
   */
  workBefore(tier: Tier, client?: string): number {
    const { interactive, bulk } = this.#sums;
    if (tier === 'interactive') return aheadIn(interactive, client);
    return interactive.all.workMs + aheadIn(bulk, client);
  }
}

/** The limit that a tier with these sums would exceed with a new request; undefined when the request fits. */
function exceededBy({ rows, inputBytes }: Queued, all: Sums, limits: QueueLimits): Exceeded | undefined {
  if (all.requests === 0) return undefined;
  if (all.requests >= limits.requests) return { what: 'requests', limit: limits.requests };
  if (all.rows + rows > limits.rows) return { what: 'rows', limit: limits.rows };
  return all.bytes + inputBytes > limits.bytes ? { what: 'bytes', limit: limits.bytes } : undefined;
}

function aheadIn({ all, workOf }: TierSums, client: string | undefined): number {
  // A single client, or a client that is alone in the queue, waits for everything that waits.
  return workOf.size <= 1 && (workOf.size === 0 || workOf.has(client)) ? all.workMs : workBefore(workOf, client);
}
