/**
 * The routers that `spec.traffic.router` names, and how each shares the traffic between two revisions.
 *
 * Owns:  the only list of router names; the CRD's enum is made from it. operator/traffic/router.ts defines what a
 *        router reads and writes in the cluster.
 */

/**
 * `ByPods`: each ready pod gets an equal share, so a revision's share follows from its number of ready pods.
 * `ByWeight`: a revision gets the percentage (weight) that the route names, whatever the number of its pods.
 */
export type SharingKind = 'ByPods' | 'ByWeight';

export const routers = {
  Service: { shares: 'ByPods' },
  HTTPRoute: { shares: 'ByWeight' },
} as const satisfies Readonly<Record<string, { readonly shares: SharingKind }>>;

export type RouterName = keyof typeof routers;
export const routerNames = Object.keys(routers) as readonly RouterName[];
/** The router of a spec that does not name one. */
export const defaultRouter: RouterName = 'Service';
