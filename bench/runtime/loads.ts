/**
 * The loads: closed loops by their clients, open loops by their share of a server's capacity.
 * Pure.
 */

export const loadNames = ['c1', 'c8', 'c64', 'o50', 'o80', 'o95', 'o150', 'shared80'] as const;
export type LoadName = (typeof loadNames)[number];

export type Load =
  | { readonly kind: 'closed'; readonly clients: number }
  /** @param isShared the same rate for all servers, from the lower capacity of ours and FastAPI */
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

/** Answers per second of each server in closed loops, at most. */
export type Capacities = ReadonlyMap<string, number>;

/**
 * The offered requests per second of an open loop.
 * @returns undefined when the server cannot take part: no answers in closed loops, or less capacity than a shared rate
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
