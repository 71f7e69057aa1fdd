/** How often the operator polls a model's pods. */
import assert from 'node:assert/strict';
import type { Seen } from '../../../../operator/see/seen.ts';
import type { ReportPuller } from '../../../../operator/reports/puller.ts';
import type { Decision, RolloutState } from '../../../../operator/rollout/state.ts';
import { followWith } from '../../../../operator/reconcile/notify.ts';
import { states } from '../../../support/told-models.ts';

function paceOf(next: RolloutState | undefined): string {
  const paces: string[] = [];
  const puller = { watch: (_key: string, _pods: unknown, pace: string) => paces.push(pace) } as unknown as ReportPuller;
  const decision =
    next === undefined
      ? undefined
      : ({ next, serve: null, run: [], reason: 'UpToDate', message: '' } as unknown as Decision);
  followWith(puller)(
    'ml/ranker',
    decision === undefined ? undefined : ({ pods: new Map(), model: { spec: {} } } as unknown as Seen),
    decision,
  );
  return paces.join();
}

describe('the pods of a model', () => {
  for (const next of Object.values(states)) {
    const isAtRest = next.phase === 'Stable' || next.phase === 'Failed';
    it(`are polled ${isAtRest ? 'slowly' : 'every few seconds'} in phase ${next.phase}`, () =>
      assert.equal(paceOf(next), isAtRest ? 'rest' : 'rollout'));
  }
  it('are polled slowly once the model is deleted', () => assert.equal(paceOf(undefined), 'rest'));
});
