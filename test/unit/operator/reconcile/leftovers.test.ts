/**
 * Which leftovers (objects of old revisions that are not needed any more) a pass deletes, when and with which uid as a
 * precondition, and which revisions it keeps. A pass is one run of the operator for a model; the record of a revision
 * is its ControllerRevision.
 */
import assert from 'node:assert/strict';
import { labels } from '../../../../api/names.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { apply, leftoversOf, type Applied } from '../../../../operator/reconcile/apply.ts';
import type { ControllerRevision } from '../../../../kube/kinds.ts';
import type { DeleteOptions } from '../../../../kube/client/kube-client.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { observe } from '../../../../operator/see/observe.ts';
import type { Seen } from '../../../../operator/see/seen.ts';
import { RecentWrites } from '../../../../operator/reconcile/recent-writes.ts';
import { desiredState } from '../../../../operator/reconcile/desired-state.ts';
import { controllerRevision } from '../../../../operator/resources/revisions.ts';
import type { Decision, Revision } from '../../../../operator/rollout/state.ts';
import { TrafficMemory } from '../../../../operator/traffic/traffic-memory.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { operatorSettings } from '../../../support/operator-of.ts';

const old = 'aaaaaaaaaa';
const owner = {
  apiVersion: 'onnx-operator.dev/v1alpha1',
  kind: 'OnnxModel',
  name: 'ranker',
  uid: 'uid-ranker',
  controller: true,
};
const childKinds = { Deployment: 'apps/v1', Service: 'v1', ConfigMap: 'v1' } as const;

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  /** Each deletion, with its options. */
  readonly deletions: { readonly what: string; readonly options: DeleteOptions }[] = [];

  constructor(spec: Partial<OnnxModelSpec> = {}) {
    this.cluster.put(given.spec(spec));
    for (const [kind, apiVersion] of Object.entries(childKinds))
      this.#put({ apiVersion, kind, metadata: this.#metadata(`ranker-${old}`, old) });
  }

  /** What a pass observes in the cluster's caches. */
  get seen(): Seen {
    return observe('ml/ranker', this.cluster.caches, operatorSettings) ?? assert.fail('no model');
  }

  get deleted(): ReadonlySet<string> {
    return new Set(this.deletions.map(({ what }) => what));
  }

  /** Adds the record of a revision that does not run. */
  remember(revision: Revision, generation: number): void {
    const model = this.cluster.caches.model('ml/ranker') ?? assert.fail('no model');
    const made = controllerRevision(
      model,
      given.record(model, { revision, generation }),
    ) as unknown as ControllerRevision;
    this.#put({
      ...made,
      metadata: { ...made.metadata, ...this.#metadata(made.metadata.name, revision) },
    } as KubeObject);
  }

  async pass(seen = this.seen, decision = serve(seen.rollout.target)): Promise<Applied> {
    const client = {
      ...this.cluster.client,
      delete: async (
        type: { readonly kind: string; readonly plural: string },
        name: { readonly name: string },
        options: DeleteOptions,
      ) => {
        this.deletions.push({ what: `${type.kind}/${name.name}`, options });
        const live = this.cluster.objects.get(`${type.kind}/${name.name}`);
        if (options.uid !== undefined && live?.metadata.uid !== options.uid)
          throw statusError({ status: 409, reason: 'Conflict', message: 'the uid is another' });
        return this.cluster.client.delete(type as never, name);
      },
    } as typeof this.cluster.client;
    const hands = { client, call: {}, recent: new RecentWrites(), traffic: new TrafficMemory(), clock: this.clock };
    return apply(hands, seen, { decision, manifests: desiredState(seen.model, decision, seen.records) });
  }

  #metadata(name: string, revision: Revision) {
    return {
      name,
      namespace: 'ml',
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels: { [labels.model]: 'ranker', [labels.revision]: revision },
      ownerReferences: [owner],
      creationTimestamp: '2026-01-01T00:00:00Z',
    };
  }

  #put(object: KubeObject): void {
    this.cluster.objects.set(`${object.kind}/${object.metadata.name}`, object as KubeObject & Record<string, unknown>);
  }
}

const serve = (revision: Revision): Decision => ({
  next: { phase: 'Stable', stable: revision },
  serve: revision,
  run: [{ revision, replicas: 1 }],
  reason: 'UpToDate',
  message: '',
});
const leftovers = new Set(Object.keys(childKinds).map((kind) => `${kind}/ranker-${old}`));

describe('a pass deletes leftovers', () => {
  it('after every wanted object exists', async () => {
    const stage = new Stage();
    assert.equal((await stage.pass()).error, undefined);
    assert.deepEqual(stage.deleted, leftovers);
  });

  for (const kind of ['ControllerRevision', 'ConfigMap', 'Deployment', 'Service'] as const) {
    it(`not while a ${kind} could not be applied`, async () => {
      const stage = new Stage();
      stage.cluster.beforeWrite = (what) => {
        if (what.startsWith(`apply ${kind}/`))
          throw statusError({ status: 403, reason: 'Forbidden', message: 'exceeded quota' });
      };
      const applied = await stage.pass();
      assert.ok(applied.error !== undefined && applied.failure !== undefined);
      assert.deepEqual(stage.deletions, []);
      stage.cluster.beforeWrite = () => {};
      await stage.pass();
      assert.deepEqual(stage.deleted, leftovers);
    });
  }

  it('once, even while they are terminating', async () => {
    const stage = new Stage();
    const name = `Deployment/ranker-${old}`;
    const leaving = stage.cluster.objects.get(name) ?? assert.fail('no Deployment');
    stage.cluster.objects.set(name, {
      ...leaving,
      metadata: { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:01Z', finalizers: ['example.com/wait'] },
    });
    await stage.pass();
    assert.deepEqual(stage.deleted, new Set([...leftovers].filter((one) => one !== name)));
  });

  it('by their uid, so that another object of that name stays', async () => {
    const stage = new Stage();
    const seen = stage.seen;
    const name = `Deployment/ranker-${old}`;
    const replaced = stage.cluster.objects.get(name) ?? assert.fail('no Deployment');
    stage.cluster.objects.set(name, { ...replaced, metadata: { ...replaced.metadata, uid: 'another' } });
    await stage.pass(seen).catch(() => undefined);
    assert.equal(stage.cluster.objects.get(name)?.metadata.uid, 'another');
    const asked = stage.deletions.find(({ what }) => what === name) ?? assert.fail('it was not deleted');
    assert.deepEqual([asked.options.uid, asked.options.propagation], [`uid-ranker-${old}`, 'Background']);
  });
});

describe('a pass keeps', () => {
  const gates = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'ranker-gates',
      namespace: 'ml',
      uid: 'uid-gates',
      resourceVersion: '1',
      labels: { [labels.model]: 'ranker' },
      ownerReferences: [owner],
    },
  };
  for (const [when, isWanted] of [
    ['during a rollout', true],
    ['after the rollout', false],
  ] as const) {
    it(`${isWanted ? '' : 'not '}the stored ledger of the gates ${when}`, () => {
      const stage = new Stage();
      stage.cluster.objects.set('ConfigMap/ranker-gates', gates as never);
      const { seen } = stage;
      const gone = leftoversOf(seen, {
        decision: serve(seen.rollout.target),
        manifests: isWanted ? [gates as never] : [],
      });
      assert.equal(
        gone.some(({ metadata: { name } }) => name === 'ranker-gates'),
        !isWanted,
      );
    });
  }
});

describe('a pass finds the name of a child taken', () => {
  const foreign = (ownerReferences?: readonly object[]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'ranker',
      namespace: 'ml',
      uid: 'foreign',
      resourceVersion: '1',
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
    },
    spec: { selector: { app: 'ranker' } },
  });
  const rows = [
    { name: 'by an object without an owner', object: foreign() },
    { name: 'by a child of another model', object: foreign([{ ...owner, name: 'other', uid: 'uid-other' }]) },
  ];
  for (const { name, object } of rows) {
    it(`${name}: reports it and does not change the object`, async () => {
      const stage = new Stage();
      stage.cluster.objects.set('Service/ranker', object as never);
      const { failure, error } = await stage.pass();
      assert.ok(error !== undefined && failure !== undefined);
      assert.match(failure.trouble.message, /cannot apply Service ranker: a Service named ranker already exists/);
      assert.deepEqual(stage.cluster.objects.get('Service/ranker'), object);
    });
  }
});

describe('a pass whose candidate is refused', () => {
  it('still applies the objects of the serving revision', async () => {
    const stage = new Stage();
    stage.remember(old, 1);
    const { seen } = stage;
    const candidate = seen.rollout.target;
    const next = { phase: 'Preparing', stable: old, candidate, attempt: 1, floor: 1, since: 0 } as const;
    const decision: Decision = {
      ...serve(old),
      next,
      run: [
        { revision: candidate, replicas: 1 },
        { revision: old, replicas: 1 },
      ],
    };
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith(`apply ConfigMap/ranker-${candidate}`))
        throw statusError({ status: 403, reason: 'Forbidden', message: 'exceeded quota' });
    };
    const { failure } = await stage.pass(seen, decision);
    assert.equal(failure?.revision, candidate);
    const written = stage.cluster.writes;
    assert.ok(
      written.includes(`apply Deployment/ranker-${old}`) && written.includes('apply Service/ranker'),
      written.join(),
    );
    assert.ok(!written.includes(`apply Deployment/ranker-${candidate}`), written.join());
  });
});

describe('a pass remembers', () => {
  const letters = ['b', 'c', 'd', 'e', 'f', '1', '2', '3'] as const;
  // prettier-ignore
  const rows = [
    { name: 'the five latest revisions besides those in use', spec: {},
      forgotten: ['bbbbbbbbbb', 'cccccccccc', 'dddddddddd'] },
    { name: 'as many as spec.revisionHistoryLimit', spec: { revisionHistoryLimit: 2 },
      forgotten: letters.slice(0, 6).map((letter) => letter.repeat(10)) },
    { name: 'no idle revision with a limit of 0', spec: { revisionHistoryLimit: 0 },
      forgotten: letters.map((letter) => letter.repeat(10)) },
    { name: 'all revisions below the limit', spec: { revisionHistoryLimit: 8 }, forgotten: [] },
  ];
  for (const { name, spec, forgotten } of rows) {
    it(name, () => {
      const stage = new Stage(spec);
      // Add the records in an order that is not their order of age.
      for (const index of [3, 0, 7, 5, 1, 6, 2, 4]) stage.remember((letters[index] ?? '').repeat(10), index + 1);
      const { seen } = stage;
      const decision = serve(seen.rollout.target);
      const gone = leftoversOf(seen, { decision, manifests: desiredState(seen.model, decision, seen.records) });
      assert.deepEqual(
        new Set(
          gone
            .filter(({ kind }) => kind === 'ControllerRevision')
            .map((object) => object.metadata.labels?.[labels.revision]),
        ),
        new Set(forgotten),
      );
    });
  }

  it('stable, candidate and every running revision, regardless of age and limit', () => {
    const stage = new Stage({ revisionHistoryLimit: 0 });
    for (const [index, letter] of letters.entries()) stage.remember(letter.repeat(10), index + 1);
    const { seen } = stage;
    const [stable, candidate, running] = ['bbbbbbbbbb', 'cccccccccc', 'dddddddddd'] as const;
    const next = { phase: 'Preparing', stable, candidate, attempt: 1, floor: 1, since: 0 } as const;
    const decision: Decision = { ...serve(stable), next, run: [{ revision: running, replicas: 1 }] };
    const gone = leftoversOf(seen, { decision, manifests: [] }).map(
      (object) => `${object.kind}/${object.metadata.labels?.[labels.revision]}`,
    );
    for (const revision of [stable, candidate, running])
      assert.ok(!gone.includes(`ControllerRevision/${revision}`), revision);
    assert.ok(gone.includes('ControllerRevision/eeeeeeeeee'));
  });
});
