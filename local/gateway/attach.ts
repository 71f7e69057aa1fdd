/**
 * Which HTTPRoutes attach to which listeners of Gateways, and the conditions of routes that do not attach to one.
 * Owns: the rules of the Gateway API for a parent reference (section, port, namespace, hostname), the rules for a
 * backend reference, and the reasons in the conditions.
 * Pure.
 */
import type { StoredService } from '../workloads/resources.ts';
import type { BackendRef, StoredGateway, StoredHttpRoute, Listener, RouteParentRef } from './resources.ts';

export type AttachVerdict = { readonly ok: boolean; readonly reason: string; readonly message: string };

/** The result for one parent reference of a route. */
export type Attachment = {
  readonly parentRef: RouteParentRef;
  /**
   * The listeners that serve the route. `hostnames` are the hosts for which the listener accepts the route; undefined:
   * every host.
   */
  readonly listeners: readonly { readonly name: string; readonly hostnames: readonly string[] | undefined }[];
  readonly accepted: AttachVerdict;
};

const good = (reason: string, message: string): AttachVerdict => ({ ok: true, reason, message });
const bad = (reason: string, message: string): AttachVerdict => ({ ok: false, reason, message });

export function attach(route: StoredHttpRoute, parentRef: RouteParentRef, gateway: StoredGateway): Attachment {
  const none = (reason: string, message: string): Attachment => ({
    parentRef,
    listeners: [],
    accepted: bad(reason, message),
  });
  const meant = gateway.spec.listeners.filter(
    ({ name, port }) => (parentRef.sectionName ?? name) === name && (parentRef.port ?? port) === port,
  );
  if (meant.length === 0) return none('NoMatchingParent', `Gateway ${gateway.metadata.name} has no such listener`);
  const open = meant.filter((listener) => isAllowed(listener, route, gateway));
  if (open.length === 0)
    return none('NotAllowedByListeners', `Gateway ${gateway.metadata.name} accepts routes of its own namespace only`);
  const listeners = open.flatMap((listener) => {
    const hostnames = commonHostnames(listener.hostname, route.spec.hostnames ?? []);
    return hostnames?.length === 0 ? [] : [{ name: listener.name, hostnames }];
  });
  if (listeners.length === 0) return none('NoMatchingListenerHostname', 'no listener has a hostname of the route');
  return { parentRef, listeners, accepted: good('Accepted', 'the route is accepted') };
}

function isAllowed({ allowedRoutes }: Listener, route: StoredHttpRoute, gateway: StoredGateway): boolean {
  return allowedRoutes?.namespaces?.from === 'All' || route.metadata.namespace === gateway.metadata.namespace;
}

/**
 * The hostnames for which a listener accepts a route.
 * @returns undefined when the listener and the route both accept every host; empty when they have no host in common
 */
export function commonHostnames(listener: string | undefined, route: readonly string[]): readonly string[] | undefined {
  if (route.length === 0) return listener === undefined ? undefined : [listener];
  if (listener === undefined) return route;
  return route.flatMap((hostname) => {
    if (covers(listener, hostname)) return [hostname];
    return covers(hostname, listener) ? [listener] : [];
  });
}

/** Whether a hostname matches a pattern. A pattern may begin with a wildcard, which stands for one or more labels. */
export function covers(pattern: string, hostname: string): boolean {
  if (pattern === hostname) return true;
  return pattern.startsWith('*.') && hostname.endsWith(pattern.slice(1)) && hostname.length > pattern.length - 1;
}

/** Whether every backend reference of the route is valid, as a condition. */
export function resolveRefs(
  route: StoredHttpRoute,
  serviceOf: (namespace: string, name: string) => StoredService | undefined,
): AttachVerdict {
  const refs = (route.spec.rules ?? []).flatMap((rule) => rule.backendRefs ?? []);
  const problem = refs.map((ref) => problemOf(ref, route, serviceOf)).find((verdict) => verdict !== undefined);
  return problem ?? good('ResolvedRefs', 'every backend exists');
}

export function problemOf(
  ref: BackendRef,
  route: StoredHttpRoute,
  serviceOf: (namespace: string, name: string) => StoredService | undefined,
): AttachVerdict | undefined {
  const namespace = route.metadata.namespace ?? '';
  if (ref.group !== '' || ref.kind !== 'Service') return bad('InvalidKind', `a backend is a Service, not ${ref.kind}`);
  if ((ref.namespace ?? namespace) !== namespace)
    return bad('RefNotPermitted', `Service ${ref.name} is in another namespace`);
  const service = serviceOf(namespace, ref.name);
  if (service === undefined) return bad('BackendNotFound', `Service ${ref.name} does not exist`);
  const hasPort = (service.spec.ports ?? []).some(({ port }) => port === ref.port);
  return hasPort ? undefined : bad('BackendNotFound', `Service ${ref.name} has no port ${ref.port}`);
}
