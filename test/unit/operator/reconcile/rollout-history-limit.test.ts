/** status.history has one entry for each rollout that has ended: the latest first, and at most ten. */
import assert from 'node:assert/strict';
import type { OnnxModelStatus, RolloutOutcome } from '../../../../api/onnxmodel.ts';
import { endedBy, historyAfter, historyLimit } from '../../../../operator/reconcile/rollout-history.ts';
import type { Decision, RolloutState } from '../../../../operator/rollout/state.ts';

const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const now = Date.parse('2026-01-02T03:04:05Z');
const place = { stable: a, candidate: b, attempt: 1, floor: 1, since: 0 } as const;
const analyzing: RolloutState = { phase: 'Analyzing', ...place, step: 1, weight: 5, window: 7 };
const aborting = {
  phase: 'Aborting',
  stable: a,
  rejected: b,
  cause: 'LatencyGateFailed',
  detail: 'slow',
  attempt: 1,
  since: 0,
} as const satisfies RolloutState;
const promoting = { phase: 'Promoting', stable: b, retiring: a, since: 0 } as const satisfies RolloutState;
const failed = {
  phase: 'Failed',
  stable: a,
  rejected: b,
  cause: 'LatencyGateFailed',
  detail: 'slow',
  attempt: 1,
  since: 0,
} as const satisfies RolloutState;
const decision = (next: RolloutState, reason: Decision['reason']): Decision => ({
  next,
  serve: a,
  run: [],
  reason,
  message: '',
});
const before = (history: readonly RolloutOutcome[]): OnnxModelStatus =>
  ({ observedGeneration: 1, phase: 'Analyzing', message: '', history }) as OnnxModelStatus;
const outcome = (index: number): RolloutOutcome =>
  ({
    revision: String(index).padStart(10, '0'),
    outcome: 'Promoted',
    reason: 'Promoted',
    at: '2026-01-01T00:00:00Z',
  }) as RolloutOutcome;

describe('historyAfter', () => {
  const full = Array.from({ length: historyLimit }, (_, index) => outcome(index));

  it('puts the latest line first and drops the oldest beyond the limit', () => {
    const history = historyAfter(analyzing, decision(promoting, 'Promoted'), { before: before(full), now });
    assert.deepEqual(
      history.map(({ revision }) => revision),
      [b, ...full.slice(0, historyLimit - 1).map(({ revision }) => revision)],
    );
    assert.equal(history[0]?.at, '2026-01-02T03:04:05Z');
  });

  it('does not change during a rollout', () => {
    assert.equal(historyAfter(analyzing, decision(analyzing, 'Analyzing'), { before: before(full), now }), full);
  });

  it('records a rollback once: when it is decided, not when the traffic has moved back', () => {
    assert.equal(endedBy(analyzing, decision(aborting, 'LatencyGateFailed'))?.outcome, 'RolledBack');
    assert.equal(endedBy(aborting, decision(failed, 'LatencyGateFailed')), undefined);
  });
});
