/**
 * Complete Immediate rollouts (the new revision gets all traffic at once) as text for review: the status, the serving
 * revision and the pods. A pass is one run of the operator for a model.
 */
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import assert from 'node:assert/strict';
import { labels } from '../../api/names.ts';
import type { Pod } from '../../kube/kinds.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { operatorOf } from '../support/operator-of.ts';
import { assertGolden } from '../support/golden.ts';
import { HandClock } from '../support/hand-clock.ts';

const spec = (uri: string, more: Partial<OnnxModelSpec> = {}): OnnxModelSpec => ({
  model: { uri: `https://models.example/${uri}` },
  replicas: 2,
  revisionHistoryLimit: 5,
  ...more,
});

type Step = { readonly atS: number; readonly say: string; readonly apply: OnnxModelSpec };

/** Runs for `seconds` in steps of five seconds; adds a line for each visible change. */
async function tell(
  seconds: number,
  steps: readonly Step[],
  crash?: (cluster: FakeCluster) => void,
): Promise<{ story: string; cluster: FakeCluster }> {
  const cluster = new FakeCluster(new HandClock());
  crash?.(cluster);
  let reconciler = operatorOf(cluster);
  const names = new Map<string, string>();
  const lines: string[] = [];
  let last = '';
  for (let atS = 0; atS <= seconds; atS += 5) {
    for (const step of steps.filter((s) => s.atS === atS)) {
      cluster.put(step.apply);
      lines.push(`# ${step.say}`);
    }
    cluster.tick();
    // Run several passes: in a cluster, each write triggers another pass through the watches. After a crash, a new
    // process starts.
    for (let pass = 0; pass < 4; pass += 1) {
      await reconciler.reconcile('ml/ranker').catch(() => {
        reconciler = operatorOf(cluster);
      });
      assertInvariants(cluster);
    }
    const line = describeNow(cluster, names);
    if (line !== last) lines.push(`${String(atS).padStart(4)}s  ${line}`);
    last = line;
    await cluster.clock.advance(5000);
  }
  return { story: `${lines.join('\n')}\n`, cluster };
}

function assertInvariants(cluster: FakeCluster): void {
  const { routed } = cluster;
  if (routed === undefined) return;
  const others = cluster
    .of<Pod>('Pod')
    .map((pod) => pod.metadata.labels?.[labels.revision])
    .filter((revision) => revision !== routed);
  const stable = cluster.status?.stable?.revision;
  if (cluster.readyPods(routed) === 0 && stable !== undefined) {
    for (const other of others)
      assert.equal(cluster.readyPods(other), 0, `traffic goes to ${routed} without ready pods while ${other} has some`);
  }
}

function describeNow(cluster: FakeCluster, names: Map<string, string>): string {
  const nameOf = (revision: string | undefined): string => {
    if (revision === undefined) return '-';
    if (!names.has(revision)) names.set(revision, `v${names.size + 1}`);
    return names.get(revision) ?? '';
  };
  const { status } = cluster;
  const route = nameOf(cluster.routed);
  nameOf(status.candidate?.revision);
  const revisions = [...new Set(cluster.of<Pod>('Pod').map((pod) => pod.metadata.labels?.[labels.revision]))];
  const pods = revisions
    .map(
      (r) =>
        `${nameOf(r)} ` +
        `${cluster.readyPods(r)}/` +
        `${cluster.of<Pod>('Pod').filter((p) => p.metadata.labels?.[labels.revision] === r).length}`,
    )
    .join(' ');
  const conditions = (status.conditions ?? [])
    .filter((c) => ['Ready', 'Reconciling', 'Stalled', 'Available'].includes(c.type) && c.status === 'True')
    .map((c) => c.type)
    .join(',');
  let text =
    `${(status.phase ?? '').padEnd(10)} route ${route}  pods ${pods.padEnd(14)} ${`[${conditions}]`.padEnd(22)} ` +
    `${status.rollout?.reason}: ${status.message}`;
  for (const [revision, name] of names) text = text.replaceAll(revision, name);
  return text;
}

// prettier-ignore
const stories: readonly { name: string; seconds: number; steps: readonly Step[] }[] = [
  { name: 'a first revision comes up', seconds: 60, steps: [{ atS: 0, say: 'apply', apply: spec('ok') }] },
  { name: 'a changed spec takes over', seconds: 140,
    steps: [{ atS: 0, say: 'apply', apply: spec('ok') },
      { atS: 60, say: 'change the batch size', apply: spec('ok', { batching: { maxBatchSize: 16 } }) }] },
  { name: 'a revision with another digest does not affect stable',
    seconds: 150, steps: [{ atS: 0, say: 'apply', apply: spec('ok') },
      { atS: 60, say: 'change the model', apply: spec('wrong-digest') },
      { atS: 120, say: 'put the old spec back', apply: spec('ok') }] },
  { name: 'a revision that exceeds its memory limit does not affect stable', seconds: 120,
    steps: [{ atS: 0, say: 'apply', apply: spec('ok') }, { atS: 60, say: 'change the model', apply: spec('oom') }] },
  { name: 'an image that cannot be pulled fails at the deadline', seconds: 160,
    steps: [{ atS: 0, say: 'apply', apply: spec('ok') },
      { atS: 60, say: 'change the model', apply: spec('no-image', { rollout: { progressDeadline: '1m' } }) }] },
  { name: 'a third spec replaces the second one while it starts', seconds: 170,
    steps: [{ atS: 0, say: 'apply', apply: spec('ok') }, { atS: 60, say: 'apply a slow one', apply: spec('slow') },
      { atS: 75, say: 'apply a third', apply: spec('ok-3') }] },
];

describe('Immediate rollouts', () => {
  for (const { name, seconds, steps } of stories) {
    it(name, async () => {
      const { story } = await tell(seconds, steps);
      assertGolden(`story/${name.replaceAll(' ', '-')}.golden`, `# ${name}\n${story}`);
    });
  }

  it('does not write when there are no changes', async () => {
    const { cluster } = await tell(120, stories[1]!.steps);
    const before = cluster.writes.length;
    const reconciler = operatorOf(cluster);
    for (let i = 0; i < 20; i += 1) {
      cluster.tick();
      await reconciler.reconcile('ml/ranker');
    }
    assert.deepEqual(cluster.writes.slice(before), []);
  });

  it('does not create objects for a deleted model that the cache still shows', async () => {
    const cluster = new FakeCluster(new HandClock());
    cluster.put(spec('ok'));
    const stale = cluster.caches.model('ml/ranker');
    cluster.objects.delete('OnnxModel/ranker');
    Object.assign(cluster.caches, { model: () => stale });
    assert.deepEqual(await operatorOf(cluster).reconcile('ml/ranker'), {});
    assert.deepEqual(cluster.writes, []);
  });

  it('does not change a Service of its name with another owner', async () => {
    const cluster = new FakeCluster(new HandClock());
    const foreign = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ranker', namespace: 'ml', uid: 'other' },
      spec: { selector: { app: 'shop' } },
    };
    cluster.objects.set('Service/ranker', foreign);
    cluster.put(spec('ok'));
    const reconciler = operatorOf(cluster);
    assert.deepEqual(await reconciler.reconcile('ml/ranker'), { recheckMs: 0 });
    assert.deepEqual(await reconciler.reconcile('ml/ranker'), { recheckMs: 5000 });
    assert.equal(cluster.objects.get('Service/ranker'), foreign);
    const ready = cluster.status.conditions?.find((condition) => condition.type === 'Ready');
    assert.deepEqual([ready?.status, ready?.reason], ['False', 'ApplyFailed']);
    assert.match(
      ready?.message ?? '',
      new RegExp(
        "Service named ranker already exists and has neither an owner nor the operator's labels: delete " +
          'it or rename the model',
      ),
    );
  });

  it('keeps revisionHistoryLimit old revisions', async () => {
    const steps = [1, 2, 3, 4, 5].map((n) => ({
      atS: (n - 1) * 60,
      say: `v${n}`,
      apply: spec(`ok-${n}`, { revisionHistoryLimit: 2 }),
    }));
    const { cluster } = await tell(320, steps);
    assert.equal(cluster.of('ControllerRevision').length, 3);
    assert.equal(cluster.of('Deployment').length, 1);
    assert.deepEqual(
      cluster.status.history?.map((entry) => entry.outcome),
      ['Promoted', 'Promoted', 'Promoted', 'Promoted', 'Promoted'],
    );
  });
});

describe('Immediate rollouts, with a crash instead of any write', () => {
  // First count the writes of the story. Then run the story again for each write, with a crash instead of the write.
  it('end in the state of the spec', async function () {
    this.timeout(120_000);
    const { steps, seconds } = stories[1]!;
    const { cluster: whole } = await tell(seconds, steps);
    for (let at = 0; at < whole.writes.length; at += 1) {
      let count = 0;
      const { cluster } = await tell(seconds, steps, (c) => {
        c.beforeWrite = (what) => {
          count += 1;
          if (count === at + 1) throw new Error(`crash before ${what}`);
        };
      });
      assert.equal(cluster.status.phase, 'Stable', `after a crash before write ${at}`);
      assert.equal(cluster.routed, cluster.status.stable?.revision);
      assert.equal(cluster.status.stable?.revision, whole.status.stable?.revision);
      assert.equal(cluster.of('Deployment').length, 1);
    }
  });
});
