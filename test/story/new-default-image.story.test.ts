/** An operator that is started again with another --runtime-image, over a cluster in memory. */
import assert from 'node:assert/strict';
import { containers } from '../../api/names.ts';
import type { ControllerRevision, Deployment } from '../../kube/kinds.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { HandClock } from '../support/hand-clock.ts';
import { operatorOf, operatorSettings } from '../support/operator-of.ts';

/** Runs an operator with this default image for `seconds`, in steps of five seconds. */
async function run(cluster: FakeCluster, runtimeImage: string, seconds: number): Promise<void> {
  const reconciler = operatorOf(cluster, { settings: { ...operatorSettings, runtimeImage } });
  for (let second = 0; second < seconds; second += 5) {
    cluster.tick();
    for (let pass = 0; pass < 4; pass += 1) await reconciler.reconcile('ml/ranker');
    await cluster.clock.advance(5000);
  }
}

/** The image of each Deployment's runtime, and the image in the record of each revision. */
function images(cluster: FakeCluster): { readonly running: readonly unknown[]; readonly recorded: readonly unknown[] } {
  return {
    running: cluster
      .of<Deployment>('Deployment')
      .map(({ spec }) => spec?.template?.spec?.containers?.find(({ name }) => name === containers.runtime)?.image),
    recorded: cluster
      .of<ControllerRevision>('ControllerRevision')
      .map(({ data }) => (data as { spec: { runtime: { image: string } } }).spec.runtime.image),
  };
}

describe('a new default image', () => {
  it('reaches a first revision whose image cannot be pulled, and not after it was ready', async () => {
    const cluster = new FakeCluster(new HandClock());
    cluster.put({ model: { uri: 'https://models.example/slow' }, replicas: 1 });
    await run(cluster, 'typo:1', 10);
    assert.deepEqual(images(cluster), { running: ['typo:1'], recorded: ['typo:1'] });

    await run(cluster, 'runtime:1', 200);
    assert.deepEqual(images(cluster), { running: ['runtime:1'], recorded: ['runtime:1'] });
    assert.equal(cluster.status.phase, 'Stable');

    const writes = cluster.writes.length;
    await run(cluster, 'runtime:2', 60);
    assert.deepEqual(images(cluster), { running: ['runtime:1'], recorded: ['runtime:1'] });
    assert.deepEqual(cluster.writes.slice(writes), []);
  });

  it('counts for the next revision, while stable keeps its image', async () => {
    const cluster = new FakeCluster(new HandClock());
    cluster.put({ model: { uri: 'https://models.example/ok' }, replicas: 1 });
    await run(cluster, 'runtime:1', 60);
    cluster.put({ model: { uri: 'https://models.example/slow' }, replicas: 1 });
    await run(cluster, 'runtime:2', 10);
    assert.deepEqual(new Set(images(cluster).running), new Set(['runtime:1', 'runtime:2']));
  });
});
