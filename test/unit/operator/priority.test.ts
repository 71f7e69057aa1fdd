/**
 * How urgent a pass (one run of the operator for a model) is: it depends on the model's status and on the event that
 * caused the pass.
 */
import assert from 'node:assert/strict';
import type { OnnxModel, OnnxModelStatus } from '../../../api/onnxmodel.ts';
import type { Report } from '../../../api/report.ts';
import type { Priority } from '../../../kube/controller/fair-queue.ts';
import type { Pod } from '../../../kube/kinds.ts';
import { modelPriority, podPriority, reportDelayMs, reportPriority } from '../../../operator/priority.ts';
import { gatheringMs } from '../../../operator/reports/pace.ts';
import { given } from '../../support/given.ts';
import { fullReport } from '../../support/reports.ts';

const candidate = '6c9f01ab2d';

function modelIn(phase: string | undefined, more: Partial<NonNullable<OnnxModelStatus['rollout']>> = {}): OnnxModel {
  const rollout = phase === undefined ? {} : { rollout: { phase, ...more } };
  return given.model({}, { status: { observedGeneration: 3, candidate: { revision: candidate }, ...rollout } });
}

const lost = '2026-01-01T00:00:00Z';

describe('the priority of a pass', () => {
  const rows: readonly { readonly name: string; readonly model: OnnxModel | undefined; readonly is: Priority }[] = [
    { name: 'a rollback', model: modelIn('Aborting'), is: 'urgent' },
    { name: 'a candidate without ready pods', model: modelIn('Shifting', { lostAt: lost }), is: 'urgent' },
    { name: 'a stable revision without ready pods', model: modelIn('Analyzing', { stableLostAt: lost }), is: 'urgent' },
    { name: 'a candidate under analysis', model: modelIn('Analyzing'), is: 'normal' },
    { name: 'a promotion', model: modelIn('Promoting'), is: 'normal' },
    { name: 'a candidate that starts', model: modelIn('Preparing'), is: 'normal' },
    { name: 'a new model', model: given.model(), is: 'normal' },
    { name: 'a model at rest', model: modelIn('Stable'), is: 'low' },
    { name: 'a model whose candidate was given up', model: modelIn('Failed'), is: 'low' },
    { name: 'the deletion of a replaced revision', model: modelIn('Settling'), is: 'low' },
    {
      name: 'a model at zero replicas that becomes stable',
      model: given.model({ replicas: 0 }, { status: { observedGeneration: 3, rollout: { phase: 'Promoting' } } }),
      is: 'low',
    },
    { name: 'a deleted model', model: undefined, is: 'low' },
    {
      name: 'a changed spec of a model at rest',
      model: given.model({}, { status: { observedGeneration: 2, rollout: { phase: 'Stable' } } }),
      is: 'normal',
    },
    {
      name: 'a changed spec, such as an abort, while a candidate may have traffic',
      model: given.model({}, { status: { observedGeneration: 2, rollout: { phase: 'Paused' } } }),
      is: 'urgent',
    },
  ];
  for (const { name, model, is } of rows) it(`is ${is} for ${name}`, () => assert.equal(modelPriority(model), is));
});

describe('the priority of a change of a pod', () => {
  const pod = (ready: boolean): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'ranker-1', namespace: 'ml' },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  });
  const rows: readonly { readonly name: string; readonly is: Priority }[] = [
    { name: 'lost its readiness under a candidate', is: podPriority(changed(true, false), modelIn('Analyzing')) },
    {
      name: 'was deleted under a candidate',
      is: podPriority({ kind: 'deleted', before: pod(true) }, modelIn('Paused')),
    },
  ];
  for (const { name, is } of rows) it(`is urgent for one that ${name}`, () => assert.equal(is, 'urgent'));

  const calm: readonly { readonly name: string; readonly is: Priority }[] = [
    { name: 'lost its readiness at rest', is: podPriority(changed(true, false), modelIn('Stable')) },
    { name: 'became ready', is: podPriority(changed(false, true), modelIn('Analyzing')) },
    { name: 'was not ready before', is: podPriority(changed(false, false), modelIn('Analyzing')) },
    { name: 'stays ready', is: podPriority(changed(true, true), modelIn('Analyzing')) },
    { name: 'is new', is: podPriority({ kind: 'added', now: pod(true) }, modelIn('Analyzing')) },
    { name: 'has no model', is: podPriority(changed(true, false), undefined) },
  ];
  for (const { name, is } of calm) it(`adds nothing for one that ${name}`, () => assert.equal(is, 'low'));

  function changed(before: boolean, now: boolean): Parameters<typeof podPriority>[0] {
    return { kind: 'updated', before: pod(before), now: pod(now) };
  }
});

describe('the priority of a report', () => {
  type Counts = { readonly errors?: Record<string, number>; readonly disagreed?: number };
  const reportWith = ({ errors = {}, ...more }: Counts, revision = candidate): Report => ({
    ...fullReport,
    revision,
    blocks: {
      since: 10,
      until: 11,
      counts: [
        {
          index: 10,
          seq: 1,
          traffic: [
            {
              tier: 'default',
              sizeClass: 64,
              latency: { base: 1e-4, growth: 1.02, counts: {} },
              ok: 15,
              errors,
              ...more,
            },
          ],
        },
      ],
    },
  });
  const rows: readonly {
    readonly name: string;
    readonly report: Report;
    readonly is: Priority;
    readonly at?: string;
  }[] = [
    { name: 'failed requests of the candidate', report: reportWith({ errors: { bug: 1 } }), is: 'urgent' },
    { name: 'disagreements of the candidate', report: reportWith({ disagreed: 2 }), is: 'urgent' },
    { name: 'requests that the client got wrong', report: reportWith({ errors: { invalid: 3 } }), is: 'low' },
    { name: 'answered requests only', report: reportWith({}), is: 'low' },
    { name: 'no blocks', report: fullReport, is: 'low' },
    { name: 'failures of stable', report: reportWith({ errors: { bug: 1 } }, 'aaaaaaaaaa'), is: 'low' },
    { name: 'failures at rest', report: reportWith({ errors: { bug: 1 } }), is: 'low', at: 'Stable' },
  ];
  for (const { name, report, is, at = 'Analyzing' } of rows)
    it(`is ${is} with ${name}`, () => assert.equal(reportPriority(report, modelIn(at), 0), is));

  it('is low with failures that an earlier report had', () =>
    assert.equal(reportPriority(reportWith({ errors: { bug: 1 } }), modelIn('Analyzing'), 1), 'low'));
});

describe('the delay of the pass for a report', () => {
  for (const { name, phase, isUrgent = false, isGathered } of [
    { name: 'gathers the counts of a rollout that shares traffic', phase: 'Analyzing', isGathered: true },
    { name: 'gathers failures during such a rollout', phase: 'Analyzing', isUrgent: true, isGathered: true },
    { name: 'is absent before traffic, where a golden run is awaited', phase: 'Preparing', isGathered: false },
    { name: 'is absent at rest', phase: 'Stable', isGathered: false },
  ] as const)
    it(name, () => {
      const delayMs = reportDelayMs(modelIn(phase), { firstPullMs: 77, nowMs: 1_234, isUrgent });
      assert.equal(delayMs, isGathered ? gatheringMs(77, 1_234, isUrgent) : 0);
    });
});
