/**
 * Objects with the names of a model's children, which are the objects that the operator makes for a model. The operator
 * repairs a child that another writer changed, adopts a child without an owner, and waits when another object has the
 * name. It deletes none of them. A pass is one run of the operator for a model.
 */
import assert from 'node:assert/strict';
import { labels } from '../../../../api/names.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import type { Reconciler } from '../../../../operator/reconcile/reconcile.ts';
import { canonicalJson } from '../../../../lib/canonical-json.ts';
import { recordOf } from '../../../../lib/json.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { operatorOf } from '../../../support/operator-of.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';

type Stored = KubeObject & { readonly [field: string]: unknown };

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  /** Number of GET requests that bypassed the caches. */
  gets = 0;
  operator = this.#newOperator();

  /** A stage whose first revision is stable: it serves, and no rollout is in progress. */
  static async atRest(): Promise<Stage> {
    const stage = new Stage();
    stage.cluster.put(given.spec());
    await stage.live(14);
    assert.equal(stage.ready, 'True');
    return stage;
  }

  get ready(): string | undefined {
    return this.cluster.status.conditions?.find(({ type }) => type === 'Ready')?.status;
  }

  get children(): readonly Stored[] {
    return [...this.cluster.objects.values()].filter(({ kind }) => kind !== 'OnnxModel' && kind !== 'Pod');
  }

  restart(): void {
    this.operator = this.#newOperator();
  }

  async live(times: number): Promise<void> {
    for (let i = 0; i < times; i += 1) {
      this.cluster.tick();
      for (let pass = 0; pass < 3; pass += 1) await this.operator.reconcile('ml/ranker');
      await this.clock.advance(5_000);
    }
  }

  /** From now on, the caches contain only objects with the model's label, as the real caches do. */
  hideUnlabelled(): void {
    const { caches } = this.cluster;
    const seen =
      <T extends KubeObject>(of: (key: string) => readonly T[]) =>
      (key: string): readonly T[] =>
        of(key).filter(({ metadata }) => metadata.labels?.[labels.model] === 'ranker');
    Object.assign(caches, {
      services: seen(caches.services),
      deployments: seen(caches.deployments),
      configMaps: seen(caches.configMaps),
      controllerRevisions: seen(caches.controllerRevisions),
    });
  }

  /** A change by another writer. */
  change(key: string, change: (object: Stored) => object): void {
    const object = this.cluster.objects.get(key) ?? assert.fail(`no ${key}`);
    const changed = change(object) as Stored;
    this.cluster.objects.set(key, {
      ...changed,
      metadata: { ...changed.metadata, resourceVersion: `${Number(object.metadata.resourceVersion) + 1_000_000}` },
    });
  }

  /** Runs a pass and returns its writes. */
  async writes(passes = 1): Promise<readonly string[]> {
    const from = this.cluster.writes.length;
    for (let i = 0; i < passes; i += 1) await this.operator.reconcile('ml/ranker');
    return this.cluster.writes.slice(from).filter((what) => !what.startsWith('status'));
  }

  #newOperator(): Reconciler {
    const client = {
      ...this.cluster.client,
      get: (...args: Parameters<typeof this.cluster.client.get>) => {
        this.gets += 1;
        return this.cluster.client.get(...args);
      },
    } as typeof this.cluster.client;
    return operatorOf(this.cluster, { client });
  }
}

const keyOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.name}`;

describe('a child with a wrong revision label', () => {
  for (const kind of ['Deployment', 'Service', 'ConfigMap', 'ControllerRevision'] as const) {
    it(`is repaired and not deleted: ${kind}`, async () => {
      const stage = await Stage.atRest();
      const child =
        stage.children.find((object) => object.kind === kind && object.metadata.name !== 'ranker') ??
        assert.fail('no child');
      stage.change(keyOf(child), (object) => ({
        ...object,
        metadata: { ...object.metadata, labels: { ...object.metadata.labels, [labels.revision]: 'ffffffffff' } },
      }));
      assert.deepEqual(await stage.writes(3), [`apply ${keyOf(child)}`]);
      assert.equal(
        stage.cluster.objects.get(keyOf(child))?.metadata.labels?.[labels.revision],
        child.metadata.labels?.[labels.revision],
      );
      assert.equal(stage.ready, 'True');
    });
  }

  it('is not deleted when it is the entry Service', async () => {
    const stage = await Stage.atRest();
    stage.change('Service/ranker', (object) => ({
      ...object,
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, [labels.revision]: 'ffffffffff' } },
    }));
    assert.equal(
      (await stage.writes(3)).some((what) => what.startsWith('delete')),
      false,
    );
    assert.ok(stage.cluster.objects.has('Service/ranker'));
  });
});

describe('a leftover', () => {
  it('is deleted once, even while the cache still shows it', async () => {
    const stage = await Stage.atRest();
    const [child] = stage.children.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name !== 'ranker');
    assert.ok(child);
    const old: Stored = { ...child, metadata: { ...child.metadata, name: 'ranker-ffffffffff', uid: 'old' } };
    const shown = stage.cluster.caches.configMaps;
    Object.assign(stage.cluster.caches, { configMaps: (key: string) => [...shown(key), old] });
    assert.deepEqual(await stage.writes(4), ['delete ConfigMap/ranker-ffffffffff']);
  });
});

describe('a ConfigMap that another writer made immutable', () => {
  it('is recreated when its content must change, and stays otherwise', async () => {
    const stage = await Stage.atRest();
    const [map] = stage.children.filter(({ kind }) => kind === 'ConfigMap');
    assert.ok(map);
    stage.change(keyOf(map), (object) => ({ ...object, immutable: true }));
    assert.deepEqual(await stage.writes(2), []);
    stage.change(keyOf(map), (object) => ({ ...object, data: { 'runtime.json': '{}' } }));
    assert.deepEqual(await stage.writes(2), [`delete ${keyOf(map)}`, `apply ${keyOf(map)}`]);
  });
});

describe('the Service of a revision', () => {
  const addressOf = (service: Stored): unknown => recordOf(service['spec'])['clusterIP'];
  const serviceOf = (stage: Stage): Stored => {
    const [service] = stage.children.filter(
      ({ kind, metadata }) => kind === 'Service' && metadata.labels?.[labels.revision] !== undefined,
    );
    assert.ok(service);
    return service;
  };

  it('is headless', async () => {
    assert.equal(addressOf(serviceOf(await Stage.atRest())), 'None');
  });

  it('is made again with a cluster IP when a route needs it, before the route exists', async () => {
    const stage = await Stage.atRest();
    const service = serviceOf(stage);
    const { uid } = service.metadata;
    stage.cluster.put(given.spec({ traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }] } }));
    const writes = await stage.writes(2);
    assert.deepEqual(
      writes.filter((write) => write.includes('Service') || write.includes('HTTPRoute')),
      [`delete ${keyOf(service)}`, `apply ${keyOf(service)}`, 'apply HTTPRoute/ranker'],
    );
    assert.equal(addressOf(serviceOf(stage)), undefined);
    assert.notEqual(serviceOf(stage).metadata.uid, uid);
    assert.deepEqual(await stage.writes(2), []);
  });
});

describe('children without an owner', () => {
  it('are adopted by a recreated model, and the pods stay', async () => {
    const stage = await Stage.atRest();
    const pods = stage.cluster.of('Pod').map(({ metadata }) => metadata.uid);
    const templates = stage.children
      .filter(({ kind }) => kind === 'Deployment')
      .map((object) => canonicalJson(object['spec']));
    for (const child of stage.children)
      stage.change(keyOf(child), (object) => ({ ...object, metadata: { ...object.metadata, ownerReferences: [] } }));
    stage.cluster.objects.delete('OnnxModel/ranker');
    await stage.operator.reconcile('ml/ranker');
    stage.cluster.put(given.spec());
    await stage.live(6);
    assert.deepEqual(
      stage.children.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid !== 'uid-ranker').map(keyOf),
      [],
    );
    assert.deepEqual(
      stage.cluster.of('Pod').map(({ metadata }) => metadata.uid),
      pods,
    );
    assert.deepEqual(
      stage.children.filter(({ kind }) => kind === 'Deployment').map((object) => canonicalJson(object['spec'])),
      templates,
    );
    assert.equal(stage.ready, 'True');
  });

  it('are also adopted when their revision does not run', async () => {
    const stage = await Stage.atRest();
    stage.cluster.put(given.spec({ batching: { maxBatchSize: 16 } }));
    await stage.live(20);
    const records = stage.children.filter(({ kind }) => kind === 'ControllerRevision');
    assert.equal(records.length, 2);
    for (const record of records)
      stage.change(keyOf(record), (object) => ({ ...object, metadata: { ...object.metadata, ownerReferences: [] } }));
    await stage.writes(3);
    assert.deepEqual(
      records.map((record) => stage.cluster.objects.get(keyOf(record))?.metadata.ownerReferences?.[0]?.uid),
      ['uid-ranker', 'uid-ranker'],
    );
  });
});

describe('a child that lost its owner and its labels at once', () => {
  for (const kind of ['Service/ranker', 'Deployment', 'ConfigMap', 'ControllerRevision']) {
    it(`is repaired and not refused as another owner's: ${kind}`, async () => {
      const stage = await Stage.atRest();
      const child = stage.children.find((object) => keyOf(object).startsWith(kind)) ?? assert.fail('no child');
      stage.hideUnlabelled();
      stage.change(keyOf(child), (object) => ({
        ...object,
        metadata: { ...object.metadata, labels: {}, ownerReferences: [] },
      }));
      await stage.writes(3);
      const { labels: marks, ownerReferences, uid } = stage.cluster.objects.get(keyOf(child))?.metadata ?? {};
      assert.deepEqual(
        [marks, ownerReferences, uid],
        [child.metadata.labels, child.metadata.ownerReferences, child.metadata.uid],
      );
      assert.equal(stage.ready, 'True');
    });
  }

  it('is not changed when its label names another model', async () => {
    const stage = await Stage.atRest();
    stage.hideUnlabelled();
    stage.change('Service/ranker', (object) => ({
      ...object,
      metadata: { ...object.metadata, labels: { [labels.model]: 'other' }, ownerReferences: [] },
    }));
    await stage.live(3);
    assert.equal(stage.cluster.objects.get('Service/ranker')?.metadata.labels?.[labels.model], 'other');
  });
});

describe('a name that is taken', () => {
  it('is reported at once and retried after 5 s, then 10 s', async () => {
    const stage = new Stage();
    stage.cluster.objects.set('Service/ranker', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ranker', namespace: 'ml', uid: 'other', resourceVersion: '1' },
    });
    stage.cluster.put(given.spec());
    await stage.live(8);
    const before = stage.gets;
    await stage.writes(20);
    assert.ok(stage.gets - before <= 1, `${stage.gets - before} look-ups`);
    assert.match(
      stage.cluster.status.conditions?.find(({ type }) => type === 'Ready')?.message ?? '',
      /Service named ranker already exists and has neither an owner/,
    );
  });
});

describe('a write that the API server always refuses', () => {
  const row = {
    status: 500,
    reason: '',
    message:
      'failed to create typed patch object (ml/d; apps/v1, Kind=Deployment): ' +
      '.spec.template.spec.affinity.nodeAffinity: expected map, got &{x}',
  };

  it('is not retried at once, even if the answer is 500', async () => {
    const stage = new Stage();
    stage.cluster.put(given.spec());
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('apply Deployment/')) throw statusError(row);
    };
    let tries = 0;
    const refuse = stage.cluster.beforeWrite;
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('apply Deployment/')) tries += 1;
      refuse(what);
    };
    await stage.writes(10);
    assert.equal(tries, 1);
    assert.equal(
      stage.cluster.status.conditions?.some(({ type, status }) => type === 'Stalled' && status === 'True'),
      true,
    );
  });

  it('is ApplyFailed in the conditions and in the decision', async () => {
    const stage = await Stage.atRest();
    stage.cluster.put(given.spec({ model: { uri: 'https://models.example/other.onnx' } }));
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('apply Deployment/')) throw statusError(row);
    };
    await stage.writes(6);
    const { conditions = [], rollout, history = [] } = stage.cluster.status;
    assert.deepEqual(
      conditions.filter(({ type }) => type === 'Ready' || type === 'Stalled').map(({ reason }) => reason),
      ['ApplyFailed', 'ApplyFailed'],
    );
    assert.deepEqual([rollout?.reason, history[0]?.reason], ['ApplyFailed', 'ApplyFailed']);
  });

  it('is retried with back-off when it is the status', async () => {
    const stage = new Stage();
    stage.cluster.put(given.spec());
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('status '))
        throw statusError({ status: 422, reason: 'Invalid', message: 'status.phase: Unsupported value' });
    };
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 8; i += 1) waits.push((await stage.operator.reconcile('ml/ranker')).recheckMs);
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert.equal(stage.cluster.writes.length, 0);
    stage.cluster.beforeWrite = () => {};
    await stage.operator.reconcile('ml/ranker');
    assert.ok(stage.cluster.writes.includes('status OnnxModel/ranker'));
  });
});

/** The Deployment's spec with a smaller memory limit of the runtime, as an admission webhook may change it. */
function withLess(spec: unknown): object {
  const changed = structuredClone(spec) as {
    template: { spec: { containers: { name: string; resources: { limits: Record<string, string> } }[] } };
  };
  for (const { name, resources } of changed.template.spec.containers)
    if (name === 'runtime') resources.limits['memory'] = '77Mi';
  return changed;
}

describe('an answer of the API server that differs from the manifest', () => {
  it('counts as wanted: it is not written again, and a later change by another writer is reverted', async () => {
    const stage = new Stage();
    stage.cluster.put(given.spec({ memory: { limit: '512Mi' } }));
    const rounded = (object: Stored): Stored =>
      object.kind === 'Deployment' ? { ...object, spec: { ...withLess(object['spec']), minReadySeconds: 1 } } : object;
    const changing =
      <A extends readonly never[]>(write: (...args: A) => Promise<unknown>) =>
      async (...args: A): Promise<Stored> => {
        const answer = rounded((await write(...args)) as Stored);
        stage.cluster.objects.set(keyOf(answer), answer);
        return answer;
      };
    const { apply, create, mergePatch } = stage.cluster.client;
    Object.assign(stage.cluster.client, {
      apply: changing(apply as never),
      create: changing(create as never),
      mergePatch: changing(mergePatch as never),
    });
    stage.restart();
    await stage.live(14);
    assert.deepEqual(await stage.writes(3), []);
    const [deployment] = stage.children.filter(({ kind }) => kind === 'Deployment');
    assert.ok(deployment);
    // Make a new version of the object. The values that the server changed stay in it.
    stage.change(keyOf(deployment), (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, 'example.com/note': 'x' } },
    }));
    assert.deepEqual(await stage.writes(3), []);
    stage.change(keyOf(deployment), (object) => ({
      ...object,
      spec: { ...(object['spec'] as object), minReadySeconds: 2 },
    }));
    assert.deepEqual(await stage.writes(3), [`apply ${keyOf(deployment)}`]);
    assert.match(
      stage.cluster.status.conditions?.find(({ type }) => type === 'ChildrenModified')?.message ?? '',
      /Deployment\/ranker-[0-9a-f]{10}: spec\.minReadySeconds \(changed by the API server or a webhook\)/,
    );
    assert.match(
      stage.cluster.status.conditions?.find(({ type }) => type === 'ChildrenModified')?.message ?? '',
      /containers\[runtime\]\.resources\.limits\.memory \(changed by/,
    );
  });

  it('does not cause more writes while a finalizer delays the deletion of a child', async () => {
    const stage = await Stage.atRest();
    const [deployment] = stage.children.filter(({ kind }) => kind === 'Deployment');
    assert.ok(deployment);
    stage.change(keyOf(deployment), (object) => ({
      ...object,
      metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/hold'] },
    }));
    assert.deepEqual(await stage.writes(5), []);
  });
});
