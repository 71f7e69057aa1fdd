/**
 * Router HTTPRoute: the Gateway API shares the traffic by exact weights.
 *
 * Owns: when the weights of a route count as shares (the traffic that each revision gets). Every parent must have
 * accepted the current generation of the route. A backend Service that another client changed must still reach a pod.
 * Clients that bypass the gateway use the entry Service, which selects the serving revision.
 * Limits: a gateway updates its proxies shortly after it accepts a route; the API does not report when.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { ownValue } from '../../api/record.ts';
import type { TypePresence } from '../../kube/cache/optional-watch.ts';
import type { Gateway, HttpRoute, ParentRef, RouteCondition, Service } from '../../kube/kinds.ts';
import { httpRoute } from '../resources/route.ts';
import { entryService } from '../resources/services.ts';
import { stableOf, type Revision } from '../rollout/state.ts';
import type { AddressSources, TrafficRouter, TrafficFacts, TrafficSources } from './port.ts';
import { isOwnSelector, portProblem, selectedPods, selectorText } from './service-reach.ts';

export const byHttpRoute: TrafficRouter = {
  subject: 'the HTTPRoute',
  kinds: ['HTTPRoute'],
  // Some gateways send requests to the cluster IP of a backend and not to its pods.
  revisionAddress: 'ClusterIP',
  isWritable: (gatewayApi) => gatewayApi === 'Served',
  manifests: (model, { next, serve, canary }, reachable) => [
    entryService(model, serve, stableOf(next)),
    httpRoute(model, canary === undefined ? { serve } : { serve, canary }, reachable),
  ],
  marked: () => [],
  shares,
  outage: () => undefined,
  url: routedUrl,
};

const noApi: Readonly<Record<Exclude<TypePresence, 'Served'>, string>> = {
  Missing:
    'the cluster has no HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API and a gateway ' +
    'controller, or use router Service',
  Forbidden:
    'the operator may not read httproutes.gateway.networking.k8s.io: add the verbs get, list, watch, create, ' +
    'patch and delete for httproutes to its role',
  Unknown: 'the operator does not know yet whether the cluster has HTTPRoute',
};

function shares({ model, entry, route, gatewayApi, services, pods }: TrafficSources): TrafficFacts | undefined {
  if (gatewayApi !== 'Served') return { shares: undefined, reason: 'GatewayApiMissing', problem: noApi[gatewayApi] };
  if (route === undefined)
    return entry === undefined
      ? undefined
      : { shares: undefined, reason: 'RouteMoving', problem: `HTTPRoute ${model.metadata.name} does not exist yet` };
  const problem = problemOf(route);
  if (problem !== undefined) return { shares: undefined, reason: 'RouteNotAccepted', problem };
  const lost = backendProblem(route, { services, pods, model: model.metadata.name });
  return lost === undefined
    ? { shares: sharesOf(route, model.metadata.name) }
    : { shares: undefined, reason: 'RouteMoving', problem: lost };
}

/**
 * The problem of the first backend Service that does not reach a pod because another client changed the Service.
 * Backends with weight 0 are ignored.
 */
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

/** Why a parent does not use the current generation of the route; undefined if every parent uses it. */
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
      `${name} has not reported a status for HTTPRoute ${route.metadata.name}: ${name} does ` +
      `not exist, or no gateway controller serves it`
    );
  // Several controllers may report on one parent; one that accepts the route is enough.
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
      return `${parent} has not accepted generation ${generation} of the route yet`;
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

/** @param namespace the route's namespace, the default for a reference without a namespace */
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

/** The percentage of each revision. A backend without a weight has weight 1, as the Gateway API defines. */
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

/**
 * The URL for clients. Its host is the first hostname of the route or listener that is not a wildcard, else the
 * gateway's address.
 */
function routedUrl(model: OnnxModel, { gatewayOf }: AddressSources): string | undefined {
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
