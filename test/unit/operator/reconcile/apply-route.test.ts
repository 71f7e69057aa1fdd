/**
 * How a pass (one run of the operator for a model) writes the HTTPRoute, reverts changes of other writers and deletes
 * the route, and the condition RouteReady.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { apply, type Applied } from '../../../../operator/reconcile/apply.ts';
import { claimsOf } from '../../../../operator/reconcile/conditions.ts';
import type { HttpRoute } from '../../../../kube/kinds.ts';
import { observe } from '../../../../operator/see/observe.ts';
import type { Caches, Observed } from '../../../../operator/see/seen.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';
import { keptManifest } from '../../../../operator/gates/kept-map.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import type { TypePresence } from '../../../../kube/cache/optional-watch.ts';
import { RecentWrites } from '../../../../operator/reconcile/recent-writes.ts';
import { desiredState } from '../../../../operator/reconcile/desired-state.ts';
import type { Decision, TrafficSeen } from '../../../../operator/rollout/state.ts';
import { TrafficMemory } from '../../../../operator/traffic/traffic-memory.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { operatorOf, operatorSettings } from '../../../support/operator-of.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const routed: Partial<OnnxModelSpec> = { traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }] } };
const rest: Decision = {
  next: { phase: 'Stable', stable: a },
  serve: a,
  run: [{ revision: a, replicas: 1 }],
  reason: 'UpToDate',
  message: '',
};
const share = (weight: number): Decision => ({
  ...rest,
  run: [...rest.run, { revision: b, replicas: 1 }],
  canary: { revision: b, weight },
});

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  readonly traffic = new TrafficMemory();
  readonly #recent = new RecentWrites();
  gatewayApi: TypePresence = 'Served';

  constructor(spec: Partial<OnnxModelSpec> = routed) {
    this.cluster.put(given.spec(spec));
  }

  /** Further manifests of a pass. */
  more: (seen: Observed) => readonly Manifest[] = () => [];

  async pass(decision: Decision): Promise<Applied> {
    const caches: Caches = { ...this.cluster.caches, gatewayApi: this.gatewayApi };
    const seen = observe('ml/ranker', caches, operatorSettings);
    assert.ok(seen);
    await this.clock.advance(6_000);
    const hands = {
      client: this.cluster.client,
      call: {},
      recent: this.#recent,
      traffic: this.traffic,
      clock: this.clock,
    };
    const manifests = [...desiredState(seen.model, decision, new Map()), ...this.more(seen)];
    return apply(hands, seen, { decision, manifests });
  }

  get route(): HttpRoute | undefined {
    return this.cluster.of<HttpRoute>('HTTPRoute')[0];
  }

  get weights(): readonly (number | undefined)[] {
    return (this.route?.spec?.rules?.[0]?.backendRefs ?? []).map(({ weight }) => weight);
  }

  /** Another writer changes the weights and keeps the applied hash, like `kubectl edit`. */
  edit(weights: readonly number[]): void {
    const route = this.route;
    assert.ok(route);
    const backendRefs = (route.spec?.rules?.[0]?.backendRefs ?? []).map((ref, index) => ({
      ...ref,
      weight: weights[index],
    }));
    const metadata = { ...route.metadata, resourceVersion: `${route.metadata.resourceVersion ?? ''}0` };
    this.cluster.objects.set('HTTPRoute/ranker', {
      ...route,
      metadata,
      spec: { ...route.spec, rules: [{ backendRefs }] },
    });
  }
}

describe('a pass with router HTTPRoute', () => {
  it('writes the decided weights once', async () => {
    const stage = new Stage();
    await stage.pass(rest);
    assert.deepEqual(stage.weights, [100]);
    await stage.pass(share(5));
    assert.deepEqual(stage.weights, [95, 5]);
    const before = stage.cluster.writes.length;
    const { reverted } = await stage.pass(share(5));
    assert.deepEqual([stage.cluster.writes.length, reverted], [before, undefined]);
  });

  it('keeps the stable revision as the selector of the entry Service', async () => {
    const stage = new Stage();
    await stage.pass(rest);
    await stage.pass(share(50));
    assert.equal(stage.cluster.routed, a);
    assert.deepEqual(stage.cluster.writes.filter((what) => what === 'apply Service/ranker').length, 1);
  });

  it("reverts another writer's weights and counts the reverts", async () => {
    const stage = new Stage();
    await stage.pass(share(5));
    for (const times of [1, 2, 3]) {
      stage.edit([0, 100]);
      assert.equal((await stage.pass(share(5))).reverted, 'HTTPRoute ranker');
      assert.deepEqual([stage.weights, stage.traffic.reverts(stage.clock.monotonic())], [[95, 5], times]);
    }
  });

  it('announces each change of weights by another writer once, as WeightDrift', async () => {
    const stage = new Stage();
    const said: string[] = [];
    const reconciler = operatorOf(stage.cluster, { announce: (_model, { reason }) => said.push(reason) });
    const passes = async (seconds: number): Promise<void> => {
      for (let s = 0; s < seconds; s += 5) {
        stage.cluster.tick();
        await reconciler.reconcile('ml/ranker');
        await stage.clock.advance(5_000);
      }
    };
    await passes(120);
    assert.deepEqual(said.slice(-1), ['UpToDate']);
    stage.edit([0]);
    await passes(30);
    assert.deepEqual(said.slice(-1), ['WeightDrift']);
    assert.deepEqual(stage.weights, [100]);
  });

  it('does not count its own next weight as a change by another writer', async () => {
    const stage = new Stage();
    for (const weight of [5, 20, 60, 20]) assert.equal((await stage.pass(share(weight))).reverted, undefined);
    assert.equal(stage.traffic.reverts(stage.clock.monotonic()), 0);
  });

  it('writes all objects except the route in a cluster without HTTPRoutes', async () => {
    const stage = new Stage();
    stage.gatewayApi = 'Missing';
    const { error } = await stage.pass(rest);
    assert.deepEqual([error, stage.route, stage.cluster.routed], [undefined, undefined, a]);
  });

  it('deletes the route when the spec does not ask for it any more', async () => {
    const stage = new Stage();
    await stage.pass(rest);
    const route = stage.route;
    assert.ok(route);
    stage.cluster.put(given.spec());
    await stage.pass(rest);
    assert.equal(stage.route, undefined);
  });
});

describe('RouteReady', () => {
  // prettier-ignore
  const rows: readonly { name: string; router?: 'HTTPRoute'; decision: Decision;
    traffic: Omit<TrafficSeen, 'reverts'> | undefined; want: string }[] = [
    { name: 'is False before a revision serves', decision: rest, traffic: undefined,
      want: 'False RouteMoving: the entry Service does not exist yet' },
    { name: 'is True when the entry Service selects the decided revision', decision: rest,
      traffic: { shares: { [a]: 100 } }, want: `True Selected: the entry Service sends 100% to ${a}` },
    { name: 'is False while another revision has traffic', decision: rest, traffic: { shares: { [b]: 100 } },
      want: `False RouteMoving: traffic is moving to the decided shares; currently: 100% to ${b}` },
    { name: 'is True with any share by pods', decision: share(5), traffic: { shares: { [a]: 75, [b]: 25 } },
      want: `True Shared: the entry Service sends 75% to ${a}, 25% to ${b}` },
    { name: 'is True with the exact weight of a route', router: 'HTTPRoute', decision: share(5),
      traffic: { shares: { [a]: 95, [b]: 5 } }, want: `True Shared: the HTTPRoute sends 95% to ${a}, 5% to ${b}` },
    { name: 'is False with another weight of a route', router: 'HTTPRoute',
      decision: share(5), traffic: { shares: { [a]: 75, [b]: 25 } },
      want: `False RouteMoving: traffic is moving to the decided shares; currently: 75% to ${a}, 25% to ${b}` },
    { name: 'names what to install', router: 'HTTPRoute', decision: rest,
      traffic: { shares: undefined, reason: 'GatewayApiMissing',
        problem: 'install it' }, want: 'False GatewayApiMissing: install it' },
    { name: 'contains the reason why a route was not accepted', router: 'HTTPRoute', decision: rest,
      traffic: { shares: undefined, reason: 'RouteNotAccepted',
        problem: 'no such listener' }, want: 'False RouteNotAccepted: no such listener' },
  ];
  for (const { name, router, decision, traffic, want } of rows) {
    it(name, () => {
      const seen = observe('ml/ranker', new Stage(router === undefined ? {} : routed).cluster.caches, operatorSettings);
      assert.ok(seen);
      const claims = claimsOf({
        decision,
        seen: { ...seen.rollout, ...(traffic === undefined ? {} : { traffic: { ...traffic, reverts: 0 } }) },
        plan: seen.plan,
        record: undefined,
        reports: [],
      });
      const claim = claims.find(({ type }) => type === 'RouteReady');
      assert.equal(`${claim?.status} ${claim?.reason}: ${claim?.message}`, want);
    });
  }
});

describe('a refused ledger of the gates', () => {
  it('does not hold up the traffic', async () => {
    const stage = new Stage();
    stage.more = (seen) => [keptManifest(seen, { text: 'x', window: 1, atMs: 0 })];
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('apply ConfigMap/'))
        throw statusError({ status: 403, reason: 'Forbidden', message: 'exceeded quota: configmaps' });
    };
    const applied = await stage.pass(share(5));
    assert.match(applied.failure?.trouble.message ?? '', /cannot apply ConfigMap ranker-gates/);
    assert.ok(stage.cluster.objects.has('HTTPRoute/ranker'));
  });
});
