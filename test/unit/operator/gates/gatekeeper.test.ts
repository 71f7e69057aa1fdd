/**
 * The gatekeeper: collects the reports of pods, has the gates judged, and keeps the evidence in a ConfigMap.
 *
 * Terms: the candidate (the new revision) is compared with stable (the serving revision) in a window. Reports count
 * requests in blocks of 20 s. A pass is one run of the operator for a model.
 */
import assert from 'node:assert/strict';
import type { OnnxModel } from '../../../../api/onnxmodel.ts';
import type { Report } from '../../../../api/report.ts';
import { labels } from '../../../../api/names.ts';
import type { Logger } from '../../../../lib/log.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { Gatekeeper, pausedRenewMs, renewMs, silentMs } from '../../../../operator/gates/gatekeeper.ts';
import type { Pod } from '../../../../kube/kinds.ts';
import type { Seen } from '../../../../operator/see/seen.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';
import type { Decision, RolloutState } from '../../../../operator/rollout/state.ts';
import { reportsOfPods, type Shape } from '../../../support/block-reports.ts';

const key = 'ml/ranker';
const window = 90_000;
const atMs = (block: number): number => block * 20_000;
const course = { stable: 'stable', candidate: 'candidate', attempt: 1, floor: 2, since: 0 } as const;
const analyzing: RolloutState = { phase: 'Analyzing', ...course, step: 1, weight: 50, window };
const preparing: RolloutState = { phase: 'Preparing', ...course };
const shifting: RolloutState = { phase: 'Shifting', ...course, step: 0, weight: 50, set: 0 };
const atRest: RolloutState = { phase: 'Stable', stable: 'stable' };
const spec = {
  model: { uri: 'https://models.example/m' },
  replicas: 2,
  rollout: {
    strategy: 'Canary',
    steps: [{ weight: 50 }, { analyze: { require: 'Pass' } }],
    gates: { latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }], errors: { maxIncrease: '0.5%' } },
  },
} as const;

const podNames = ['stable-0', 'stable-1', 'candidate-0', 'candidate-1'];

function podOf(name: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: name, namespace: 'ml' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** The observed data of a pass in the rollout state `memory`, with only the parts that the gatekeeper reads. */
function seenIn(
  memory: RolloutState,
  more: { readonly pods?: readonly string[]; readonly children?: readonly Manifest[] } = {},
): Seen {
  const there = (more.pods ?? podNames).map(podOf);
  const of = (revision: string): Pod[] => there.filter((pod) => pod.metadata.name.startsWith(revision));
  const model = {
    apiVersion: 'onnx-operator.dev/v1alpha1',
    kind: 'OnnxModel',
    metadata: { name: 'ranker', namespace: 'ml', uid: 'u' },
    spec,
  } as unknown as OnnxModel;
  const pods = new Map([
    ['stable', of('stable')],
    ['candidate', of('candidate')],
  ]);
  return {
    model,
    memory,
    plan: rolloutPlanOf(spec, 1000),
    rollout: { target: 'candidate', routed: null, pods: {} },
    pods,
    children: more.children ?? [],
  } as unknown as Seen;
}

class Kept {
  readonly heardAt = new Map<string, number>();
  readonly anew: string[] = [];
  readonly warnings: string[] = [];
  keeper = this.begin();

  begin(): Gatekeeper {
    const logger: Logger = { ...silentLogger, warn: (message) => this.warnings.push(message) };
    this.keeper = new Gatekeeper({
      heardAtMs: (uid) => this.heardAt.get(uid),
      hearAnew: (model) => this.anew.push(model),
      logger,
    });
    return this.keeper;
  }

  /** All pods report their blocks from 3 blocks before the window up to block `until`. */
  hear(until: number, candidate: Partial<Shape> = {}): void {
    const shape = { first: window - 3, blocks: until - window + 4, pods: 2, perBlock: 100, factor: 1, failures: 0 };
    for (const { pod, bootId, revision, since, until: to, blocks } of [
      ...reportsOfPods('stable', { ...shape, seed: 1 }),
      ...reportsOfPods('candidate', { ...shape, seed: 2, ...candidate }),
    ]) {
      this.heardAt.set(pod, atMs(until + 1));
      this.keeper.hear(key, pod, {
        schema: 1,
        bootId,
        seq: to,
        revision,
        blocks: { since, until: to, counts: blocks },
      } satisfies Report);
    }
  }

  judge(memory: RolloutState, block: number, more: Parameters<typeof seenIn>[1] = {}) {
    return this.keeper.judge(key, seenIn(memory, more), atMs(block));
  }

  children(next: RolloutState, block: number, more: Parameters<typeof seenIn>[1] = {}): readonly Manifest[] {
    return this.keeper.children(key, seenIn(next, more), { next } as Decision, atMs(block));
  }
}

const fromTheStart = (): Kept => {
  const kept = new Kept();
  kept.judge(preparing, window - 6);
  kept.judge(shifting, window - 3);
  return kept;
};

describe('the gatekeeper', () => {
  it('requests the complete rings once a candidate is prepared, and has no ledger at rest', () => {
    const kept = new Kept();
    assert.equal(kept.judge(atRest, window - 9), undefined);
    assert.deepEqual(kept.anew, []);
    kept.judge(preparing, window - 6);
    kept.judge(preparing, window - 5);
    assert.deepEqual(kept.anew, [key]);
    assert.equal(kept.judge({ ...preparing, stable: null }, window), undefined, 'a first revision is not compared');
    kept.judge({ ...preparing, candidate: 'other' }, window);
    assert.deepEqual(kept.anew, [key, key], 'another candidate is another rollout');
  });

  it('does not judge before the weight is set', () => {
    const kept = fromTheStart();
    kept.hear(window);
    assert.equal(kept.judge(shifting, window + 1), undefined);
    assert.equal(
      kept.judge({ phase: 'Paused', ...course, step: 0, weight: 0, window: 0, why: 'StableUnhealthy' }, window + 1),
      undefined,
    );
  });

  it('fails a slow candidate, with its numbers', () => {
    const kept = fromTheStart();
    kept.hear(window + 17, { factor: 1.6 });
    const judged = kept.judge(analyzing, window + 18);
    assert.ok(judged?.shown !== undefined);
    const { reading, shown } = judged;
    assert.deepEqual([reading.step, reading.window, reading.pending], ['Fail', window, undefined]);
    assert.deepEqual(
      shown.results.map(({ gate, verdict }) => `${gate} ${verdict}`),
      ['p95 Fail', 'errors Pass'],
    );
    assert.deepEqual([shown.message, shown.alpha], [reading.message, '0.025']);
  });

  it('waits for the first report of every ready pod, for a limited time', () => {
    const kept = fromTheStart();
    kept.hear(window + 17, { factor: 1.6 });
    const more = { pods: [...podNames, 'stable-9'] };
    kept.heardAt.set('stable-9', atMs(window + 18));
    const waiting = kept.judge(analyzing, window + 18, more)?.reading;
    assert.deepEqual(
      [waiting?.step, waiting?.pending, waiting?.message],
      ['Waiting', true, 'waiting for the first report of stable-9'],
    );
    assert.equal(kept.judge(analyzing, window + 19, more)?.reading.step, 'Fail');
  });

  it('treats a revision as silent when no ready pod has reported for a minute', () => {
    const kept = fromTheStart();
    kept.hear(window + 5);
    const late = window + 6 + silentMs / 20_000;
    assert.deepEqual(kept.judge(analyzing, late)?.reading.silent, []);
    assert.deepEqual(kept.judge(analyzing, late + 1)?.reading.silent, ['stable', 'candidate']);
    kept.heardAt.set('candidate-1', atMs(late));
    assert.deepEqual(kept.judge(analyzing, late + 1)?.reading.silent, ['stable']);
    assert.deepEqual(
      kept.judge(analyzing, late + 1, { pods: ['candidate-0', 'candidate-1'] })?.reading.silent,
      [],
      'a revision without ready pods is not silent',
    );
    assert.deepEqual(
      kept.judge({ ...analyzing, weight: 100 }, late + 1)?.reading.silent,
      [],
      'stable is not asked when the candidate has all the traffic',
    );
  });

  it('refreshes shown numbers every 30 s, and at once with a new verdict', () => {
    const kept = fromTheStart();
    kept.hear(window + 2);
    const first = kept.judge(analyzing, window + 3)?.shown;
    kept.hear(window + 3);
    assert.equal(kept.judge(analyzing, window + 4)?.shown, first);
    kept.hear(window + 4);
    const later = kept.judge(analyzing, window + 3 + renewMs / 20_000 + 1)?.shown;
    assert.notEqual(later, first);
    kept.hear(window + 17, { factor: 1.6 });
    assert.notEqual(kept.judge(analyzing, window + 5)?.shown, later);
  });

  describe('predicts a step', () => {
    /** Adds reports about half an hour in which only stable serves, at 400 requests per minute. */
    const before = (kept: Kept): void => {
      for (const { pod, bootId, revision, since, until, blocks } of reportsOfPods('stable', {
        first: window - 90,
        blocks: 90,
        pods: 2,
        perBlock: 67,
        factor: 1,
        failures: 0,
        seed: 4,
      })) {
        kept.heardAt.set(pod, atMs(window));
        kept.keeper.hear(key, pod, {
          schema: 1,
          bootId,
          seq: until,
          revision,
          blocks: { since, until, counts: blocks },
        } satisfies Report);
      }
    };

    it('once, when it begins', () => {
      const kept = fromTheStart();
      before(kept);
      for (const pod of podNames) kept.heardAt.set(pod, atMs(window));
      const first = kept.judge(analyzing, window + 1);
      assert.match(
        first?.reading.promise ?? '',
        new RegExp(
          '^at (39|40|41)[0-9] requests a minute this step takes about [0-9]+ to [0-9]+ min; ' +
            String.raw`it can show that the increase is at most p95 \+15 % and errors \+0\.5 points; an increase of ` +
            String.raw`p95 \+[0-9]+ % and errors \+[0-9.]+ points or more would be found in 30 min$`,
        ),
      );
      assert.equal(first?.shown?.promise, first?.reading.promise);
      kept.hear(window + 6);
      const later = kept.judge(analyzing, window + 7);
      assert.equal(later?.reading.promise, first?.reading.promise, 'what comes then changes nothing of it');
      assert.equal(
        kept.judge({ ...analyzing, phase: 'Paused', why: 'Undecided' }, window + 8)?.reading.promise,
        undefined,
        'a pause does not end by its gates',
      );
    });

    it('equally after a restart of the operator', () => {
      const kept = fromTheStart();
      before(kept);
      kept.hear(window + 6);
      const first = kept.judge(analyzing, window + 7)?.reading.promise;
      const children = kept.children(analyzing, window + 7);
      kept.begin();
      for (const pod of podNames) kept.heardAt.set(pod, atMs(window + 7) - 60_000);
      assert.equal(kept.judge(analyzing, window + 8, { children })?.reading.promise, first);
    });

    it('or reports that there were too few requests', () => {
      const kept = fromTheStart();
      for (const pod of podNames) kept.heardAt.set(pod, atMs(window) - 60_000);
      assert.equal(
        kept.judge(analyzing, window + 1)?.reading.promise,
        'too few requests were counted before this step to predict its duration and result',
      );
    });

    it('only if it compares live traffic of both revisions', () => {
      const kept = fromTheStart();
      before(kept);
      for (const pod of podNames) kept.heardAt.set(pod, atMs(window) - 60_000);
      assert.equal(
        kept.judge({ ...analyzing, weight: 100 }, window + 1, { pods: ['candidate-0', 'candidate-1'] })?.reading
          .promise,
        undefined,
      );
    });
  });

  it('reports what a finished step has shown', () => {
    const kept = fromTheStart();
    kept.hear(window + 60);
    const reading = kept.judge(analyzing, window + 61)?.reading;
    assert.deepEqual(
      [reading?.step, reading?.shown],
      ['Done', 'nothing worse than +15 % p95, +0.5 points errors shown'],
    );
  });

  const written = (): {
    readonly kept: Kept;
    readonly before: ReturnType<Kept['judge']>;
    readonly children: readonly Manifest[];
  } => {
    const kept = fromTheStart();
    kept.hear(window + 17, { factor: 1.6 });
    return { kept, before: kept.judge(analyzing, window + 18), children: kept.children(analyzing, window + 18) };
  };

  it('refreshes shown numbers every five minutes in a pause', () => {
    const kept = fromTheStart();
    const paused: RolloutState = { ...analyzing, phase: 'Paused', why: 'Undecided' };
    kept.hear(window + 2);
    const first = kept.judge(paused, window + 3)?.shown;
    kept.hear(window + 4);
    assert.equal(kept.judge(paused, window + 2 + pausedRenewMs / 20_000)?.shown, first);
    assert.notEqual(kept.judge(paused, window + 3 + pausedRenewMs / 20_000)?.shown, first);
  });

  it('stores the ledger in a ConfigMap of the model while the candidate has traffic', () => {
    const { kept, children } = written();
    const metadata = children[0]?.metadata;
    assert.deepEqual(
      [metadata?.name, metadata?.labels[labels.revision], metadata?.ownerReferences[0]?.uid],
      ['ranker-gates', undefined, 'u'],
    );
    assert.deepEqual(kept.children(analyzing, window + 19), children, 'without news it is the same');
    assert.deepEqual(kept.children(atRest, window + 19), []);
    assert.deepEqual(
      fromTheStart().children(shifting, window - 3),
      [],
      'there is nothing to store before the first window',
    );
  });

  it('continues with the ledger that another process stored', () => {
    const { kept, before, children } = written();
    kept.begin();
    for (const pod of podNames) kept.heardAt.set(pod, atMs(window + 18) - 60_000);
    const after = kept.judge(analyzing, window + 18, { children });
    assert.deepEqual(after, { reading: before?.reading, shown: { ...before?.shown } });
    assert.deepEqual(
      kept.children(analyzing, window + 18, { children }),
      children,
      'the stored ledger is not written again',
    );
  });

  it('starts with an empty ledger when the stored one is unreadable', () => {
    const kept = new Kept();
    const children = [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'ranker-gates', labels: {} },
        data: { ledger: 'x', window: '1', writtenAt: '2026-01-01T00:00:00Z' },
      } as unknown as Manifest,
    ];
    assert.equal(kept.judge(analyzing, window + 1, { children })?.reading.step, 'Waiting');
    assert.deepEqual(kept.warnings, ['stored gate data unreadable']);
  });

  it('forgets a deleted model', () => {
    const kept = fromTheStart();
    kept.hear(window + 17, { factor: 1.6 });
    kept.keeper.forget(key);
    assert.equal(kept.judge(analyzing, window + 18)?.reading.step, 'Waiting');
  });
});
