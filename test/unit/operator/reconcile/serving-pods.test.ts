/**
 * Two revisions share the model's entry Service, which selects pods with a certain label (marked pods). Checks the
 * order of the writes, and simulates a crash instead of each write. A decision says which revisions get the traffic; a
 * pass is one run of the operator for a model.
 */
import assert from 'node:assert/strict';
import { labels } from '../../../../api/names.ts';
import { apply } from '../../../../operator/reconcile/apply.ts';
import { isReady, type Pod, type Service } from '../../../../kube/kinds.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { observe } from '../../../../operator/see/observe.ts';
import type { Seen } from '../../../../operator/see/seen.ts';
import { RecentWrites } from '../../../../operator/reconcile/recent-writes.ts';
import { desiredState } from '../../../../operator/reconcile/desired-state.ts';
import type { Decision, Revision } from '../../../../operator/rollout/state.ts';
import { unmarkPods, type ApplyDeps } from '../../../../operator/reconcile/serving-pods.ts';
import { TrafficMemory } from '../../../../operator/traffic/traffic-memory.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { operatorSettings } from '../../../support/operator-of.ts';

const [a, b, c] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'] as const;
const counts: Readonly<Record<Revision, number>> = { [a]: 3, [b]: 1, [c]: 2 };
const run = Object.entries(counts).map(([revision, replicas]) => ({ revision, replicas }));
const rest = (serve: Revision): Decision => ({
  next: { phase: 'Stable', stable: serve },
  serve,
  run,
  reason: 'UpToDate',
  message: '',
});
const share = (serve: Revision, canary: Revision): Decision => ({
  ...rest(serve),
  canary: { revision: canary, weight: 25 },
});

/** Consecutive decisions of a rollout, and for how many seconds each is in effect. */
const course: readonly { readonly decision: Decision; readonly seconds: number }[] = [
  { decision: rest(a), seconds: 2 },
  { decision: share(a, b), seconds: 4 },
  { decision: rest(a), seconds: 8 },
  { decision: share(a, c), seconds: 4 },
  // Long enough for the operator's waiting times, even if a crash starts them again.
  { decision: rest(c), seconds: 16 },
];

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  readonly log: { readonly atMs: number; readonly what: string }[] = [];
  #traffic = new TrafficMemory();
  #recent = new RecentWrites();

  constructor() {
    this.cluster.put(given.spec({ replicas: 3 }));
    const owner = { apiVersion: 'onnx-operator.dev/v1alpha1', kind: 'OnnxModel', name: 'ranker', uid: 'uid-ranker' };
    for (const { revision, replicas } of run) {
      const mine = { [labels.model]: 'ranker', [labels.revision]: revision };
      this.#put({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: {
          name: `ranker-${revision}`,
          namespace: 'ml',
          labels: mine,
          ownerReferences: [owner],
          creationTimestamp: '2026-01-01T00:00:00Z',
        },
      });
      for (let index = 0; index < replicas; index += 1) this.addPod(revision, `${index}`, true);
      this.addPod(revision, 'unready', false);
    }
  }

  addPod(revision: Revision, name: string, ready: boolean): void {
    const metadata = {
      name: `${revision}-${name}`,
      namespace: 'ml',
      uid: `uid-${revision}-${name}`,
      resourceVersion: '0',
      labels: { [labels.model]: 'ranker', [labels.revision]: revision },
      creationTimestamp: '2026-01-01T00:00:00Z',
    };
    this.#put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
    } as KubeObject);
  }

  #put(object: KubeObject): void {
    this.cluster.objects.set(`${object.kind}/${object.metadata.name}`, object as KubeObject & Record<string, unknown>);
  }

  /** Simulates a new process without the in-memory state. */
  restart(): void {
    this.#traffic = new TrafficMemory();
    this.#recent = new RecentWrites();
  }

  see(): Seen {
    const seen = observe('ml/ranker', this.cluster.caches, operatorSettings);
    assert.ok(seen);
    return seen;
  }

  async pass(decision: Decision): Promise<void> {
    const seen = this.see();
    const hands: ApplyDeps = {
      client: this.cluster.client,
      call: {},
      recent: this.#recent,
      traffic: this.#traffic,
      clock: this.clock,
    };
    const applied = await apply(hands, seen, { decision, manifests: desiredState(seen.model, decision, new Map()) });
    if (applied.error !== undefined) throw new Error('the pass failed', { cause: applied.error });
  }

  /** Number of ready pods that the entry Service selects, by revision. */
  get served(): Readonly<Record<Revision, number>> {
    const selector = Object.entries(
      (this.cluster.objects.get('Service/ranker') as Service | undefined)?.spec?.selector ?? { none: 'yet' },
    );
    const pods = this.cluster
      .of<Pod>('Pod')
      .filter((pod) => isReady(pod) && selector.every(([key, value]) => pod.metadata.labels?.[key] === value));
    return Object.fromEntries(
      Object.keys(counts).map((revision) => [
        revision,
        pods.filter((pod) => pod.metadata.labels?.[labels.revision] === revision).length,
      ]),
    );
  }

  get marked(): readonly string[] {
    return this.cluster
      .of<Pod>('Pod')
      .filter((pod) => pod.metadata.labels?.[labels.serving] !== undefined)
      .map((pod) => pod.metadata.name)
      .sort();
  }
}

/** @param crashAt the process crashes instead of this write; writes are counted from 1; 0: it does not crash */
async function tell(crashAt = 0): Promise<Stage> {
  const stage = new Stage();
  let count = 0;
  let allowed: readonly Revision[] = [];
  const check = (): void => {
    const served = Object.entries(stage.served)
      .filter(([, ready]) => ready > 0)
      .map(([revision]) => revision);
    if (stage.cluster.objects.has('Service/ranker'))
      assert.notEqual(served.length, 0, 'the entry Service does not select a pod');
    for (const revision of served) assert.ok(allowed.includes(revision), `${revision} gets traffic`);
  };
  stage.cluster.beforeWrite = (what) => {
    check();
    count += 1;
    if (count === crashAt) throw new Error(`crash before ${what}`);
    stage.log.push({ atMs: stage.clock.monotonic(), what });
  };
  for (const { decision, seconds } of course) {
    // Also allow traffic to the revisions of the previous decision: they keep it until a pass has moved it.
    allowed = [...new Set([...allowed.slice(-2), decision.serve ?? '', decision.canary?.revision ?? ''])];
    for (let half = 0; half < 2 * seconds; half += 1) {
      await stage.pass(decision).catch(() => stage.restart());
      check();
      await stage.clock.advance(500);
    }
    allowed = [decision.serve ?? '', decision.canary?.revision ?? ''];
    check();
  }
  return stage;
}

describe('pods that share the traffic', () => {
  it('are marked when ready, before the entry Service selects by the mark', async () => {
    const stage = new Stage();
    await stage.pass(rest(a));
    await stage.pass(share(a, b));
    assert.deepEqual([stage.served, stage.marked.length], [{ [a]: 3, [b]: 0, [c]: 0 }, 4]);
    for (let second = 0; second < 2; second += 1) {
      await stage.clock.advance(1000);
      await stage.pass(share(a, b));
    }
    assert.deepEqual(stage.served, { [a]: 3, [b]: 1, [c]: 0 });
    assert.deepEqual(stage.see().rollout.traffic?.shares, { [a]: 75, [b]: 25 });
  });

  it('are joined by a pod that becomes ready later', async () => {
    const stage = await until(share(a, b));
    stage.addPod(a, 'late', true);
    await stage.pass(share(a, b));
    assert.deepEqual(stage.served, { [a]: 4, [b]: 1, [c]: 0 });
  });

  it('include only the decided number of pods of the candidate, the oldest first', async () => {
    const stage = await until(share(a, b));
    stage.addPod(b, 'left over', true);
    await stage.pass(share(a, b));
    assert.deepEqual([stage.served[b], stage.marked.filter((name) => name.startsWith(b))], [1, [`${b}-0`]]);
    const more = { ...share(a, b), run: run.map((one) => (one.revision === b ? { ...one, replicas: 2 } : one)) };
    await stage.pass(more);
    assert.equal(stage.served[b], 2);
    await stage.pass(share(a, b));
    assert.deepEqual([stage.served[b], stage.marked.filter((name) => name.startsWith(b))], [1, [`${b}-0`]]);
  });

  it('keep their mark while not ready, and get no traffic', async () => {
    const stage = await until(share(a, b));
    const before = stage.cluster.writes.length;
    const pod = stage.cluster.objects.get(`Pod/${b}-0`);
    stage.cluster.objects.set(`Pod/${b}-0`, { ...pod, status: { conditions: [] } } as never);
    await stage.pass(share(a, b));
    assert.deepEqual([stage.served[b], stage.cluster.writes.length], [0, before]);
  });

  it('return the traffic by one write, and lose their marks later', async () => {
    const stage = await until(share(a, b));
    const before = stage.cluster.writes.length;
    await stage.pass(rest(a));
    assert.deepEqual(stage.cluster.writes.slice(before), ['apply Service/ranker']);
    assert.deepEqual(stage.served, { [a]: 3, [b]: 0, [c]: 0 });
    for (let second = 0; second < 7; second += 1) {
      await stage.clock.advance(1000);
      await stage.pass(rest(a));
    }
    assert.deepEqual(stage.marked, []);
  });

  it('keep their marks while a cache shows that the Service selects by them', async () => {
    const stage = await until(share(a, b));
    const hands: ApplyDeps = {
      client: stage.cluster.client,
      call: {},
      recent: new RecentWrites(),
      traffic: new TrafficMemory(),
      clock: stage.clock,
    };
    for (let second = 0; second < 12; second += 1) {
      assert.equal((await unmarkPods(hands, stage.see(), rest(a))).writes, 0);
      await stage.clock.advance(1000);
    }
    assert.equal(stage.marked.length, 4);
  });

  it('do not cause writes or rechecks in a pass without changes', async () => {
    const stage = await until(share(a, b));
    const before = stage.cluster.writes.length;
    for (let pass = 0; pass < 5; pass += 1) {
      await stage.clock.advance(2000);
      await stage.pass(share(a, b));
    }
    assert.deepEqual(stage.cluster.writes.slice(before), []);
  });

  it('have marks for one second before the Service selects by them, and for five seconds after it stops', async () => {
    const { log } = await tell();
    const services = log.filter(({ what }) => what === 'apply Service/ranker').map(({ atMs }) => atMs);
    const marks = log.filter(({ what }) => what.startsWith('apply Pod/')).map(({ atMs }) => atMs);
    assert.equal(services.length, 5);
    const [, first = 0, back = 0] = services;
    assert.ok(
      marks.filter((atMs) => atMs < first).every((atMs) => first - atMs >= 1000),
      'the Service selected by marks younger than one second',
    );
    assert.ok(marks.filter((atMs) => atMs > first && atMs < back).length === 0, 'marks changed under the selector');
    assert.ok(
      marks.filter((atMs) => atMs >= back).every((atMs) => atMs - back >= 5000),
      'marks were removed too early',
    );
  });

  it('never leave the entry Service without ready pods, at whichever write the process crashes', async () => {
    const whole = await tell();
    assert.ok(whole.log.length > 15);
    for (let at = 1; at <= whole.log.length; at += 1) {
      const stage = await tell(at);
      assert.deepEqual(
        [stage.served, stage.marked],
        [{ [a]: 0, [b]: 0, [c]: 2 }, []],
        `after a crash in the place of write ${at}`,
      );
    }
  });
});

/** A stage after this decision was in effect for four seconds, in which all its writes are done. */
async function until(decision: Decision): Promise<Stage> {
  const stage = new Stage();
  await stage.pass(rest(a));
  for (let second = 0; second < 4; second += 1) {
    await stage.pass(decision);
    await stage.clock.advance(1000);
  }
  return stage;
}
