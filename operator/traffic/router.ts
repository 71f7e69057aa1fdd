/**
 * The table of routers, and the router of a model.
 *
 * Owns: the names of the routers. Only this table and the routers' own modules use these names.
 * Pure.
 */
import { defaultRouter, type RouterName } from '../../api/routers.ts';
import type { TrafficSeen } from '../rollout/state.ts';
import { byPods } from './by-pods.ts';
import { byHttpRoute } from './http-route.ts';
import type { TrafficRouter, TrafficSources } from './port.ts';

export const routersByName: Readonly<Record<RouterName, TrafficRouter>> = { Service: byPods, HTTPRoute: byHttpRoute };

/** The router that `spec.traffic` or a rollout plan names. */
export function routerOf({ router = defaultRouter }: { readonly router?: RouterName | undefined } = {}): TrafficRouter {
  return routersByName[router];
}

/**
 * Whether only some routers make objects of this kind. The result is false for the entry Service, which every router
 * makes.
 */
export function isRouterKind(kind: string): boolean {
  return Object.values(routersByName).some(({ kinds }) => kinds.includes(kind));
}

/**
 * The actual shares of the traffic, as far as the API shows them.
 *
 * @param reverts how often in the last ten minutes the operator undid another client's weights
 * @returns undefined while no revision serves yet
 */
export function trafficSeen(sources: TrafficSources, reverts: number): TrafficSeen | undefined {
  const facts = routerOf(sources.model.spec.traffic).shares(sources);
  return facts === undefined ? undefined : { ...facts, reverts };
}
