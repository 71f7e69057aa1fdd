import assert from 'node:assert/strict';
import { attach, commonHostnames, resolveRefs } from '../../../../local/gateway/attach.ts';
import type {
  BackendRef,
  StoredGateway,
  StoredHttpRoute,
  Listener,
  RouteParentRef,
} from '../../../../local/gateway/resources.ts';
import type { StoredService } from '../../../../local/workloads/resources.ts';

const meta = (name: string, namespace = 'ml') => ({
  name,
  namespace,
  uid: name,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
});
const listener = (more: Partial<Listener> = {}): Listener => ({
  name: 'http',
  port: 80,
  allowedRoutes: { namespaces: { from: 'Same' } },
  ...more,
});
const gateway = (...listeners: readonly Listener[]): StoredGateway => ({
  apiVersion: 'g/v1',
  kind: 'Gateway',
  metadata: meta('public'),
  spec: { gatewayClassName: 'local', listeners },
});
const route = (
  hostnames: readonly string[] = [],
  namespace = 'ml',
  backendRefs: readonly BackendRef[] = [],
): StoredHttpRoute => ({
  apiVersion: 'g/v1',
  kind: 'HTTPRoute',
  metadata: meta('r', namespace),
  spec: { hostnames, rules: [{ backendRefs }] },
});
const parent = (more: Partial<RouteParentRef> = {}): RouteParentRef => ({
  group: 'gateway.networking.k8s.io',
  kind: 'Gateway',
  name: 'public',
  ...more,
});

describe('attach', () => {
  const two = gateway(listener(), listener({ name: 'alt', port: 8080 }));
  // prettier-ignore
  const rows: readonly { name: string; result: ReturnType<typeof attach>;
    reason: string; listeners: readonly string[] }[] = [
    { name: 'attaches to all listeners when no section is named', result: attach(route(), parent(), two),
      reason: 'Accepted', listeners: ['http', 'alt'] },
    { name: 'attaches to the named listener', result: attach(route(),
        parent({ sectionName: 'alt' }), two), reason: 'Accepted', listeners: ['alt'] },
    { name: 'attaches to the listener of the port', result: attach(route(), parent({ port: 80 }), two),
      reason: 'Accepted', listeners: ['http'] },
    { name: 'refuses a missing listener',
      result: attach(route(), parent({ sectionName: 'tls' }), two), reason: 'NoMatchingParent', listeners: [] },
    { name: 'refuses another namespace', result: attach(route([], 'shop'),
        parent(), two), reason: 'NotAllowedByListeners', listeners: [] },
    { name: 'accepts every namespace when the listener allows it',
      result: attach(route([], 'shop'), parent(),
        gateway(listener({ allowedRoutes: { namespaces: {
        from: 'All' } } }))), reason: 'Accepted', listeners: ['http'] },
    { name: 'refuses hostnames that match no listener',
      result: attach(route(['a.org']), parent(), gateway(listener({ hostname: '*.com' }))),
      reason: 'NoMatchingListenerHostname', listeners: [] },
  ];
  for (const { name, result, reason, listeners } of rows) {
    it(name, () =>
      assert.deepEqual(
        [result.accepted.reason, result.accepted.ok, result.listeners.map((one) => one.name)],
        [reason, reason === 'Accepted', listeners],
      ),
    );
  }
});

describe('commonHostnames', () => {
  const rows: readonly [
    name: string,
    listener: string | undefined,
    route: readonly string[],
    want: readonly string[] | undefined,
  ][] = [
    ['is every host when neither has hostnames', undefined, [], undefined],
    ["is the listener's when the route has no hostnames", 'a.com', [], ['a.com']],
    ["is the route's when the listener has no hostname", undefined, ['a.com', 'b.com'], ['a.com', 'b.com']],
    ['is the narrower of the two', '*.com', ['a.com', 'b.org'], ['a.com']],
    ["is the listener's under a wildcard of the route", 'a.b.com', ['*.com'], ['a.b.com']],
    ['is empty when they do not intersect', 'a.com', ['b.com'], []],
  ];
  for (const [name, listenerHost, hostnames, want] of rows)
    it(name, () => assert.deepEqual(commonHostnames(listenerHost, hostnames), want));
});

describe('resolveRefs', () => {
  const service = { metadata: meta('s'), spec: { ports: [{ port: 80 }] } } as unknown as StoredService;
  const look = (namespace: string, name: string): StoredService | undefined =>
    namespace === 'ml' && name === 's' ? service : undefined;
  const ref = (more: Partial<BackendRef> = {}): BackendRef => ({
    group: '',
    kind: 'Service',
    name: 's',
    port: 80,
    weight: 1,
    ...more,
  });
  const rows: readonly [name: string, ref: BackendRef, reason: string][] = [
    ['finds a Service', ref(), 'ResolvedRefs'],
    ['misses a Service', ref({ name: 'gone' }), 'BackendNotFound'],
    ['misses a port', ref({ port: 81 }), 'BackendNotFound'],
    ['refuses other kinds', ref({ group: 'x', kind: 'Bucket' }), 'InvalidKind'],
    ['refuses other namespaces', ref({ namespace: 'shop' }), 'RefNotPermitted'],
  ];
  for (const [name, one, reason] of rows)
    it(name, () => assert.equal(resolveRefs(route([], 'ml', [one]), look).reason, reason));
});
