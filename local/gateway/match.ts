/**
 * Chooses the rule for a request, and one of the rule's backends.
 * Owns: the precedence of the Gateway API: the more exact host wins, then the more exact path, then the older route.
 * Owns also the choice of a backend by weight, which is made separately for every request.
 * Pure: the random number is passed in.
 */
import { covers } from './attach.ts';
import type { BackendRef, PathMatch } from './resources.ts';

/** One rule of one route on one listener. */
export type RouteEntry = {
  /** The hosts for which the listener accepts the route; undefined: every host. */
  readonly hostnames: readonly string[] | undefined;
  readonly paths: readonly PathMatch[];
  readonly backends: readonly WeightedBackend[];
  /**
   * Creation time, namespace and name of the route. When host and path are equally exact, the route with the smaller
   * value wins.
   */
  readonly order: string;
};

/**
 * A backend of a rule. `usable` is false when its reference is invalid, for example because the Service does not exist.
 * A request for which this backend is chosen gets 500.
 */
export type WeightedBackend = Pick<BackendRef, 'name' | 'port' | 'weight'> & {
  readonly namespace: string;
  readonly usable: boolean;
};

/**
 * The rule for a request.
 * @param host the host of the request, without a port
 * @param path the path without the query
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

/** How exactly a host matches. A higher number is more exact; a number below 0 means that the host does not match. */
function hostScoreOf(hostnames: readonly string[] | undefined, host: string): number {
  if (hostnames === undefined) return 0;
  const fitting = hostnames.filter((pattern) => covers(pattern, host));
  return Math.max(
    -1,
    ...fitting.map((pattern) => (pattern.startsWith('*') ? pattern.length : 10_000 + pattern.length)),
  );
}

/** How exactly a path matches. A prefix must end at a slash: /a matches /a/b but not /ab. */
function pathScoreOf({ type, value }: PathMatch, path: string): number {
  if (type === 'Exact') return path === value ? 10_000 : -1;
  const prefix = value.endsWith('/') ? value.slice(0, -1) : value;
  return path === prefix || path.startsWith(`${prefix}/`) ? prefix.length : -1;
}

/** Chooses a backend by weight. @param random in [0, 1) @returns undefined when all weights are 0 */
export function drawBackend(backends: readonly WeightedBackend[], random: number): WeightedBackend | undefined {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const backend of backends) {
    if (left < backend.weight) return backend;
    left -= backend.weight;
  }
  return undefined;
}
