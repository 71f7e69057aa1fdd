/** The kstatus of a model in every phase. Flux, Helm and `kubectl-onnx wait` compute it and must agree. */
import assert from 'node:assert/strict';
import { modelOutcomeOf, type ModelOutcome } from '../../../../cli/cluster/outcome.ts';
import type { Phase } from '../../../../operator/rollout/state.ts';
import { given } from '../../../support/given.ts';
import { kstatusOf, type KStatus } from '../../../support/kstatus.ts';
import { candidateRevision, stableRevision, states, told, type Telling } from '../../../support/told-models.ts';

/** The expected kstatus of each phase. The compiler reports a missing phase. */
const promised: Readonly<Record<Phase, KStatus>> = {
  New: 'InProgress',
  Preparing: 'InProgress',
  Shifting: 'InProgress',
  Analyzing: 'InProgress',
  Paused: 'InProgress',
  Promoting: 'InProgress',
  Settling: 'Current',
  Stable: 'Current',
  Aborting: 'InProgress',
  Failed: 'Failed',
};

const sameToWait: Readonly<Record<KStatus, ModelOutcome['outcome'] | undefined>> = {
  InProgress: 'Progressing',
  Failed: 'Stalled',
  Current: 'Ready',
  Terminating: undefined,
};

type Row = { readonly name: string; readonly phase: Phase; readonly telling: Telling; readonly want: KStatus };
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'a manual pause is not a failure', phase: 'Analyzing',
    telling: { rollout: { strategy: 'Canary', paused: true }, reason: 'PausedManually' }, want: 'InProgress' },
  { name: 'a stable revision that lacks pods is in progress', phase: 'Stable',
    telling: { ready: { [stableRevision]: 1 }, reason: 'Scaling' }, want: 'InProgress' },
  { name: 'a promoted revision whose pods are not all ready is in progress', phase: 'Settling',
    telling: { ready: { [candidateRevision]: 1 } }, want: 'InProgress' },
  { name: 'a spec that has changed again is in progress', phase: 'Stable',
    telling: { target: candidateRevision }, want: 'InProgress' },
  { name: 'a pinned revision is not the revision of the spec', phase: 'Stable',
    telling: { rollout: { pinRevision: stableRevision } }, want: 'InProgress' },
  { name: 'an object that can never be written is a failure', phase: 'Stable',
    telling: { failure: { reason: 'ApplyFailed', message: 'a name is taken', fatal: true } }, want: 'Failed' },
  { name: 'an object whose write may succeed on retry is in progress',
    phase: 'Stable', telling: { failure: { reason: 'ApplyFailed',
      message: 'the server was away', fatal: false } }, want: 'InProgress' },
];

describe('kstatus of a model', () => {
  for (const [phase, want] of Object.entries(promised) as [Phase, KStatus][]) {
    it(`is ${want} in ${phase}, for kubectl-onnx wait too`, () => {
      const model = told(states[phase]);
      assert.equal(kstatusOf(model), want);
      assert.equal(modelOutcomeOf(model).outcome, sameToWait[want]);
    });
  }
  for (const { name, phase, telling, want } of rows) {
    it(name, () => {
      const model = told(states[phase], telling);
      assert.equal(kstatusOf(model), want);
      assert.equal(modelOutcomeOf(model).outcome, sameToWait[want]);
    });
  }

  it('never has Reconciling and Stalled together', () => {
    for (const phase of Object.keys(states) as Phase[]) {
      const types =
        told(states[phase])
          .status?.conditions?.filter(({ status }) => status === 'True')
          .map(({ type }) => type) ?? [];
      assert.ok(!(types.includes('Reconciling') && types.includes('Stalled')), phase);
    }
  });
  it('is not Current before the operator has observed the model or its newest spec', () => {
    assert.equal(kstatusOf(given.model({}, { status: { observedGeneration: -1 } })), 'InProgress');
    const model = told(states.Stable);
    assert.equal(kstatusOf({ ...model, metadata: { ...model.metadata, generation: 4 } }), 'InProgress');
  });
  it('stays available after a rollback', () => {
    const available = told(states.Failed).status?.conditions?.find(({ type }) => type === 'Available');
    assert.equal(available?.status, 'True');
  });
});
