/**
 * An upgrade of the operator: models whose objects an earlier version made, and the first passes of this version. A
 * pass is one run of the operator for a model.
 * Owns: the expectations. No pod is replaced, frozen objects do not change, and the status keeps its content. The
 * operator writes each object at most once, and each status at most twice. The objects are in test/fixtures/upgrade/,
 * one per line. They come from a real cluster with operator 0.1.0, which did not record how a revision became stable.
 * The fixtures have only the fields that the operator applied to a child, and only the labels of a pod.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { canonicalJson } from '../../../lib/canonical-json.ts';
import { DriftWorld } from '../drift/world.ts';
import type { Answer, Json } from '../kube/api.ts';

const folder = new URL('../../fixtures/upgrade/', import.meta.url);
const plurals: Readonly<Record<string, string>> = {
  ConfigMap: 'configmaps',
  ControllerRevision: 'controllerrevisions',
  Deployment: 'deployments',
  OnnxModel: 'onnxmodels',
  Pod: 'pods',
  Service: 'services',
};

type Opened = { readonly kubeconfig: string; readonly close: () => Promise<void> };
/** A model and its objects. */
type Left = {
  readonly title: string;
  readonly model: Json;
  readonly children: readonly Json[];
  readonly pods: readonly Json[];
};

function leftBehind(): readonly Left[] {
  return readdirSync(folder)
    .toSorted()
    .map((file) => {
      const lines = readFileSync(new URL(file, folder), 'utf8').trim().split('\n');
      const objects = lines.map((line) => JSON.parse(line) as Json);
      const [model, ...others] = objects;
      // Leave out the ConfigMap with the counts by which canaries are judged. This test runs no part of the operator
      // that judges canaries.
      const evidence = `${model.metadata.name}-gates`;
      const children = others.filter(({ kind, metadata }) => kind !== 'Pod' && metadata.name !== evidence);
      return { title: file.replace('.jsonl', ''), model, children, pods: others.filter(({ kind }) => kind === 'Pod') };
    });
}

/**
 * @param open finds or starts the server. It returns the text of a kubeconfig, and `close`, which ends what `open`
 * started
 */
export function upgradeSuite(name: string, open: () => Promise<Opened>): void {
  describe(`models of an earlier operator on ${name}`, function () {
    this.timeout(180_000);
    const all = leftBehind();
    let world: SeededWorld;
    let close: () => Promise<void>;

    before(async () => {
      const server = await open();
      close = server.close;
      world = new SeededWorld(server.kubeconfig, 300, 'onnx-operator/runtime:9.9.9');
      await world.open(() => world.seed(all));
      await world.quiet(1_500, 60_000);
    });
    after(async () => {
      await world?.close();
      await close?.();
    });

    for (const { title, model, children, pods } of all) {
      it(`keep the pods of one that is ${title}, and their templates`, async () => {
        for (const object of [...children, ...pods]) {
          const [then, now] = [world.stored(object), await world.read(object)];
          const which = `${object.kind} ${object.metadata.name}`;
          assert.equal(now.metadata?.uid, then.metadata.uid, `${which} was replaced or deleted`);
          assert.equal(canonicalJson(frozenIn(now)), canonicalJson(frozenIn(then)), which);
        }
      });

      it(`keep the status of one that is ${title}`, async () => {
        const now = (await world.read(model)).status;
        assert.deepEqual(meaningOf(now), meaningOf(model.status));
        // The history of an earlier operator does not record whether this revision was the first one or was pinned.
        assert.equal(now.stable.provenance, 'Unrecorded');
      });
    }

    it('need a write per object and two per status, then none', async () => {
      const counts = [...Map.groupBy(world.writes, (what) => what)].map(([what, { length }]) => ({ what, length }));
      const often = counts.filter(({ what, length }) => length > (what.startsWith('status ') ? 2 : 1));
      assert.deepEqual(often, []);
      assert.deepEqual(
        world.writes.filter((what) => what.startsWith('delete ')),
        [],
      );
      const from = world.writes.length;
      await world.quiet(1_500);
      assert.deepEqual(world.writes.slice(from), []);
    });
  });
}

class SeededWorld extends DriftWorld {
  readonly #stored = new Map<string, Json>();

  async read(object: Json): Promise<Json> {
    return (await this.api.get(this.#pathOf(object))).body;
  }

  /** The object as the API server stored it before this version of the operator started. */
  stored(object: Json): Json {
    return this.#stored.get(this.#pathOf(object));
  }

  async seed(all: readonly Left[]): Promise<void> {
    for (const { model, children, pods } of all) {
      const { metadata } = await this.#seedModel(model);
      for (const child of children) await this.#seedChild(child, metadata.uid);
      for (const pod of pods) await this.#seedPod(pod);
    }
  }

  async #seedModel(model: Json): Promise<Json> {
    const {
      apiVersion,
      kind,
      metadata: { name },
      spec,
      status,
    } = model;
    const path = this.#pathOf(model);
    const wanted = { apiVersion, kind, metadata: { name }, spec };
    const made = accepted(await this.api.patch(`${path}?fieldManager=user`, 'apply', wanted));
    const own = { ...status, observedGeneration: made.metadata.generation };
    accepted(await this.api.patch(`${path}/status?fieldManager=onnx-operator`, 'merge', { status: own }));
    return made;
  }

  async #seedChild(child: Json, uid: string): Promise<void> {
    const path = this.#pathOf(child);
    const ownerReferences = child.metadata.ownerReferences.map((owner: Json) => ({ ...owner, uid }));
    const wanted = this.#here({ ...child, metadata: { ...child.metadata, ownerReferences } });
    this.#stored.set(
      path,
      accepted(await this.api.patch(`${path}?fieldManager=onnx-operator&force=true`, 'apply', wanted)),
    );
  }

  async #seedPod(pod: Json): Promise<void> {
    const spec = { containers: [{ name: 'runtime', image: 'onnx-operator/runtime:0.1.0' }] };
    this.#stored.set(this.#pathOf(pod), accepted(await this.api.post(this.path('v1', 'pods'), { ...pod, spec })));
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    accepted(await this.api.patch(`${this.#pathOf(pod)}/status`, 'merge', { status }));
  }

  /** The object, with the namespace replaced by the namespace of this test. */
  #here(object: Json): Json {
    return JSON.parse(JSON.stringify(object).replaceAll('NAMESPACE', this.namespace));
  }

  #pathOf({ apiVersion, kind, metadata: { name } }: Json): string {
    return this.path(apiVersion, plurals[kind] ?? '', name);
  }
}

/**
 * The fields of an object that must not change. Other values would replace pods, change files of pods, or move traffic.
 */
function frozenIn({ kind, spec, data, revision }: Json): Json {
  switch (kind) {
    case 'Deployment':
      return spec;
    case 'ControllerRevision':
      return { data, revision };
    case 'Service':
      return { selector: spec.selector, ports: spec.ports, clusterIP: spec.clusterIP };
    case 'ConfigMap':
      return { runtime: data['runtime.json'], resolved: data['resolved.json'] };
    default:
      return {};
  }
}

/** The status without messages, and without fields that are new in this version. */
function meaningOf({ phase, rollout, stable, candidate, history, conditions, replicas, readyReplicas }: Json): Json {
  return {
    phase,
    reason: rollout.reason,
    step: rollout.step,
    weight: rollout.desiredWeight,
    replicas,
    readyReplicas,
    stable: ofRevision(stable),
    candidate: ofRevision(candidate),
    history,
    conditions: Object.fromEntries(conditions.map(({ type, status, reason }: Json) => [type, `${status} ${reason}`])),
  };
}

function ofRevision(revision: Json): Json {
  if (revision === undefined) return undefined;
  const { revision: name, generation, digest, provider, precision, ready, replicas } = revision;
  return { name, generation, digest, provider, precision, ready, replicas };
}

function accepted({ status, body, text }: Answer): Json {
  assert.ok(status < 300, text);
  return body;
}
