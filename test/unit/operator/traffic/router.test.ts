/**
 * Which shares of the traffic each revision has, as the operator reads them from objects of the cluster (a table), and
 * the address of a model.
 */
import assert from 'node:assert/strict';
import { labels } from '../../../../api/names.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { Gateway, HttpRoute, ParentRef, Pod, RouteCondition, Service } from '../../../../kube/kinds.ts';
import type { TrafficSeen } from '../../../../operator/rollout/state.ts';
import type { TrafficSources } from '../../../../operator/traffic/port.ts';
import { routerOf, trafficSeen } from '../../../../operator/traffic/router.ts';
import { given } from '../../../support/given.ts';

const routed: OnnxModelSpec['traffic'] = { router: 'HTTPRoute', parentRefs: [{ name: 'public' }] };
const entry = (selector: Record<string, string>): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'ranker', namespace: 'ml' },
  spec: { selector },
});
const pod = (ready: boolean, marked: boolean): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ml', labels: marked ? { [labels.serving]: 'true' } : {} },
  status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});
const of = (revision: string): Pod => ({
  ...pod(true, false),
  metadata: { name: 'p', namespace: 'ml', labels: { [labels.model]: 'ranker', [labels.revision]: revision } },
});
const condition = (
  type: string,
  status = 'True',
  generation = 4,
  more: Partial<RouteCondition> = {},
): RouteCondition => ({ type, status, observedGeneration: generation, ...more });
const good = [condition('Accepted'), condition('ResolvedRefs')];
type Parent = { readonly parentRef: ParentRef; readonly conditions: readonly RouteCondition[] };

function route(
  parents: readonly Parent[],
  weights: Readonly<Record<string, number | undefined>> = { a: 95, b: 5 },
  parentRefs: readonly ParentRef[] = [{ name: 'public' }],
): HttpRoute {
  const backendRefs = Object.entries(weights).map(([revision, weight]) => ({
    name: `ranker-${revision}`,
    ...(weight === undefined ? {} : { weight }),
  }));
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'ranker', namespace: 'ml', generation: 4 },
    spec: { parentRefs, rules: [{ backendRefs }] },
    status: { parents },
  };
}

const shared = entry({ [labels.model]: 'ranker', [labels.serving]: 'true' });
const alone = entry({ [labels.model]: 'ranker', [labels.revision]: 'a' });

type Row = {
  readonly name: string;
  readonly spec?: Partial<OnnxModelSpec>;
  readonly see: Partial<TrafficSources>;
  readonly want: Partial<TrafficSeen> | undefined;
};
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'undefined before there is an entry Service', see: {}, want: undefined },
  { name: '100 % for the revision that the entry Service selects',
    see: { entry: alone }, want: { shares: { a: 100 } } },
  { name: 'shares in proportion to the ready pods with the mark',
    see: { entry: shared, pods: new Map([['a', [pod(true, true), pod(true, true), pod(true, true)]],
      ['b', [pod(true, true)]]]) }, want: { shares: { a: 75, b: 25 } } },
  { name: 'no share for pods without the mark and pods that are not ready',
    see: { entry: shared, pods: new Map([['a', [pod(true, true)]],
      ['b', [pod(true, false), pod(false, true)]]]) }, want: { shares: { a: 100 } } },
  { name: 'no shares while no ready pod carries the mark',
    see: { entry: shared, pods: new Map([['a', [pod(true, false)]]]) },
    want: { shares: undefined, reason: 'RouteMoving', problem: 'no ready pod has the serving label' } },
  { name: 'no shares while a foreign key in the selector matches no pod',
    see: { entry: entry({ [labels.model]: 'ranker', [labels.revision]: 'a', team: 'x' }),
      pods: new Map([['a', [of('a')]]]) }, want: { shares: undefined, reason: 'RouteMoving',
      problem:
      `Service ranker selects pods by ${labels.model}=ranker, ${labels.revision}=a, team=x: no ready pod of the ` +
        'model has these labels' } },
  { name: 'shares by the pods that a foreign selector matches',
    see: { entry: entry({ [labels.model]: 'ranker' }),
      pods: new Map([['a', [of('a'), of('a'), of('a')]], ['b', [of('b')]]]) }, want: { shares: { a: 75, b: 25 } } },
  { name: 'no shares while the entry Service has another port',
    see: { entry: { ...alone, spec: { ...alone.spec, ports: [{ port: 9999, targetPort: 9999 }] } } },
    want: { shares: undefined, problem: 'Service ranker has no port 8080' } },
  { name: 'no shares while its port leads elsewhere',
    see: { entry: { ...alone, spec: { ...alone.spec, ports: [{ port: 8080, targetPort: 9999 }] } } },
    want: { shares: undefined,
      problem: 'port 8080 of Service ranker leads to port 9999 of the pods, where no process listens' } },
  { name: 'no shares while the entry Service has type ExternalName',
    see: { entry: { ...alone, spec: { ...alone.spec, type: 'ExternalName' } } },
    want: { shares: undefined, problem: 'Service ranker has type ExternalName, so no request reaches a pod' } },
  { name: 'no shares while a backend of the route selects no pod', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' }, conditions: good }]),
      services: [{ ...alone, metadata: { name: 'ranker-b' },
      spec: { selector: { [labels.model]: 'ranker', team: 'x' } } }] },
    want: { shares: undefined, reason: 'RouteMoving',
      problem:
      `Service ranker-b selects pods by ${labels.model}=ranker, team=x: no ready pod of the model has these labels` } },
  { name: 'no shares while the selector names another model',
    see: { entry: entry({ app: 'shop' }) }, want: { shares: undefined, reason: 'RouteMoving' } },
  { name: 'the weights of a route that its parent accepted', spec: { traffic: routed },
    see: { entry: alone, route: route([{ parentRef: { name: 'public' },
      conditions: good }]) }, want: { shares: { a: 95, b: 5 } } },
  { name: 'no share for a backend of weight 0', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' }, conditions: good }],
      { a: 100, b: 0 }) }, want: { shares: { a: 100 } } },
  { name: 'a weight of 1 for a backend without a weight', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' }, conditions: good }],
      { a: undefined, b: 3 }) }, want: { shares: { a: 25, b: 75 } } },
  { name: 'the weights when the status names the parent by its full reference', spec: { traffic: routed },
    see: { route: route([{ parentRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway',
      namespace: 'ml', name: 'public' }, conditions: good }]) }, want: { shares: { a: 95, b: 5 } } },
  { name: 'no shares before a parent has reported a status', spec: { traffic: routed },
    see: { route: route([]) }, want: { shares: undefined, reason: 'RouteNotAccepted',
      problem:
      'Gateway public has not reported a status for HTTPRoute ranker: Gateway public does not exist, ' +
      'or no gateway controller serves it' } },
  { name: 'no shares while the parent reports on an older generation', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' },
      conditions: [condition('Accepted', 'True', 3), condition('ResolvedRefs')] }]) },
    want: { shares: undefined, problem: 'Gateway public has not accepted generation 4 of the route yet' } },
  { name: 'no shares while the backends are not resolved at this generation', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' }, conditions: [condition('Accepted')] }]) },
    want: { shares: undefined, problem: 'Gateway public has not accepted generation 4 of the route yet' } },
  { name: 'why a route is not accepted', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' },
      conditions: [condition('Accepted', 'False', 4, { reason: 'NotAllowedByListeners', message: 'another namespace' }),
      condition('ResolvedRefs')] }]) }, want: { shares: undefined, reason: 'RouteNotAccepted',
      problem: 'Gateway public: Accepted is False: NotAllowedByListeners: another namespace' } },
  { name: 'why a backend is not resolved', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' },
      conditions: [condition('Accepted'), condition('ResolvedRefs', 'False', 4, { reason: 'BackendNotFound' })] }]) },
    want: { shares: undefined, problem: 'Gateway public: ResolvedRefs is False: BackendNotFound' } },
  { name: 'no shares until every parent has accepted the route', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' },
      conditions: good }], { a: 1 }, [{ name: 'public' },
      { name: 'inner' }]) }, want: { shares: undefined,
      problem:
      'Gateway inner has not reported a status for HTTPRoute ranker: Gateway inner does not exist, ' +
      'or no gateway controller serves it' } },
  { name: 'shares when one of two controllers has accepted the route', spec: { traffic: routed },
    see: { route: route([{ parentRef: { name: 'public' }, conditions: [condition('Accepted', 'False')] },
      { parentRef: { name: 'public' }, conditions: good }]) }, want: { shares: { a: 95, b: 5 } } },
  { name: 'that there is no route yet', spec: { traffic: routed }, see: { entry: alone },
    want: { shares: undefined, reason: 'RouteMoving', problem: 'HTTPRoute ranker does not exist yet' } },
  { name: 'undefined for a routed model before any object exists',
    spec: { traffic: routed }, see: {}, want: undefined },
  { name: 'that the cluster has no Gateway API', spec: { traffic: routed },
    see: { gatewayApi: 'Missing' }, want: { shares: undefined, reason: 'GatewayApiMissing' } },
  { name: 'that routes may not be read', spec: { traffic: routed },
    see: { gatewayApi: 'Forbidden' }, want: { shares: undefined, reason: 'GatewayApiMissing' } },
];

describe('trafficSeen returns', () => {
  for (const { name, spec, see, want } of rows) {
    it(name, () => {
      const model = given.model(spec);
      const sources = { model, entry: undefined, route: undefined, gatewayApi: 'Served', pods: new Map() } as const;
      const told = trafficSeen({ ...sources, ...see }, 2);
      if (want === undefined) assert.equal(told, undefined);
      else
        assert.deepEqual(
          {
            ...told,
            ...('problem' in want ? {} : { problem: undefined }),
            ...('reason' in want ? {} : { reason: undefined }),
          },
          { problem: undefined, reason: undefined, reverts: 2, ...want },
        );
    });
  }
});

const gateway = (
  listeners: NonNullable<NonNullable<Gateway['spec']>['listeners']>,
  addresses = ['10.0.0.7'],
): Gateway => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'public', namespace: 'ml' },
  spec: { listeners },
  status: { addresses: addresses.map((value) => ({ value })) },
});
const http = { name: 'http', port: 80, protocol: 'HTTP' };

describe('the address of a model with a route is', () => {
  // prettier-ignore
  const rows: readonly { name: string; traffic?: OnnxModelSpec['traffic'];
    gateway: Gateway | undefined; want: string | undefined }[] = [
    { name: 'the first hostname', traffic: { ...routed, hostnames: ['ranker.example.com', 'other.example.com'] },
      gateway: gateway([http]), want: 'http://ranker.example.com' },
    { name: 'a hostname even where the Gateway cannot be read',
      traffic: { ...routed, hostnames: ['ranker.example.com'] },
      gateway: undefined, want: 'http://ranker.example.com' },
    { name: 'the listener\'s hostname instead of a wildcard', traffic: { ...routed, hostnames: ['*.example.com'] },
      gateway: gateway([http]), want: 'http://10.0.0.7' },
    { name: 'the hostname of the listener', gateway: gateway(
        [{ ...http, hostname: 'models.example.com' }]), want: 'http://models.example.com' },
    { name: 'the address of the Gateway, with a port that is not the default',
      gateway: gateway([{ ...http, port: 8080 }]), want: 'http://10.0.0.7:8080' },
    { name: 'https where the listener accepts only https', traffic: { ...routed, hostnames: ['ranker.example.com'] },
      gateway: gateway([{ name: 'tls', port: 443, protocol: 'HTTPS' }]), want: 'https://ranker.example.com' },
    { name: 'the address of the listener that the route attaches to',
      traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public', sectionName: 'inner' }] },
      gateway: gateway([http, { name: 'inner', port: 8081, protocol: 'HTTP' }]), want: 'http://10.0.0.7:8081' },
    { name: 'an IPv6 address in brackets', gateway: gateway([http], ['fd00::7']), want: 'http://[fd00::7]' },
    { name: 'unknown while the Gateway has no address', gateway: gateway([http], []), want: undefined },
    { name: 'unknown without hostname and Gateway', gateway: undefined, want: undefined },
  ];
  for (const { name, traffic = routed, gateway: found, want } of rows) {
    it(name, () =>
      assert.equal(
        routerOf(traffic).url(given.model({ traffic }), {
          entry: undefined,
          style: 'DNS',
          gatewayOf: ({ namespace, name: asked }) => (namespace === 'ml' && asked === 'public' ? found : undefined),
        }),
        want,
      ),
    );
  }
});

describe('the address of a model that is shared by pods', () => {
  const urlOf = (entry: Service | undefined, style: 'DNS' | 'ClusterIP'): string | undefined =>
    routerOf().url(given.model(), { entry, style, gatewayOf: () => undefined });

  it('gives the DNS name of the entry Service', () =>
    assert.equal(urlOf(undefined, 'DNS'), 'http://ranker.ml.svc:8080'));
  it('gives the IP address of the entry Service once it has one', () => {
    assert.equal(urlOf(undefined, 'ClusterIP'), undefined);
    assert.equal(urlOf({ ...alone, spec: { clusterIP: '10.1.2.3' } }, 'ClusterIP'), 'http://10.1.2.3:8080');
  });
});
