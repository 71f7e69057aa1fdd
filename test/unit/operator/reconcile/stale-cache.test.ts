/**
 * A pass (one run of the operator for a model) makes no decision while the cached model is older than the operator's
 * last status write.
 */
import assert from 'node:assert/strict';
import type { OnnxModel } from '../../../../api/onnxmodel.ts';
import type { Caches } from '../../../../operator/see/seen.ts';
import type { Reconciler } from '../../../../operator/reconcile/reconcile.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { operatorOf } from '../../../support/operator-of.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  /** The cached model, if it differs from the one in the cluster. */
  shown: OnnxModel | undefined;
  readonly #operator: Reconciler;

  constructor() {
    this.cluster.put(given.spec());
    const caches: Caches = { ...this.cluster.caches, model: (key) => this.shown ?? this.cluster.caches.model(key) };
    this.#operator = operatorOf(this.cluster, { caches, reports: () => undefined });
  }

  get model(): OnnxModel {
    return this.cluster.caches.model('ml/ranker') ?? assert.fail('no model');
  }

  /** Runs a pass. @returns its writes, even if the pass failed, and the delay until the next pass that it requests */
  async pass(): Promise<{ readonly writes: readonly string[]; readonly recheckMs?: number }> {
    const before = this.cluster.writes.length;
    const { recheckMs } = await this.#operator.reconcile('ml/ranker').catch(() => ({ recheckMs: undefined }));
    return { writes: this.cluster.writes.slice(before), ...(recheckMs === undefined ? {} : { recheckMs }) };
  }
}

describe('a cache that is behind the last status', () => {
  it('makes the pass wait: no write, and a recheck after one second', async () => {
    const stage = new Stage();
    const before = stage.model;
    assert.ok((await stage.pass()).writes.includes('status OnnxModel/ranker'));
    stage.shown = before;
    assert.deepEqual(await stage.pass(), { writes: [], recheckMs: 1000 });
  });

  it('makes the pass wait even if the cache of children is current', async () => {
    const stage = new Stage();
    const before = stage.model;
    await stage.pass();
    stage.shown = before;
    // Delete the Deployment: a decision on the old cache would write it again.
    stage.cluster.objects.delete([...stage.cluster.objects.keys()].find((key) => key.startsWith('Deployment/')) ?? '');
    await stage.clock.advance(6_000);
    assert.deepEqual((await stage.pass()).writes, []);
  });

  it('is used once it shows that status', async () => {
    const stage = new Stage();
    await stage.pass();
    stage.cluster.put(given.spec({ replicas: 3 }));
    assert.notDeepEqual((await stage.pass()).writes, []);
  });

  it('is used after one minute, because a restored cluster has older versions', async () => {
    const stage = new Stage();
    const before = stage.model;
    await stage.pass();
    stage.shown = before;
    await stage.clock.advance(60_000);
    assert.deepEqual((await stage.pass()).writes, []);
    await stage.clock.advance(1);
    stage.cluster.objects.set('OnnxModel/ranker', { ...before } as never);
    assert.ok((await stage.pass()).writes.includes('status OnnxModel/ranker'));
  });
});
