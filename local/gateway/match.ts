/**
 * Chooses the rule for a request, and one of its backends.
 * Owns: the Gateway API's precedence: the more exact host first, then the more exact path, then the older route; and
 * the choice by weight, which is made separately for every request.
 * Pure: the random number is passed in.
 */
import { covers } from './attach.ts';
import type { BackendRef, PathMatch } from './resources.ts';

/** One rule of one route on one listener. */
export type RouteEntry = {
  /** Absent: every host. */
  readonly hostnames: readonly string[] | undefined;
  readonly paths: readonly PathMatch[];
  readonly backends: readonly WeightedBackend[];
  /** Creation time, namespace and name of the route: on a tie the route with the smaller value wins. */
  readonly order: string;
};

/** `usable` is false when the Service does not exist: requests for which this backend is chosen get 500. */
export type WeightedBackend = Pick<BackendRef, 'name' | 'port' | 'weight'> & {
  readonly namespace: string;
  readonly usable: boolean;
};

/**
 * @param host of the request, without a port
 * @param path without the query
 */
export function matchRequest(entries: readonly RouteEntry[], host: string, path: string): RouteEntry | undefined {
  const scored = entries.flatMap((entry) => {
    const hostScore = hostScoreOf(entry.hostnames, host.toLowerCase());
    const pathScore = Math.max(-1, ...entry.paths.map((match) => pathScoreOf(match, path)));
    return hostScore < 0 || pathScore < 0 ? [] : [{ entry, hostScore, pathScore }];
  });
  scored.sort(
    (a, b) => b.hostScore - a.hostScore || b.pathScore - a.pathScore || (a.entry.order < b.entry.order ? -1 : 1),
  );
  return scored[0]?.entry;
}

/** How exact a match is: a higher number is more exact, and a number below 0 means that it does not match. */
function hostScoreOf(hostnames: readonly string[] | undefined, host: string): number {
  if (hostnames === undefined) return 0;
  const fitting = hostnames.filter((pattern) => covers(pattern, host));
  return Math.max(
    -1,
    ...fitting.map((pattern) => (pattern.startsWith('*') ? pattern.length : 10_000 + pattern.length)),
  );
}

/** A prefix ends at a slash: /a matches /a/b and not /ab. */
function pathScoreOf({ type, value }: PathMatch, path: string): number {
  if (type === 'Exact') return path === value ? 10_000 : -1;
  const prefix = value.endsWith('/') ? value.slice(0, -1) : value;
  return path === prefix || path.startsWith(`${prefix}/`) ? prefix.length : -1;
}

/**
 * @param random in [0, 1)
 * @returns undefined when all weights are 0
 */
export function drawBackend(backends: readonly WeightedBackend[], random: number): WeightedBackend | undefined {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const backend of backends) {
    if (left < backend.weight) return backend;
    left -= backend.weight;
  }
  return undefined;
}
