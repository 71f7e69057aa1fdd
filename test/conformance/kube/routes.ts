/**
 * What the operator relies on in the Gateway API's kinds: defaults, bounds, and the owner of the weights. The kinds are
 * not part of Kubernetes, so this chapter installs their definitions on a server that does not have them.
 */
import assert from 'node:assert/strict';
import type { Answer, Json } from './api.ts';
import { installGatewayApi } from './gateway-api.ts';
import { ownedBy, refused, ok, type World } from './world.ts';

const apiVersion = 'gateway.networking.k8s.io/v1';

export function routeChapter(here: () => World): void {
  const path = (name?: string): string =>
    `/apis/${apiVersion}/namespaces/${here().namespace}/httproutes${name === undefined ? '' : `/${name}`}`;
  const route = (name: string, spec: Json): Json => ({ apiVersion, kind: 'HTTPRoute', metadata: { name }, spec });
  const create = (name: string, spec: Json): Promise<Answer> =>
    here().api.post(`${path()}?fieldValidation=Strict`, route(name, spec));
  const apply = (name: string, manager: string, spec: Json, query = ''): Promise<Answer> =>
    here().api.patch(`${path(name)}?fieldManager=${manager}${query}`, 'apply', route(name, spec));
  const weighted = (stable: number, candidate: number): Json => ({
    parentRefs: [{ name: 'public' }],
    rules: [
      {
        backendRefs: [
          { name: 'm-a', port: 8080, weight: stable },
          { name: 'm-b', port: 8080, weight: candidate },
        ],
      },
    ],
  });

  describe('HTTPRoutes', () => {
    let takeAway = async (): Promise<void> => {};
    before(async () => {
      takeAway = await installGatewayApi(here().api, 'whole');
    });
    after(() => takeAway());

    it('get the defaults that a comparison must allow for', async () => {
      const made = ok(
        await create('r-defaults', {
          parentRefs: [{ name: 'public' }],
          rules: [{ backendRefs: [{ name: 'm-a', port: 8080 }] }],
        }),
        201,
      );
      assert.deepEqual(made.spec, {
        parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'public' }],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [{ group: '', kind: 'Service', name: 'm-a', port: 8080, weight: 1 }],
          },
        ],
      });
      assert.equal(made.metadata.generation, 1);
    });

    it('keep both weights as given, also 0', async () => {
      const made = ok(await create('r-weights', weighted(100, 0)), 201);
      assert.deepEqual(
        made.spec.rules[0].backendRefs.map((ref: Json) => ref.weight),
        [100, 0],
      );
    });

    const wrong: readonly (readonly [name: string, spec: Json, field: string])[] = [
      ['a weight below 0', weighted(100, -1), 'spec.rules[0].backendRefs[1].weight'],
      ['a weight that is too large', weighted(1_000_001, 0), 'spec.rules[0].backendRefs[0].weight'],
      ['a Service without a port', { rules: [{ backendRefs: [{ name: 'm-a' }] }] }, 'spec.rules[0].backendRefs[0]'],
      ['an invalid hostname', { hostnames: ['Not_A.Host'] }, 'spec.hostnames[0]'],
      [
        'a path without a leading slash',
        { rules: [{ matches: [{ path: { value: 'v2' } }] }] },
        'spec.rules[0].matches[0].path',
      ],
      ['a parent without a name', { parentRefs: [{ namespace: 'edge' }] }, 'spec.parentRefs[0].name'],
      ['no rule at all', { rules: [] }, 'spec.rules'],
    ];
    for (const [index, [name, spec, field]] of wrong.entries()) {
      it(`are refused with ${name}`, async () => {
        const status = refused(await create(`r-wrong-${index}`, spec), 422, 'Invalid');
        assert.ok(
          status.details.causes.some((cause: Json) => cause.field === field),
          JSON.stringify(status.details.causes),
        );
      });
    }

    it('are refused with an unknown field', async () => {
      refused(await create('r-unknown', { ...weighted(95, 5), router: 'x' }), 400, 'BadRequest');
    });

    it('have rules of one owner: another must force its apply', async () => {
      ok(await apply('r-owned', 'one', weighted(95, 5)), 201);
      const { details } = refused(await apply('r-owned', 'two', weighted(0, 100)), 409, 'Conflict');
      assert.deepEqual(
        details.causes.map((cause: Json) => cause.field),
        ['.spec.parentRefs', '.spec.rules'],
      );
      const taken = ok(await apply('r-owned', 'two', weighted(0, 100), '&force=true'));
      assert.deepEqual(
        taken.spec.rules[0].backendRefs.map((ref: Json) => ref.weight),
        [0, 100],
      );
      assert.equal(ownedBy(taken, 'one'), undefined);
    });

    it('get a new generation with the weights, and not with the status', async () => {
      const made = ok(await apply('r-generation', 'one', weighted(100, 0)), 201);
      const moved = ok(await apply('r-generation', 'one', weighted(95, 5)));
      assert.deepEqual([made.metadata.generation, moved.metadata.generation], [1, 2]);
      const conditions = [
        {
          type: 'Accepted',
          status: 'True',
          reason: 'Accepted',
          message: '',
          observedGeneration: 2,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ];
      const told = ok(
        await here().api.put(`${path('r-generation')}/status`, {
          ...moved,
          status: { parents: [{ parentRef: { name: 'public' }, controllerName: 'example.com/gateways', conditions }] },
        }),
      );
      assert.equal(told.metadata.generation, 2);
      assert.deepEqual(told.status.parents[0].parentRef, {
        group: 'gateway.networking.k8s.io',
        kind: 'Gateway',
        name: 'public',
      });
      assert.equal(told.status.parents[0].conditions[0].observedGeneration, 2);
    });

    it('write nothing when they are applied unchanged', async () => {
      const made = ok(await apply('r-quiet', 'one', weighted(95, 5)), 201);
      assert.equal(
        ok(await apply('r-quiet', 'one', weighted(95, 5))).metadata.resourceVersion,
        made.metadata.resourceVersion,
      );
    });
  });

  describe('a mark on a pod', () => {
    const pod = (name: string): string => here().path('v1', 'pods', name);
    const mark = (name: string, metadata: Json): Promise<Answer> =>
      here().api.patch(`${pod(name)}?fieldManager=marks&force=true`, 'apply', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, ...metadata },
      });
    const label = { 'example.com/serving': 'true' };

    it('is set and removed by its own manager, and leaves other labels alone', async () => {
      const made = ok(
        await here().api.post(here().path('v1', 'pods'), {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'marked', labels: { app: 'x' } },
          spec: { containers: [{ name: 'c', image: 'x' }] },
        }),
        201,
      );
      const { uid } = made.metadata;
      assert.deepEqual(ok(await mark('marked', { uid, labels: label })).metadata.labels, { app: 'x', ...label });
      assert.deepEqual(ok(await mark('marked', { uid })).metadata.labels, { app: 'x' });
    });

    it('does not create a deleted pod again, or mark another pod of its name', async () => {
      refused(
        await mark('never-there', { uid: '11111111-2222-3333-4444-555555555555', labels: label }),
        409,
        'Conflict',
      );
      const namesake = refused(
        await mark('marked', { uid: '11111111-2222-3333-4444-555555555555', labels: label }),
        422,
        'Invalid',
      );
      assert.equal(namesake.details.causes[0].field, 'metadata.uid');
    });
  });
}
