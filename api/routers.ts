/**
 * The routers that `spec.traffic.router` names, and how each shares the traffic between two revisions.
 *
 * Owns:  the one list of their names: the CRD's choice is made of it. What a router writes and reads in the cluster is
 *        in operator/traffic (router.ts).
 */

/**
 * `ByPods`: each ready pod gets the same, so a revision's share follows from its number of ready pods. `ByWeight`: a
 * revision gets its weight in percent, whatever the number of its pods.
 */
export type SharingKind = 'ByPods' | 'ByWeight';

export const routers = {
  Service: { shares: 'ByPods' },
  HTTPRoute: { shares: 'ByWeight' },
} as const satisfies Readonly<Record<string, { readonly shares: SharingKind }>>;

export type RouterName = keyof typeof routers;
export const routerNames = Object.keys(routers) as readonly RouterName[];
/** Where the spec names none. */
export const defaultRouter: RouterName = 'Service';
