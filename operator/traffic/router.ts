/**
 * The routers, and which one a model has.
 *
 * Owns:  the table: outside of it and of the routers' own modules no code names a router.
 * Pure.
 */
import { defaultRouter, type RouterName } from '../../api/routers.ts';
import type { TrafficSeen } from '../rollout/state.ts';
import { byPods } from './by-pods.ts';
import { byHttpRoute } from './http-route.ts';
import type { TrafficRouter, TrafficSources } from './port.ts';

export const routersByName: Readonly<Record<RouterName, TrafficRouter>> = { Service: byPods, HTTPRoute: byHttpRoute };

/** By `spec.traffic` or a rollout's plan. */
export function routerOf({ router = defaultRouter }: { readonly router?: RouterName | undefined } = {}): TrafficRouter {
  return routersByName[router];
}

/** Whether an object is the work of a router; the entry Service is the work of every one and is left out. */
export function isRouterKind(kind: string): boolean {
  return Object.values(routersByName).some(({ kinds }) => kinds.includes(kind));
}

/**
 * What traffic really does, as far as the API tells.
 *
 * @param reverts how often in the last ten minutes somebody else's weights were put back
 * @returns undefined while nothing serves yet
 */
export function trafficSeen(sources: TrafficSources, reverts: number): TrafficSeen | undefined {
  const facts = routerOf(sources.model.spec.traffic).shares(sources);
  return facts === undefined ? undefined : { ...facts, reverts };
}
