/**
 * The drift walk: a foreign writer changes every field of every child of a model at rest, one after the other.
 *
 * Owns: what is asked of the operator after each change. What is its own, or what serving depends on, is as before,
 *       by two writes at most (four where the object had gone out of sight); what may stay is there still, by one at
 *       most. Afterwards it is quiet. A change that the API server refuses is none.
 */
import assert from 'node:assert/strict';
import { canonicalJson } from '../../../operator/revision.ts';
import { eventually } from '../../support/eventually.ts';
import type { Json } from '../kube/api.ts';
import { additionsTo, changesOf, type Change } from './changes.ts';
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
      affinity: { nodeAffinity: null, podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { tier: 'gold' } } } }] } },
    },
  },
};

/** A busy machine takes its time to hear of a change and to put it back. */
const patienceMs = 20_000;

/**
 * @param open finds or starts the server. @returns its kubeconfig's text, and how to end what was started
 * @param walk.every of the changes to fields that the operator owns, this one in so many is made; 1: all
 * @param walk.quietMs see DriftWorld
 */
export function driftSuite(name: string, open: () => Promise<{ readonly kubeconfig: string; readonly close: () => Promise<void> }>, walk: { readonly every: number; readonly quietMs: number }): void {
  describe(`drift of children on ${name}`, function () {
    this.timeout(600_000);
    let world: DriftWorld;
    let close: () => Promise<void>;
    let revision: string;

    before(async () => {
      const server = await open();
      close = server.close;
      world = new DriftWorld(server.kubeconfig, walk.quietMs);
      await world.open();
      revision = await world.serve('walk', spec);
    });
    after(async () => {
      await world?.close();
      await close?.();
    });

    const children = (): readonly { readonly title: string; readonly path: string }[] => [
      { title: 'the entry Service', path: world.path('v1', 'services', 'walk') },
      { title: "a revision's Service", path: world.path('v1', 'services', `walk-${revision}`) },
      { title: 'a Deployment', path: world.path('apps/v1', 'deployments', `walk-${revision}`) },
      { title: 'a ConfigMap', path: world.path('v1', 'configmaps', `walk-${revision}`) },
      { title: 'a ControllerRevision', path: world.path('apps/v1', 'controllerrevisions', `walk-${revision}`) },
    ];

    it('needs one write at most for quantities that are rounded and for nulls, and is quiet then', async () => {
      const from = world.writes.length;
      await world.quiet(1_500);
      assert.deepEqual(world.writes.slice(from), []);
    });

    it('stores a template with the defaults that are said as one without them: no pod of an older revision is replaced', async () => {
      const live = (await world.api.get(children()[2]?.path ?? '')).body;
      const frozen = (await world.api.get(children()[4]?.path ?? '')).body.data.template;
      const path = world.path('apps/v1', 'deployments', 'older');
      const { hostNetwork: _, ...bare } = frozen.spec;
      const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'older' }, spec: { replicas: 0, selector: live.spec.selector, template: { metadata: frozen.metadata, spec: bare } } };
      const made = await world.api.patch(`${path}?fieldManager=older&force=true`, 'apply', object);
      assert.ok(made.status < 300, made.text);
      assert.equal(canonicalJson(made.body.spec.template), canonicalJson(live.spec.template));
      await world.api.delete(path);
    });

    for (const index of [0, 1, 2, 3, 4]) {
      it(`of ${['the entry Service', "a revision's Service", 'a Deployment', 'a ConfigMap', 'a ControllerRevision'][index] ?? ''} is put back, or stays, and then it is quiet`, async () => {
        const { path } = children()[index] ?? assert.fail('no such child');
        const live = (await world.api.get(path)).body;
        const changes = [...additionsTo(live), ...changesOf(live).filter((_, i) => i % walk.every === 0)];
        const problems: string[] = [];
        for (const change of changes) problems.push(...(await tryOne(world, path, change)));
        assert.deepEqual(problems, []);
        await world.quiet(500);
        assert.equal((await world.condition('walk', 'RouteReady')).status, 'True');
      });
    }
  });
}

async function tryOne(world: DriftWorld, path: string, change: Change): Promise<readonly string[]> {
  const before = (await world.api.get(path)).body;
  const from = world.writes.length;
  const changed = await world.change(path, change.patch);
  if (changed.status >= 300) return [];
  const writes = (): readonly string[] => world.writes.slice(from).filter((what) => !what.startsWith('status '));
  const wanted = change.fate === 'ours' ? before : changed.body;
  const problems: string[] = [];
  try {
    await eventually('the child to be as it should', async () => essence((await world.api.get(path)).body) === essence(wanted), patienceMs);
    await world.quiet();
  } catch (error) {
    const now = (await world.api.get(path)).body;
    problems.push(`${change.name}: ${String(error)}; ${firstDifference(JSON.parse(essence(wanted)), JSON.parse(essence(now)), '')}`);
  }
  const most = change.fate === 'theirs' ? 1 : 4;
  if (writes().length > most) problems.push(`${change.name}: ${writes().length} writes: ${writes().join(', ')}`);
  problems.push(...(await undo(world, path, before, change)));
  return problems;
}

/** Theirs is taken back by its owner, so that the next change meets the object as it was. */
async function undo(world: DriftWorld, path: string, before: Json, { name, fate }: Change): Promise<readonly string[]> {
  const now = (await world.api.get(path)).body;
  if (essence(now) === essence(before)) return [];
  const { managedFields: _, resourceVersion: _v, ...metadata } = before.metadata as Json;
  const answer = await world.api.put(`${path}?fieldManager=stranger`, { ...before, metadata });
  await world.quiet();
  return answer.status < 300 || fate === 'ours' ? [] : [`${name}: cannot be undone: ${answer.text.slice(0, 200)}`];
}

/** What counts of an object: not versions, times and owners of fields, nor what other controllers note. */
function essence(object: Json): string {
  if (object?.metadata === undefined) return '{}';
  const { labels, annotations = {}, ownerReferences, finalizers } = object.metadata;
  const { metadata: _m, status: _s, ...rest } = object;
  const notes = Object.fromEntries(Object.entries(annotations as object).filter(([key]) => key !== 'deployment.kubernetes.io/revision'));
  return canonicalJson({ ...rest, metadata: { labels, annotations: notes, ownerReferences, finalizers } });
}

function firstDifference(want: Json, got: Json, path: string): string {
  if (canonicalJson(want ?? null) === canonicalJson(got ?? null)) return '';
  if (typeof want !== 'object' || typeof got !== 'object' || want === null || got === null) return `${path}: want ${JSON.stringify(want)?.slice(0, 200)}, got ${JSON.stringify(got)?.slice(0, 200)}`;
  return [...new Set([...Object.keys(want), ...Object.keys(got)])].map((key) => firstDifference(want[key], got[key], `${path}/${key}`)).filter((text) => text !== '').join(' | ');
}
