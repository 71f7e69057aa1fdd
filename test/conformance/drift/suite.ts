/**
 * The drift walk: another writer changes every field of every child of a model at rest, one after the other. A child is
 * an object that the operator makes for a model. A model is at rest when no rollout is in progress.
 * Owns: the expectations after each change. The operator restores its own fields, and fields that serving depends on,
 * with at most four writes. Other changes stay and cause one write at most. Then the operator writes nothing. A change
 * that the API server refuses is skipped.
 */
import assert from 'node:assert/strict';
import { canonicalJson } from '../../../lib/canonical-json.ts';
import { eventually } from '../../support/eventually.ts';
import type { Json } from '../kube/api.ts';
import { installGatewayApi, type GatewayApi } from '../kube/gateway-api.ts';
import { additionsTo, changesOf, type Change } from './changes.ts';
import { GatewayPart } from './gateway.ts';
import { DriftWorld } from './world.ts';

const spec = {
  model: { uri: 'https://models.example/m.onnx' },
  memory: { limit: '512Mi' },
  resources: { requests: { cpu: '100m' }, limits: { cpu: '1.0005' } },
  template: {
    metadata: { labels: { tier: 'gold' } },
    spec: {
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'a', operator: 'Equal', value: 'b', effect: 'NoSchedule' }],
      affinity: {
        nodeAffinity: null,
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 1,
              podAffinityTerm: {
                topologyKey: 'kubernetes.io/hostname',
                labelSelector: { matchLabels: { tier: 'gold' } },
              },
            },
          ],
        },
      },
    },
  },
};

/** A model behind a Gateway. */
const routedSpec = {
  model: spec.model,
  memory: spec.memory,
  traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }], hostnames: ['routed.example.com'] },
};
/**
 * A model in a rollout that pauses with a weight of 20 % until a user approves. The spec has no hostnames, so any
 * hostnames in the route come from another writer.
 */
const sharingSpec = {
  model: spec.model,
  memory: spec.memory,
  traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }] },
  rollout: { strategy: 'Canary', steps: [{ weight: 20 }, { pause: {} }] },
};

/** Time limit for the operator to see and restore a change; a busy machine needs several seconds. */
const patienceMs = 20_000;

/** A child to change. `name` derives the object's name from the revision of the model at rest. */
type Child = {
  readonly title: string;
  readonly api: string;
  readonly plural: string;
  readonly name: (revision: string) => string;
};

const children: readonly Child[] = [
  { title: 'the entry Service', api: 'v1', plural: 'services', name: () => 'walk' },
  { title: "a revision's Service", api: 'v1', plural: 'services', name: (revision) => `walk-${revision}` },
  { title: 'a Deployment', api: 'apps/v1', plural: 'deployments', name: (revision) => `walk-${revision}` },
  { title: 'a ConfigMap', api: 'v1', plural: 'configmaps', name: (revision) => `walk-${revision}` },
  {
    title: 'a ControllerRevision',
    api: 'apps/v1',
    plural: 'controllerrevisions',
    name: (revision) => `walk-${revision}`,
  },
  { title: 'an HTTPRoute', api: 'gateway.networking.k8s.io/v1', plural: 'httproutes', name: () => 'routed' },
];

export type Walk = {
  /** 1: make every change to the operator's fields; n: make only every nth change. */
  readonly every: number;
  /** The operator is at rest when it has written nothing for this long, in milliseconds. */
  readonly quietMs: number;
  /** Which definitions of the Gateway API to install when the server does not have them. */
  readonly gatewayApi: GatewayApi;
  /** Checks that the operator writes nothing for this long after the walk, in milliseconds; absent: no check. */
  readonly quietAfterMs?: number;
};

/**
 * @param open finds or starts the server. It returns the text of a kubeconfig, and `close`, which ends what `open`
 * started
 */
export function driftSuite(
  name: string,
  open: () => Promise<{ readonly kubeconfig: string; readonly close: () => Promise<void> }>,
  walk: Walk,
): void {
  describe(`drift of children on ${name}`, function () {
    this.timeout(600_000);
    let world: DriftWorld;
    let gateway: GatewayPart;
    let close: () => Promise<void>;
    let revision: string;
    let walked = 0;

    before(async () => {
      const server = await open();
      close = server.close;
      world = new DriftWorld(server.kubeconfig, walk.quietMs);
      await world.open(() => installGatewayApi(world.api, walk.gatewayApi));
      gateway = new GatewayPart(world.api, world.namespace, 'public');
      await gateway.open();
      revision = await world.serve('walk', spec);
      await world.serve('routed', routedSpec);
    });
    after(async () => {
      await gateway?.close();
      await world?.close();
      await close?.();
    });

    const pathOf = (title: string): string => {
      const child =
        children.find((one) => one.title === title) ?? assert.fail(`the model does not have a child ${title}`);
      return world.path(child.api, child.plural, child.name(revision));
    };

    it('needs one write at most for quantities that are rounded and for nulls, then none', async () => {
      const from = world.writes.length;
      await world.quiet(1_500);
      assert.deepEqual(world.writes.slice(from), []);
    });

    it('stores a template with explicit defaults as one without: no pod of an older revision is replaced', async () => {
      const live = (await world.api.get(pathOf('a Deployment'))).body;
      const frozen = (await world.api.get(pathOf('a ControllerRevision'))).body.data.template;
      const path = world.path('apps/v1', 'deployments', 'older');
      const { hostNetwork: _, ...bare } = frozen.spec;
      const object = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'older' },
        spec: { replicas: 0, selector: live.spec.selector, template: { metadata: frozen.metadata, spec: bare } },
      };
      const made = await world.api.patch(`${path}?fieldManager=older&force=true`, 'apply', object);
      assert.ok(made.status < 300, made.text);
      assert.equal(canonicalJson(made.body.spec.template), canonicalJson(live.spec.template));
      await world.api.delete(path);
    });

    for (const { title } of children) {
      it(`of ${title} is restored, or stays, and then there are no writes`, async () => {
        const path = pathOf(title);
        const live = (await world.api.get(path)).body;
        const changes = [...additionsTo(live), ...changesOf(live).filter((_, i) => i % walk.every === 0)];
        const tried: Tried[] = [];
        for (const change of changes) tried.push(await tryOne(world, path, change));
        assert.deepEqual(
          tried.flatMap(({ problems }) => problems),
          [],
        );
        const made = tried.filter(({ isMade }) => isMade).length;
        assert.ok(
          made > changes.length / 3,
          `only ${made} of ${changes.length} changes were accepted by the server, too few for a result`,
        );
        walked += made;
        await world.quiet(500);
        for (const model of ['walk', 'routed'])
          assert.equal((await world.condition(model, 'RouteReady')).status, 'True', model);
      });
    }

    it('of the weights of a rollout is restored, and the third time the rollout pauses', async () => {
      const stable = await world.serve('sharing', sharingSpec);
      await world.ask('sharing', { ...sharingSpec, model: { uri: 'https://models.example/next.onnx' } });
      const candidate = await world.bringUp('sharing', (status) => status.candidate?.revision as string | undefined);
      const rollout = async (): Promise<Json> => (await world.model('sharing')).status.rollout;
      await eventually('the first step', async () => (await rollout()).actualWeight === 20, patienceMs);
      await world.quiet();
      const path = world.path('gateway.networking.k8s.io/v1', 'httproutes', 'sharing');
      const { backendRefs } = (await world.api.get(path)).body.spec.rules[0];
      assert.deepEqual(
        backendRefs.map((ref: Json) => [ref.name, ref.weight]),
        [
          [`sharing-${stable}`, 80],
          [`sharing-${candidate}`, 20],
        ],
      );

      const swapped = backendRefs.map((ref: Json) => ({
        op: 'replace',
        path: `/spec/rules/0/backendRefs/${backendRefs.indexOf(ref)}/weight`,
        value: 100 - ref.weight,
      }));
      const hosts = [{ op: 'add', path: '/spec/hostnames', value: ['other.example.com'] }];
      const nothingWrong = { isMade: true, problems: [] };
      assert.deepEqual(
        await tryOne(world, path, { name: 'the weights swapped', patch: swapped, fate: 'ours' }),
        nothingWrong,
      );
      assert.deepEqual(
        await tryOne(world, path, { name: 'hostnames of another writer', patch: hosts, fate: 'ours' }),
        nothingWrong,
      );
      assert.deepEqual([(await world.model('sharing')).status.phase, (await rollout()).actualWeight], ['Paused', 20]);
      assert.notEqual((await rollout()).reason, 'WeightConflict');

      const gone = [{ op: 'remove', path: '/spec/rules/0/backendRefs/1' }];
      assert.deepEqual(
        await tryOne(world, path, { name: 'without the candidate', patch: gone, fate: 'ours' }),
        nothingWrong,
      );
      await eventually('the pause', async () => (await rollout()).reason === 'WeightConflict', patienceMs);
      assert.equal((await rollout()).actualWeight, 20);
    });

    if (walk.quietAfterMs !== undefined) {
      const quietMs = walk.quietAfterMs;
      it(`is followed by ${quietMs / 1_000} s without any write`, async () => {
        await world.quiet(1_000);
        const from = world.writes.length;
        const versions = await Promise.all(children.map(({ title }) => versionOf(world, pathOf(title))));
        await world.quiet(quietMs, 2 * quietMs);
        assert.deepEqual(world.writes.slice(from), [], `after ${walked} changes`);
        assert.deepEqual(await Promise.all(children.map(({ title }) => versionOf(world, pathOf(title)))), versions);
      });
    }
  });
}

async function versionOf(world: DriftWorld, path: string): Promise<string> {
  return (await world.api.get(path)).body.metadata.resourceVersion as string;
}

/** The result of one change. `isMade`: the server accepted the change and the object became different. */
type Tried = { readonly isMade: boolean; readonly problems: readonly string[] };

async function tryOne(world: DriftWorld, path: string, change: Change): Promise<Tried> {
  const before = (await world.api.get(path)).body;
  const from = world.writes.length;
  const changed = await world.change(path, change.patch);
  if (changed.status >= 300) return { isMade: false, problems: [] };
  const writes = (): readonly string[] => world.writes.slice(from).filter((what) => !what.startsWith('status '));
  const wanted = change.fate === 'ours' ? before : changed.body;
  const problems: string[] = [];
  try {
    await eventually(
      'the child to be as it should',
      async () => essence((await world.api.get(path)).body) === essence(wanted),
      patienceMs,
    );
    await world.quiet();
  } catch (error) {
    const now = (await world.api.get(path)).body;
    problems.push(
      `${change.name}: ${String(error)}; ${firstDifference(JSON.parse(essence(wanted)), JSON.parse(essence(now)), '')}`,
    );
  }
  const most = change.fate === 'foreign' ? 1 : 4;
  if (writes().length > most) problems.push(`${change.name}: ${writes().length} writes: ${writes().join(', ')}`);
  problems.push(...(await undo(world, path, before, change)));
  return { isMade: essence(changed.body) !== essence(before), problems };
}

/** Undoes a change that the operator does not undo, so that the next change starts from the original object. */
async function undo(world: DriftWorld, path: string, before: Json, { name, fate }: Change): Promise<readonly string[]> {
  const now = (await world.api.get(path)).body;
  if (essence(now) === essence(before)) return [];
  const { managedFields: _, resourceVersion: _v, ...rest } = before.metadata as Json;
  // A replacement of a custom resource must contain the current resourceVersion.
  const metadata = before.kind === 'HTTPRoute' ? { ...rest, resourceVersion: now.metadata.resourceVersion } : rest;
  const answer = await world.api.put(`${path}?fieldManager=stranger`, { ...before, metadata });
  await world.quiet();
  return answer.status < 300 || fate === 'ours' ? [] : [`${name}: cannot be undone: ${answer.text.slice(0, 200)}`];
}

/**
 * The part of an object that is compared. It leaves out versions, times, field managers, the status, and the annotation
 * of the Deployment controller.
 */
function essence(object: Json): string {
  if (object?.metadata === undefined) return '{}';
  const { labels, annotations = {}, ownerReferences, finalizers } = object.metadata;
  const { metadata: _m, status: _s, ...rest } = object;
  const notes = Object.fromEntries(
    Object.entries(annotations as object).filter(([key]) => key !== 'deployment.kubernetes.io/revision'),
  );
  return canonicalJson({ ...rest, metadata: { labels, annotations: notes, ownerReferences, finalizers } });
}

function firstDifference(want: Json, got: Json, path: string): string {
  if (canonicalJson(want ?? null) === canonicalJson(got ?? null)) return '';
  if (typeof want !== 'object' || typeof got !== 'object' || want === null || got === null)
    return `${path}: want ${JSON.stringify(want)?.slice(0, 200)}, got ${JSON.stringify(got)?.slice(0, 200)}`;
  return [...new Set([...Object.keys(want), ...Object.keys(got)])]
    .map((key) => firstDifference(want[key], got[key], `${path}/${key}`))
    .filter((text) => text !== '')
    .join(' | ');
}
