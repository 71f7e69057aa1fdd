import assert from 'node:assert/strict';
import type { OnnxModel } from '../../../../api/onnxmodel.ts';
import { isSettled, sentencesOf, whyStalled } from '../../../../examples/demo/progress.ts';

type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  observedGeneration?: number;
};

function given({ generation = 2, observed = 2, phase = 'Stable', conditions = [] as Condition[] } = {}): OnnxModel {
  return {
    metadata: { name: 'm', namespace: 'n', generation },
    status: {
      observedGeneration: observed,
      phase,
      conditions: conditions.map((one) => ({
        reason: 'R',
        message: 'm',
        observedGeneration: observed,
        lastTransitionTime: '',
        ...one,
      })),
    },
  } as unknown as OnnxModel;
}

describe('sentencesOf', () => {
  it('prints the phase with the message of Ready, and the conditions that became true', () => {
    const model = given({
      phase: 'Preparing',
      conditions: [
        { type: 'Ready', status: 'False', message: '0 of 1 pods of abc are ready' },
        { type: 'ArtifactReady', status: 'True', message: `abc is made of sha256:${'0123456789ab'}${'c'.repeat(52)}` },
        { type: 'ModelLoaded', status: 'Unknown', message: 'no pod of abc is ready yet' },
        { type: 'Available', status: 'True', message: 'said by others' },
      ],
    });
    assert.deepEqual(sentencesOf(model), [
      'ArtifactReady: abc is made of sha256:0123456789ab…',
      'Preparing: 0 of 1 pods of abc are ready',
    ]);
  });

  it('is empty for a model without a status', () => assert.deepEqual(sentencesOf({ metadata: {} } as OnnxModel), []));
});

describe('isSettled', () => {
  const ready: Condition = { type: 'Ready', status: 'True' };
  // prettier-ignore
  const rows: readonly { name: string; model: OnnxModel; want: boolean }[] = [
    { name: 'is true for a model that serves its spec', model: given({ conditions: [ready] }), want: true },
    { name: 'is false while the status is for an older spec',
      model: given({ observed: 1, conditions: [ready] }), want: false },
    { name: 'is false while Ready is for an older spec',
      model: given({ conditions: [{ ...ready, observedGeneration: 1 }] }), want: false },
    { name: 'is false while the old revision drains',
      model: given({ phase: 'Settling', conditions: [ready] }), want: false },
    { name: 'is false while it is not ready',
      model: given({ conditions: [{ ...ready, status: 'False' }] }), want: false },
    { name: 'is false without conditions', model: given(), want: false },
  ];
  for (const { name, model, want } of rows) it(name, () => assert.equal(isSettled(model), want));
});

describe('whyStalled', () => {
  const stalled: Condition = { type: 'Stalled', status: 'True', reason: 'OOMKilled', message: 'twice' };
  it('gives the reason', () => assert.equal(whyStalled(given({ conditions: [stalled] })), 'OOMKilled: twice'));
  it('ignores the trouble of an older spec', () =>
    assert.equal(whyStalled(given({ observed: 1, conditions: [stalled] })), undefined));
  it('is undefined while there is no trouble', () =>
    assert.equal(whyStalled(given({ conditions: [{ type: 'Ready', status: 'False' }] })), undefined));
});
