/**
 * The loads. A closed loop (c1, c8, c64) has a number of clients, each of which waits for its answer. An open loop (o50
 * to o150, shared80) sends requests at a rate, which is a percentage of a server's capacity: its rate in closed loops.
 * Pure.
 */

export const loadNames = ['c1', 'c8', 'c64', 'o50', 'o80', 'o95', 'o150', 'shared80'] as const;
export type LoadName = (typeof loadNames)[number];

export type Load =
  | { readonly kind: 'closed'; readonly clients: number }
  /**
   * @param share the rate as a share of a capacity
   * @param isShared false: the server's own capacity; true: the lower capacity of our server and FastAPI, so that all
   * servers get the same rate
   */
  | { readonly kind: 'open'; readonly share: number; readonly isShared: boolean };

// prettier-ignore
export const loadTable: Readonly<Record<LoadName, Load>> = {
  c1: { kind: 'closed', clients: 1 },
  c8: { kind: 'closed', clients: 8 },
  c64: { kind: 'closed', clients: 64 },
  o50: { kind: 'open', share: 0.5, isShared: false },
  o80: { kind: 'open', share: 0.8, isShared: false },
  o95: { kind: 'open', share: 0.95, isShared: false },
  o150: { kind: 'open', share: 1.5, isShared: false },
  shared80: { kind: 'open', share: 0.8, isShared: true },
};

/** For each server, its highest number of answers per second in closed loops. */
export type Capacities = ReadonlyMap<string, number>;

/**
 * The offered requests per second of an open loop.
 * @returns undefined when the server cannot take part: its capacity is unknown or below the rate that all servers share
 */
export function rateOf(
  load: Load & { readonly kind: 'open' },
  server: string,
  capacities: Capacities,
): number | undefined {
  const own = capacities.get(server) ?? 0;
  if (own === 0) return undefined;
  if (!load.isShared) return own * load.share;
  const [ours, fastapi] = [capacities.get('ours'), capacities.get('fastapi')];
  if (ours === undefined || fastapi === undefined) return undefined;
  const rate = load.share * Math.min(ours, fastapi);
  return rate > 0 && own >= rate ? rate : undefined;
}
