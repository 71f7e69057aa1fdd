/**
 * The contract of every router (a way to share traffic between revisions: by pods or by an HTTPRoute): it writes
 * objects for a decision, and reads the decided shares back from these objects.
 */
import assert from 'node:assert/strict';
import { labels } from '../../../../api/names.ts';
import { routerNames, type RouterName } from '../../../../api/routers.ts';
import type { HttpRoute, Pod, Service } from '../../../../kube/kinds.ts';
import { desiredState } from '../../../../operator/reconcile/desired-state.ts';
import { sharingOf } from '../../../../operator/rollout/sharing.ts';
import type { Decision, Revision } from '../../../../operator/rollout/state.ts';
import { servingValue } from '../../../../operator/resources/services.ts';
import type { TrafficSources } from '../../../../operator/traffic/port.ts';
import { isRouterKind, routerOf } from '../../../../operator/traffic/router.ts';
import { given } from '../../../support/given.ts';

const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const rest: Decision = {
  next: { phase: 'Stable', stable: a },
  serve: a,
  run: [
    { revision: a, replicas: 1 },
    { revision: b, replicas: 1 },
  ],
  reason: 'UpToDate',
  message: '',
};
const shared: Decision = { ...rest, canary: { revision: b, weight: 50 } };

function modelWith(router: RouterName) {
  return given.model({ traffic: { router, parentRefs: [{ name: 'public' }] } });
}

function pod(revision: Revision, isMarked: boolean): Pod {
  const mark = isMarked ? { [labels.serving]: servingValue } : {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: revision, namespace: 'ml', labels: { [labels.revision]: revision, ...mark } },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** A cluster in which the decision is applied, all controllers have processed it, and each revision has a ready pod. */
function clusterAfter(router: RouterName, decision: Decision): TrafficSources {
  const model = modelWith(router);
  const manifests = desiredState(model, decision, new Map([a, b].map((revision) => [revision, given.record(model)])));
  const marked = routerOf({ router }).marked(decision);
  const route = manifests.find(({ kind }) => isRouterKind(kind)) as unknown as HttpRoute | undefined;
  const accepted = ['Accepted', 'ResolvedRefs'].map((type) => ({ type, status: 'True', observedGeneration: 1 }));
  const status = { parents: (route?.spec?.parentRefs ?? []).map((parentRef) => ({ parentRef, conditions: accepted })) };
  return {
    model,
    entry: manifests.find(
      ({ kind, metadata }) => kind === 'Service' && metadata.name === 'ranker',
    ) as unknown as Service,
    route: route === undefined ? undefined : { ...route, metadata: { ...route.metadata, generation: 1 }, status },
    gatewayApi: 'Served',
    pods: new Map([a, b].map((revision) => [revision, [pod(revision, marked.includes(revision))]])),
  };
}

for (const router of routerNames) {
  describe(`the router ${router}`, () => {
    const [port, sharing] = [routerOf({ router }), sharingOf({ router })];

    it('gives everything to the revision that serves alone', () => {
      const shares = port.shares(clusterAfter(router, rest))?.shares;
      assert.deepEqual([shares, sharing.hasAll(shares?.[a])], [{ [a]: 100 }, true]);
    });

    it('gives two revisions shares that the rules accept for the weight', () => {
      const shares = port.shares(clusterAfter(router, shared))?.shares;
      const ready = { candidate: 1, stable: 1 };
      assert.deepEqual(shares, { [a]: 50, [b]: 50 });
      assert.equal(sharing.isTaken({ share: shares?.[b] ?? 0, weight: 50, ready }), true);
      assert.equal(sharing.isNear(shares?.[b] ?? 0, 50), true);
      assert.equal(sharing.partOf(50, ready), 0.5);
    });

    it('does not report a share for the candidate before it shares the traffic', () => {
      const share = port.shares(clusterAfter(router, rest))?.shares?.[b] ?? 0;
      assert.equal(sharing.isTaken({ share, weight: 50, ready: { candidate: 1, stable: 1 } }), false);
      assert.equal(sharing.isNear(share, 50), false);
      assert.equal(sharing.isAbove(share, 0), false);
    });

    it('writes the entry Service and its own kinds, all with the name of the model', () => {
      for (const decision of [rest, shared]) {
        const { serve } = decision;
        assert.ok(serve);
        const manifests = port.manifests(modelWith(router), { ...decision, serve }, [a, b]);
        assert.deepEqual(manifests.map(({ kind }) => kind).sort(), ['Service', ...port.kinds].sort());
        assert.deepEqual([...new Set(manifests.map(({ metadata }) => metadata.name))], ['ranker']);
      }
    });

    it('marks no pod while one revision serves alone', () => assert.deepEqual(port.marked(rest), []));

    it('reports no shares before it has written an object', () => {
      const empty = { model: modelWith(router), entry: undefined, route: undefined, pods: new Map() };
      assert.equal(port.shares({ ...empty, gatewayApi: 'Served' }), undefined);
    });

    it('can write its kinds when the cluster serves the Gateway API', () =>
      assert.equal(port.isWritable('Served'), true));

    it('sees no outage while a revision has all the traffic', () => {
      const facts = port.shares(clusterAfter(router, rest));
      assert.equal(port.outage(facts && { ...facts, reverts: 0 }), undefined);
    });

    it('gives the address, or undefined while there is no address', () => {
      const sources = { entry: undefined, style: 'DNS', gatewayOf: () => undefined } as const;
      const url = port.url(
        given.model({ traffic: { router, hostnames: ['ranker.example.com'], parentRefs: [{ name: 'x' }] } }),
        sources,
      );
      assert.match(url ?? '', /^http:\/\/ranker\./);
    });
  });
}

describe('the kinds of the routers', () => {
  it('belong to one router each', () => {
    const kinds = routerNames.flatMap((router) => routerOf({ router }).kinds);
    assert.deepEqual(kinds, [...new Set(kinds)]);
  });
});
