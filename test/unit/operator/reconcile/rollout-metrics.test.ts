/** The metrics of rollouts that the operator exposes. */
import assert from 'node:assert/strict';
import { createRegistry, expose } from '../../../../lib/metrics.ts';
import { RolloutMetrics } from '../../../../operator/reconcile/rollout-metrics.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { CanaryWorld } from '../../../support/canary-world.ts';

const spec = (uri: string): OnnxModelSpec => ({
  model: { uri: `https://models.example/${uri}` },
  replicas: 2,
  rollout: { strategy: 'Canary', steps: [{ weight: 50 }, { analyze: { require: 'Pass' } }] },
});

class Scraped {
  readonly registry = createRegistry();
  readonly silent = new Set<string>();
  readonly metrics = new RolloutMetrics(this.registry, (uid) => this.silent.has(uid));
  readonly world: CanaryWorld;

  constructor(seed: number) {
    this.world = new CanaryWorld({
      perMinute: 3000,
      seed,
      more: { measure: (key, pass) => this.metrics.measure(key, pass) },
    });
  }

  async live(until: (phase: string | undefined) => boolean): Promise<void> {
    for (let i = 0; i < 200; i += 1) {
      await this.world.tick();
      if (until(this.world.cluster.status.phase)) return;
    }
    assert.fail(`it never came to that: ${this.world.cluster.status.phase}`);
  }

  /** The series whose names begin with onnx_operator_, without the buckets of histograms. */
  async series(): Promise<readonly string[]> {
    const { body } = await expose(this.registry);
    return body.split('\n').filter((line) => line.startsWith('onnx_operator_') && !line.includes('_bucket'));
  }
}

describe('metrics of rollouts', () => {
  it('show the progress of a rollout and its outcome', async () => {
    const scraped = new Scraped(3);
    scraped.world.cluster.put(spec('ok-first'));
    await scraped.live((phase) => phase === 'Stable');
    assert.deepEqual(await scraped.series(), [
      'onnx_operator_rollouts_total{outcome="Promoted",reason="Promoted"} 1',
      'onnx_operator_reports_total 0',
      'onnx_operator_silent_pods{namespace="ml",model="ranker"} 0',
      // The second pod is made when prepare has told the digest.
      'onnx_operator_ready_pods{namespace="ml",model="ranker"} 1',
      'onnx_operator_wanted_replicas{namespace="ml",model="ranker"} 2',
    ]);

    scraped.world.cluster.put(spec('ok-x1.8'));
    await scraped.live((phase) => phase === 'Analyzing');
    await scraped.world.tick();
    const under = await scraped.series();
    for (const line of [
      'onnx_operator_rollout_step{namespace="ml",model="ranker"} 1',
      'onnx_operator_rollout_weight_ratio{namespace="ml",model="ranker",kind="desired"} 0.5',
      'onnx_operator_rollout_weight_ratio{namespace="ml",model="ranker",kind="set"} 0.5',
      'onnx_operator_rollout_weight_ratio{namespace="ml",model="ranker",kind="actual"} 0.5',
      'onnx_operator_gate_verdict{namespace="ml",model="ranker",gate="p95",verdict="Undecided"} 1',
      'onnx_operator_gate_verdict{namespace="ml",model="ranker",gate="errors",verdict="Undecided"} 1',
    ])
      assert.ok(under.includes(line), `${line} in ${under.join('\n')}`);

    await scraped.live((phase) => phase === 'Failed');
    const after = await scraped.series();
    assert.ok(
      after.includes('onnx_operator_rollouts_total{outcome="RolledBack",reason="LatencyGateFailed"} 1'),
      after.join('\n'),
    );
    assert.ok(after.includes('onnx_operator_rollout_decision_seconds_count{outcome="RolledBack"} 1'), after.join('\n'));
    const seconds = Number(/decision_seconds_sum\{outcome="RolledBack"\} (\S+)/.exec(after.join('\n'))?.[1]);
    assert.ok(seconds >= 30 && seconds <= 600, `${seconds} s`);
    assert.deepEqual(
      after.filter((line) => /_step|_weight_ratio|gate_verdict/.test(line)),
      [],
    );
  });

  it('count silent pods and remove the series of a deleted model', async () => {
    const scraped = new Scraped(4);
    scraped.world.cluster.put(spec('ok-first'));
    await scraped.live((phase) => phase === 'Stable');
    for (const pod of scraped.world.cluster.of('Pod')) scraped.silent.add(pod.metadata.uid ?? '');
    await scraped.world.tick();
    assert.ok((await scraped.series()).includes('onnx_operator_silent_pods{namespace="ml",model="ranker"} 2'));
    scraped.metrics.reportReceived();
    scraped.metrics.measure('ml/ranker', undefined);
    assert.deepEqual(await scraped.series(), [
      'onnx_operator_rollouts_total{outcome="Promoted",reason="Promoted"} 1',
      'onnx_operator_reports_total 1',
    ]);
    scraped.metrics.measure('ml/other', undefined);
  });
});
