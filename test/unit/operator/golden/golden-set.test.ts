/**
 * Freezing a golden set (copying the user's test inputs, so that later changes do not affect a rollout): when the
 * operator reads the user's ConfigMap, what happens if the ConfigMap is missing, and which changes take effect.
 */
import assert from 'node:assert/strict';
import { labels, paths } from '../../../../api/names.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { GoldenConfig, RuntimeConfig } from '../../../../api/runtime-config.ts';
import { goldenLimitBytes } from '../../../../operator/golden/golden-set.ts';
import type { ConfigMap } from '../../../../kube/kinds.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import type { Reconciler } from '../../../../operator/reconcile/reconcile.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { operatorOf } from '../../../support/operator-of.ts';
import { HandClock } from '../../../support/hand-clock.ts';

type Gate = NonNullable<NonNullable<NonNullable<OnnxModelSpec['rollout']>['gates']>['golden']>;
const fromMap: Gate = { configMapRef: { name: 'set' }, metric: 'Cosine', min: '0.95' };
const key = 'ml/ranker';

class World {
  readonly cluster = new FakeCluster(new HandClock());
  /** Names of the users' ConfigMaps that the operator has read. */
  readonly asked: string[] = [];
  /** The error that every GET of a user's ConfigMap returns. Undefined: GETs succeed. */
  failing: Error | undefined;
  #reconciler = this.#start();

  restart(): void {
    this.#reconciler = this.#start();
  }

  #start(): Reconciler {
    const { cluster } = this;
    const get: typeof cluster.client.get = async (type, name, options) => {
      if (type.kind === 'ConfigMap' && !name.name.startsWith('ranker-')) {
        this.asked.push(name.name);
        if (this.failing !== undefined) throw this.failing;
      }
      return cluster.client.get(type, name, options);
    };
    return operatorOf(cluster, { client: { ...cluster.client, get } });
  }

  apply(
    uri: string,
    golden: Gate | undefined,
    more: Partial<NonNullable<OnnxModelSpec['rollout']>> = {},
    replicas = 1,
  ): void {
    this.cluster.put({
      model: { uri: `https://models.example/${uri}` },
      replicas,
      revisionHistoryLimit: 5,
      rollout: { ...more, ...(golden === undefined ? {} : { gates: { golden } }) },
    });
  }

  userSet(content: Pick<ConfigMap, 'data' | 'binaryData'>, name = 'set'): void {
    this.cluster.objects.set(`ConfigMap/${name}`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'ml' },
      ...content,
    });
  }

  async live(seconds: number): Promise<void> {
    for (let atS = 0; atS < seconds; atS += 5) {
      this.cluster.tick();
      for (let pass = 0; pass < 3; pass += 1) await this.#reconciler.reconcile(key);
      await this.cluster.clock.advance(5000);
    }
  }

  async pass(): Promise<{ readonly recheckMs?: number }> {
    return this.#reconciler.reconcile(key);
  }

  get candidate(): string {
    return this.cluster.status.candidate?.revision ?? this.cluster.status.stable?.revision ?? '';
  }

  mapOf(revision: string): ConfigMap | undefined {
    return this.cluster.of<ConfigMap>('ConfigMap').find((one) => one.metadata.labels?.[labels.revision] === revision);
  }

  goldenOf(revision: string): GoldenConfig | undefined {
    return (JSON.parse(this.mapOf(revision)?.data?.[paths.configFile] ?? '{}') as Partial<RuntimeConfig>).golden;
  }

  /** The frozen set, in the revision's own ConfigMap. */
  frozenText(revision = this.candidate): string | undefined {
    return this.mapOf(revision)?.data?.['golden.jsonl'];
  }

  get says(): string {
    const { phase, rollout } = this.cluster.status;
    return `${phase} ${rollout?.reason}: ${rollout?.message}`;
  }
}

describe('a golden set', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });

  it("is copied into the revision's own ConfigMap, and read once", async () => {
    world.userSet({ data: { 'golden.jsonl': 'one' } });
    world.apply('ok', fromMap);
    await world.live(60);
    const { id, ...golden } = world.goldenOf(world.candidate) ?? assert.fail('no golden set');
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(golden, { metric: 'Cosine', min: 0.95, source: { kind: 'File', file: 'golden.jsonl' } });
    assert.equal(world.frozenText(), 'one');
    assert.deepEqual(world.asked, ['set']);
    assert.match(world.says, /^Stable UpToDate/);
  });

  it("does not change with the user's ConfigMap or a restart of the operator, only for the next rollout", async () => {
    world.userSet({ data: { 'golden.jsonl': 'one' } });
    world.apply('ok', fromMap);
    await world.live(10);
    const before = world.goldenOf(world.candidate);
    world.userSet({ data: { 'golden.jsonl': 'two' } });
    world.apply('ok', { ...fromMap, min: '0.5' });
    world.restart();
    await world.live(60);
    assert.equal(world.frozenText(), 'one');
    assert.deepEqual(world.goldenOf(world.candidate), before);
    world.apply('ok-2', { ...fromMap, min: '0.5' });
    await world.live(10);
    assert.deepEqual(
      [world.frozenText(), world.goldenOf(world.candidate)?.min, world.asked],
      ['two', 0.5, ['set', 'set']],
    );
  });

  it('is stored as base64 under a fixed name when it is binary', async () => {
    world.userSet({ binaryData: { 'runtime.json': Buffer.from('OIPGOLD1').toString('base64') } });
    world.apply('ok', fromMap);
    await world.live(10);
    assert.deepEqual(world.mapOf(world.candidate)?.binaryData, {
      'golden.bin': Buffer.from('OIPGOLD1').toString('base64'),
    });
    assert.deepEqual(world.goldenOf(world.candidate)?.source, { kind: 'File', file: 'golden.bin' });
  });

  it('from a URI is fetched by prepare, not by the operator', async () => {
    const digest = `sha256:${'3'.repeat(64)}`;
    world.apply('ok', { uri: 'https://models.example/golden.jsonl', digest, metric: 'MaxAbsError', max: '0.02' });
    await world.live(10);
    const { id: _, ...golden } = world.goldenOf(world.candidate) ?? assert.fail('no golden set');
    assert.deepEqual(golden, {
      metric: 'MaxAbsError',
      max: 0.02,
      source: { kind: 'Uri', uri: 'https://models.example/golden.jsonl', digest },
    });
    assert.deepEqual(world.asked, []);
  });

  it("is generated when the spec has no golden set, with the default limit or the user's", async () => {
    world.apply('ok', undefined);
    await world.live(10);
    assert.deepEqual(
      [
        world.goldenOf(world.candidate)?.source.kind,
        world.goldenOf(world.candidate)?.metric,
        world.goldenOf(world.candidate)?.min,
      ],
      ['Generated', 'Cosine', 0.9],
    );
    world.apply('ok-2', { metric: 'Cosine', min: '0.5' });
    await world.live(10);
    assert.deepEqual(
      [world.goldenOf(world.candidate)?.source.kind, world.goldenOf(world.candidate)?.min],
      ['Generated', 0.5],
    );
  });

  it('that is generated is the same for every revision', async () => {
    world.apply('ok', undefined);
    await world.live(60);
    const first = world.goldenOf(world.candidate);
    world.apply('ok-2', undefined);
    await world.live(10);
    assert.deepEqual(world.goldenOf(world.candidate), first);
  });

  // prettier-ignore
  const troubles: readonly { readonly of: string; readonly content?: Pick<ConfigMap, 'data' | 'binaryData'>;
    readonly failing?: Error; readonly golden?: Gate; readonly says: RegExp }[] = [
    { of: 'a missing ConfigMap', says:
        /^Preparing GoldenSetMissing: .*golden set: ConfigMap set does not exist in namespace ml/ },
    { of: 'an empty ConfigMap', content: {}, says:
        /GoldenSetMissing: .*ConfigMap set must contain one key, or .* golden\.jsonl or golden\.bin \(found: none\)/ },
    { of: 'a ConfigMap with several keys of other names', content: { data: { a: '1', b: '2' } },
      says: /GoldenSetMissing: .*ConfigMap set must contain one key.*\(found: a, b\)/ },
    { of: 'a set that is too large', content: { data: { 'golden.jsonl': 'x'.repeat(goldenLimitBytes + 1) } },
      says: /GoldenSetInvalid: .*key golden\.jsonl of ConfigMap set has 921601 bytes, the limit is 921600/ },
    { of: 'a ConfigMap without permission to read it',
      failing: statusError({ status: 403, reason: 'Forbidden', message: 'cannot get configmaps' }),
      says: /GoldenSetMissing: .*ConfigMap set cannot be read: .*403/ },
    { of: 'a volume claim that the pods do not mount',
      golden: { uri: 'pvc://other/golden.bin', digest: `sha256:${'3'.repeat(64)}`, metric: 'Cosine' },
      says: /GoldenSetInvalid: .*is in volume claim 'other', which the pods do not mount: the model is not in/ },
  ];
  for (const { of, content, failing, golden = fromMap, says } of troubles) {
    it(`holds the candidate, but not stable, for ${of}`, async () => {
      world.apply('ok', undefined);
      await world.live(60);
      const stable = world.candidate;
      if (content !== undefined) world.userSet(content);
      world.failing = failing;
      world.apply('ok-2', golden);
      await world.live(30);
      assert.match(world.says, says);
      assert.equal(world.mapOf(world.candidate), undefined);
      assert.equal(world.cluster.routed, stable);
      assert.equal(world.cluster.readyPods(stable), 1);
      assert.equal((await world.pass()).recheckMs, 5000);
    });
  }

  it('that is created late is then used', async () => {
    world.apply('ok', fromMap);
    await world.live(30);
    assert.match(world.says, /GoldenSetMissing/);
    world.userSet({ data: { only: 'one' } });
    await world.live(60);
    assert.match(world.says, /^Stable UpToDate/);
    assert.equal(world.frozenText(), 'one');
  });

  it('that is never created fails the rollout at its deadline', async () => {
    world.apply('ok', undefined);
    await world.live(60);
    world.apply('ok-2', fromMap, { progressDeadline: '1m' });
    await world.live(70);
    assert.match(world.says, /^Failed GoldenSetMissing/);
  });

  it('that the model passes is reported while other pods start', async () => {
    world.apply('ok', undefined, {}, 2);
    await world.live(60);
    world.apply('ok-2', { metric: 'Cosine', min: '0.5' }, {}, 2);
    await world.live(30);
    assert.match(world.says, /^Preparing RevisionWarming: 1 of 2 pods/);
    const loaded = world.cluster.status.conditions?.find(({ type }) => type === 'ModelLoaded');
    assert.match(
      loaded?.message ?? '',
      /is loaded and warmed up; generated inputs: Cosine 1 in the worst of 16 cases, required: at least 0\.5$/,
    );
  });

  it('that the model fails stops the rollout before it has traffic, with the numbers', async () => {
    world.userSet({ data: { 'golden.jsonl': 'one' } });
    world.apply('ok', fromMap);
    await world.live(60);
    const stable = world.candidate;
    world.apply('odd', fromMap);
    await world.live(40);
    assert.match(
      world.says,
      /^Failed GoldenFailed: .*golden set: Cosine 0\.31 in the worst of 16 cases, required: at least 0\.95/,
    );
    assert.equal(world.cluster.routed, stable);
    assert.equal(world.cluster.status.history?.[0]?.reason, 'GoldenFailed');
    assert.match(world.cluster.status.history?.[0]?.message ?? '', /^golden set: Cosine 0\.31/);
  });

  it('is read again when the rollout is retried', async () => {
    world.userSet({ data: { 'golden.jsonl': 'one' } });
    world.apply('ok', fromMap);
    await world.live(60);
    world.apply('odd', fromMap);
    await world.live(60);
    assert.match(world.says, /^Failed/);
    world.userSet({ data: { 'golden.jsonl': 'two' } });
    await world.live(30);
    const read = world.asked.length;
    world.apply('odd', { ...fromMap, min: '0.2' }, { retryToken: '2' });
    await world.live(60);
    assert.ok(world.asked.length > read);
    assert.match(world.says, /^Stable UpToDate/);
    assert.equal(world.frozenText(), 'two');
  });

  for (const [how, break_] of [
    ['is gone', (at: World) => at.cluster.objects.delete('ConfigMap/set')],
    ['has grown too large', (at: World) => at.userSet({ data: { 'golden.jsonl': ' '.repeat(goldenLimitBytes + 1) } })],
  ] as const) {
    it(`that ${how} at a retry holds the candidate: results of the previous set do not count`, async () => {
      // retainStable keeps the pods of the failed candidate. They still report results of the previous set.
      const capacity = { retainStable: '5m' };
      world.userSet({ data: { 'golden.jsonl': 'one' } });
      world.apply('ok', fromMap);
      await world.live(60);
      const stable = world.candidate;
      world.apply('odd', fromMap, { capacity });
      await world.live(40);
      assert.match(world.says, /^Failed GoldenFailed/);
      break_(world);
      world.apply('odd', fromMap, { capacity, retryToken: '2' });
      await world.live(40);
      assert.match(world.says, /^Preparing GoldenSet(Missing|Invalid): .*golden set: /);
      assert.equal(world.cluster.routed, stable);
    });
  }

  it("is read again when a user changed the revision's own copy", async () => {
    world.userSet({ data: { 'golden.jsonl': 'one' } });
    world.apply('ok', fromMap);
    await world.live(10);
    const map = world.mapOf(world.candidate) ?? assert.fail('no ConfigMap');
    world.cluster.objects.set(`ConfigMap/${map.metadata.name}`, {
      ...map,
      metadata: { ...map.metadata, resourceVersion: '999999' },
      data: { ...map.data, 'golden.jsonl': 'mine' },
    });
    await world.live(5);
    assert.equal(world.frozenText(), 'one');
  });

  it('is not required for a revision that is promoted by request', async () => {
    world.apply('ok', undefined);
    await world.live(60);
    world.apply('ok-2', fromMap);
    await world.live(10);
    assert.match(world.says, /GoldenSetMissing/);
    world.apply('ok-2', fromMap, { promoteRevision: world.candidate });
    await world.live(60);
    assert.match(world.says, /^Stable UpToDate/);
    assert.equal(world.goldenOf(world.candidate), undefined);
  });

  it('is not required for a proven revision', async () => {
    world.apply('ok', undefined);
    await world.live(60);
    world.apply('ok-2', undefined);
    await world.live(60);
    world.apply('ok', fromMap);
    await world.live(60);
    assert.match(world.says, /^Stable UpToDate/);
    assert.deepEqual(world.asked, []);
  });
});
