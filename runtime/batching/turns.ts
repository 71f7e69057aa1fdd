/**
 * Turns of clients: when requests of several clients wait, a client with many requests does not delay those of others.
 *
 * Owns: the order in which clients take turns, the wait that follows from it, and which request leaves a full queue. A
 *       client is the value of a header, or an address (call/perform.ts).
 * Pure.
 */

/** A waiting request as far as turns are concerned. */
export type Turning = {
  /** The client that sent the request; undefined counts as one client. */
  readonly client?: string | undefined;
  /** Its turn (Turns.next). */
  readonly turn?: number;
};

/**
 * Gives each new request a turn, as start-time fair queueing does: the turns of one client are as far apart as its
 * requests take worker time, and begin at the turn that is served now. Example: of one client, three requests of 5 ms
 * wait with the turns 0, 5 and 10. The first one runs, and a request of another client comes: it gets turn 0, and so
 * runs before the other two.
 */
export class Turns {
  #now = 0;
  /**
   * The turn of each client's next request, if it is later than the turn that is served now. It outlives the client's
   * waiting requests: a client that sends its next request as soon as the last one runs would otherwise always be next.
   */
  readonly #next = new Map<string | undefined, number>();

  /** @param workMs predicted worker time of the request; 0 when it is not known: requests are then counted */
  next(client: string | undefined, workMs: number): number {
    const turn = Math.max(this.#now, this.#next.get(client) ?? 0);
    // Clients may have any number of names, so the one that was listed first is forgotten.
    const [oldest] = this.#next.size < mostClients ? [] : this.#next.keys();
    if (this.#next.size >= mostClients) this.#next.delete(oldest);
    this.#next.set(client, turn + lengthOf(workMs));
    return turn;
  }

  /** A run with requests of these turns begins. */
  served(turns: readonly number[]): void {
    this.#now = Math.max(this.#now, Math.min(...turns));
    for (const [client, next] of this.#next) if (next <= this.#now) this.#next.delete(client);
  }

  /** A request of the client will not run. @param workMs as given to `next` */
  dropped(client: string | undefined, workMs: number): void {
    const next = this.#next.get(client);
    if (next !== undefined) this.#next.set(client, next - lengthOf(workMs));
  }

  /** No request waits any more. */
  emptied(): void {
    this.#next.clear();
  }
}

/** Clients whose next turns are remembered. */
const mostClients = 1024;

/** How far apart a client's turns are. */
function lengthOf(workMs: number): number {
  return workMs > 0 ? workMs : 1;
}

/**
 * Orders requests by their turns. With requests of one client, the order does not change.
 *
 * @param positions of the waiting requests, the most urgent first. The most urgent request of a client gets the first
 *   of its client's turns, so that this stays the order of each client's own requests, and of requests with equal turns
 */
export function inTurns(queue: readonly Turning[], positions: readonly number[]): readonly number[] {
  const [first] = positions;
  const one = first === undefined ? undefined : queue[first]?.client;
  if (positions.every((position) => queue[position]?.client === one)) return positions;
  const turnsOf = new Map<string | undefined, number[]>();
  for (const position of positions) {
    const { client, turn = 0 } = queue[position] ?? {};
    const turns = turnsOf.get(client);
    if (turns === undefined) turnsOf.set(client, [turn]);
    else turns.push(turn);
  }
  for (const turns of turnsOf.values()) turns.sort((a, b) => b - a);
  const turnOf = new Map(positions.map((position) => [position, turnsOf.get(queue[position]?.client)?.pop() ?? 0]));
  return positions.toSorted((a, b) => (turnOf.get(a) ?? 0) - (turnOf.get(b) ?? 0));
}

/**
 * Work that is done before a new request of a client: all of its own waiting work, and of each other client as much.
 * @param workOf waiting work of each client, in milliseconds
 */
export function workBefore(workOf: ReadonlyMap<string | undefined, number>, client: string | undefined): number {
  const own = workOf.get(client) ?? 0;
  let sum = own;
  for (const [other, work] of workOf) if (other !== client) sum += Math.min(work, own);
  return sum;
}

/**
 * The client whose newest request gives its place in a full queue to a new request: the one with the most waiting
 * requests.
 *
 * @param countOf waiting requests of each client
 * @returns undefined when no client has at least two more than the client of the new request: the new one is refused
 */
export function clientToYield(
  countOf: ReadonlyMap<string | undefined, number>,
  client: string | undefined,
): { readonly client: string | undefined } | undefined {
  let most: { readonly client: string | undefined; readonly count: number } | undefined;
  for (const [other, count] of countOf) if (count > (most?.count ?? 0)) most = { client: other, count };
  return most !== undefined && most.count >= (countOf.get(client) ?? 0) + 2 ? { client: most.client } : undefined;
}
