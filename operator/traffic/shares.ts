/**
 * What traffic really does, as far as the API tells: who gets which share now, and where clients call.
 *
 * Owns:  when a share counts as known. By pods: ready ones that the entry Service really selects, by its live selector
 *        and ports. By a route: its weights, once every parent has accepted it at its generation.
 * Limits: a gateway that accepted a route has yet to tell its proxies, which takes a moment; nobody reports that.
 * Pure.
 */
import { labels, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import {
  isReady,
  type Gateway,
  type HttpRoute,
  type ParentRef,
  type Pod,
  type RouteCondition,
  type Service,
} from '../../kube/kinds.ts';
import type { ObjectName } from '../../kube/client/object.ts';
import type { Presence } from '../../kube/cache/optional-watch.ts';
import { isOwnSelector, portProblem, selectedPods, selectorText } from './service-reach.ts';
import { servingValue } from '../resources/services.ts';
import type { Revision, TrafficSeen } from '../rollout/state.ts';
import { ownValue } from '../../api/record.ts';

export type TrafficSources = {
  readonly model: OnnxModel;
  readonly entry: Service | undefined;
  readonly route: HttpRoute | undefined;
  /** All of the model's; absent: they are as they should be. */
  readonly services?: readonly Service[] | undefined;
  readonly gatewayApi: Presence;
  /** Pods that are not going away, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  /** How often in the last ten minutes somebody else's weights were put back. */
  readonly reverts: number;
};

type Facts = Omit<TrafficSeen, 'reverts'>;

/** @returns undefined while nothing serves yet: there is no entry Service, nor a route */
export function trafficSeen(sources: TrafficSources): TrafficSeen | undefined {
  const facts = sources.model.spec.traffic?.router === 'HTTPRoute' ? byRoute(sources) : byPods(sources);
  return facts === undefined ? undefined : { ...facts, reverts: sources.reverts };
}

// ── by pods ──────────────────────────────────────────────────────────────────────────────────────

function byPods({ model, entry, pods }: TrafficSources): Facts | undefined {
  const selector = entry?.spec?.selector;
  if (selector === undefined) return undefined;
  const problem = portProblem(entry as Service);
  if (problem !== undefined) return { shares: undefined, reason: 'RouteMoving', problem };
  if (!isOwnSelector(selector, model.metadata.name)) {
    return sharesAmong(
      selectedPods(selector, pods),
      `Service ${model.metadata.name} selects pods by ${selectorText(selector)}: no ready pod of the model has ` +
        'these labels',
    );
  }
  const revision = selector[labels.revision];
  if (revision !== undefined && !(labels.serving in selector)) return { shares: { [revision]: 100 } };
  const marked = new Map(
    [...pods].map(([name, those]) => [name, those.filter(servesNow).length] as const).filter(([, count]) => count > 0),
  );
  return sharesAmong(marked, 'no ready pod is marked to share the traffic');
}

/** @param problem when there is none to share among */
function sharesAmong(counts: ReadonlyMap<Revision, number>, problem: string): Facts {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return { shares: undefined, reason: 'RouteMoving', problem };
  return { shares: Object.fromEntries([...counts].map(([name, count]) => [name, (100 * count) / total])) };
}

export function isMarked(pod: Pod): boolean {
  return pod.metadata.labels?.[labels.serving] === servingValue;
}

function servesNow(pod: Pod): boolean {
  return isMarked(pod) && isReady(pod);
}

// ── by a route ───────────────────────────────────────────────────────────────────────────────────

const noApi: Readonly<Record<Exclude<Presence, 'Served'>, string>> = {
  Missing:
    'the cluster has no HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API and a gateway ' +
    'controller, or use router Service',
  Forbidden:
    'the operator may not read httproutes.gateway.networking.k8s.io: give its role get, list, watch, create, ' +
    'patch and delete on them',
  Unknown: 'it is not known yet whether the cluster has HTTPRoute',
};

function byRoute({ model, entry, route, gatewayApi, services, pods }: TrafficSources): Facts | undefined {
  if (gatewayApi !== 'Served') return { shares: undefined, reason: 'GatewayApiMissing', problem: noApi[gatewayApi] };
  if (route === undefined)
    return entry === undefined
      ? undefined
      : { shares: undefined, reason: 'RouteMoving', problem: `there is no HTTPRoute ${model.metadata.name} yet` };
  const problem = problemOf(route);
  if (problem !== undefined) return { shares: undefined, reason: 'RouteNotAccepted', problem };
  const lost = backendProblem(route, { services, pods, model: model.metadata.name });
  return lost === undefined
    ? { shares: sharesOf(route, model.metadata.name) }
    : { shares: undefined, reason: 'RouteMoving', problem: lost };
}

/** A backend with weight whose Service leads to no pod, because somebody else changed the Service. */
function backendProblem(
  route: HttpRoute,
  { services = [], pods, model }: Pick<TrafficSources, 'services' | 'pods'> & { readonly model: string },
): string | undefined {
  const names = (route.spec?.rules ?? [])
    .flatMap(({ backendRefs }) => backendRefs ?? [])
    .filter(({ weight = 1 }) => weight > 0)
    .map(({ name }) => name);
  return services
    .filter(({ metadata }) => names.includes(metadata.name))
    .map((service) => serviceProblem(service, pods, model))
    .find((problem) => problem !== undefined);
}

function serviceProblem(service: Service, pods: TrafficSources['pods'], model: string): string | undefined {
  const problem = portProblem(service);
  const selector = service.spec?.selector ?? {};
  if (problem !== undefined || isOwnSelector(selector, model) || selectedPods(selector, pods).size > 0) return problem;
  return (
    `Service ${service.metadata.name} selects pods by ${selectorText(selector)}: no ready pod of the model has ` +
    'these labels'
  );
}

/** The first thing that keeps a parent from sending traffic by this very route; undefined: all of them do. */
function problemOf(route: HttpRoute): string | undefined {
  const parents = route.spec?.parentRefs ?? [];
  if (parents.length === 0) return `HTTPRoute ${route.metadata.name} has no parent`;
  return parents.map((parent) => parentProblem(route, parent)).find((problem) => problem !== undefined);
}

function parentProblem(route: HttpRoute, parent: ParentRef): string | undefined {
  const told = (route.status?.parents ?? []).filter(({ parentRef }) =>
    isSameParent(parentRef, parent, route.metadata.namespace),
  );
  const name = `${parent.kind ?? 'Gateway'} ${parent.name}`;
  if (told.length === 0)
    return (
      `${name} has said nothing of HTTPRoute ${route.metadata.name}: no gateway controller serves it, or it does ` +
      'not exist'
    );
  // Several controllers may speak of one parent; one that takes the route is enough.
  const problems = told.map(({ conditions }) =>
    conditionProblem(name, conditions ?? [], route.metadata.generation ?? 0),
  );
  return problems.includes(undefined) ? undefined : problems[0];
}

function conditionProblem(
  parent: string,
  conditions: readonly RouteCondition[],
  generation: number,
): string | undefined {
  for (const type of ['Accepted', 'ResolvedRefs']) {
    const condition = conditions.find((one) => one.type === type);
    if (condition === undefined || (condition.observedGeneration ?? 0) < generation)
      return `${parent} has not taken generation ${generation} of the route yet`;
    if (condition.status !== 'True') return `${parent}: ${type} is ${condition.status}${wordsOf(condition)}`;
  }
  return undefined;
}

function wordsOf({ reason, message }: RouteCondition): string {
  return [reason, message]
    .filter((word) => word !== undefined && word !== '')
    .map((word) => `: ${word}`)
    .join('');
}

/** @param namespace the route's own, where none is named */
function isSameParent(a: ParentRef, b: ParentRef, namespace: string | undefined): boolean {
  const whole = (ref: ParentRef): string =>
    [
      ref.group ?? 'gateway.networking.k8s.io',
      ref.kind ?? 'Gateway',
      ref.namespace ?? namespace,
      ref.name,
      ref.sectionName,
      ref.port,
    ].join('\n');
  return whole(a) === whole(b);
}

/** Percent of each revision; a backend without a weight counts 1, as the Gateway API has it. */
function sharesOf(route: HttpRoute, model: string): Readonly<Record<Revision, number>> {
  const backends = (route.spec?.rules ?? []).flatMap(({ backendRefs }) => backendRefs ?? []);
  const total = backends.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const shares: Record<Revision, number> = {};
  for (const { name, weight = 1 } of backends) {
    const revision = name.startsWith(`${model}-`) ? name.slice(model.length + 1) : name;
    if (weight > 0) shares[revision] = (ownValue(shares, revision) ?? 0) + (100 * weight) / total;
  }
  return shares;
}

// ── where clients call ───────────────────────────────────────────────────────────────────────────

/**
 * Where clients send requests with router HTTPRoute: the host that the route answers to, else the gateway's own
 * address.
 */
export function routedUrl(model: OnnxModel, gatewayOf: (name: ObjectName) => Gateway | undefined): string | undefined {
  const { parentRefs: [parent] = [], hostnames = [] } = model.spec.traffic ?? {};
  if (parent === undefined) return undefined;
  const gateway = gatewayOf({ name: parent.name, namespace: parent.namespace ?? model.metadata.namespace });
  const listener = listenerOf(gateway, parent);
  const host = [...hostnames, listener?.hostname, ...addressesOf(gateway)].find(
    (name) => name !== undefined && !name.startsWith('*'),
  );
  return host === undefined ? undefined : urlOf(host, listener);
}

function addressesOf(gateway: Gateway | undefined): readonly (string | undefined)[] {
  return (gateway?.status?.addresses ?? []).map(({ value }) => value);
}

function listenerOf(gateway: Gateway | undefined, parent: ParentRef): Listener | undefined {
  const taking = (gateway?.spec?.listeners ?? []).filter((one) => takes(one, parent));
  return taking.find(({ protocol }) => protocol === 'HTTP') ?? taking[0];
}

type Listener = NonNullable<NonNullable<Gateway['spec']>['listeners']>[number];

function takes({ name, port, protocol }: Listener, parent: ParentRef): boolean {
  if (protocol !== 'HTTP' && protocol !== 'HTTPS') return false;
  return (parent.sectionName ?? name) === name && (parent.port ?? port) === port;
}

function urlOf(host: string, listener: Listener | undefined): string {
  const scheme = listener?.protocol === 'HTTPS' ? 'https' : 'http';
  const usual = scheme === 'https' ? 443 : 80;
  const port = listener === undefined || listener.port === usual ? '' : `:${listener.port}`;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}${port}`;
}

/**
 * Where clients send requests with router Service. Local mode has no DNS, a cluster's Service addresses are nobody's
 * business.
 */
export function entryUrl(model: OnnxModel, entry: Service | undefined, style: 'DNS' | 'ClusterIP'): string | undefined {
  const { name, namespace } = model.metadata;
  if (style === 'DNS') return `http://${name}.${namespace}.svc:${ports.runtime}`;
  const clusterIp = entry?.spec?.clusterIP ?? '';
  return clusterIp === '' ? undefined : `http://${clusterIp}:${ports.runtime}`;
}
