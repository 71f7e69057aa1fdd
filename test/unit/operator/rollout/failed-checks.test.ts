/** A pod of the candidate (the new revision) fails its checks, although the candidate has traffic already. */
import assert from 'node:assert/strict';
import { decide } from '../../../../operator/rollout/decide.ts';
import type { CanaryState, Checks, Observation, RolloutPlan } from '../../../../operator/rollout/state.ts';

const t0 = 1_700_000_000_000;
const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const plan: RolloutPlan = {
  replicas: 4,
  strategy: 'Canary',
  capacity: { mode: 'Surge', surge: 4 },
  onUndecided: 'Hold',
  readyWithinMs: 600_000,
  settleMs: 10_000,
  retainMs: 0,
  router: 'Service',
  paused: false,
  steps: [
    { kind: 'weight', weight: 50 },
    { kind: 'analyze', require: 'NoFail', maxDurationMs: 600_000 },
    { kind: 'weight', weight: 100 },
  ],
};
const place = { stable: a, candidate: b, attempt: 1, floor: 4, since: t0, step: 1, weight: 50 };
const states: readonly CanaryState[] = [
  { phase: 'Shifting', ...place, step: 0, set: 25 },
  { phase: 'Analyzing', ...place, window: 85_000_000 },
  { phase: 'Paused', ...place, window: 85_000_000, why: 'Undecided' },
];
const failed: Checks = {
  verdict: 'Fail',
  reason: 'GoldenFailed',
  message: 'golden set: Cosine 0.2 in the worst of 16 cases, required: at least 0.9 (pod p-3)',
};

function seenWith(checks: Checks, stableReady = 4): Observation {
  const pods = {
    [a]: { ready: stableReady, present: 4, deployed: true, resolved: true },
    [b]: { ready: 2, present: 3, deployed: true, resolved: true, checks },
  };
  return { target: b, routed: null, marked: a, pods, traffic: { shares: { [a]: 67, [b]: 33 }, reverts: 0 } };
}

describe('a candidate with traffic', () => {
  for (const state of states) {
    it(`is rolled back from ${state.phase} when one of its pods fails its checks, with the reason`, () => {
      const decision = decide(state, seenWith(failed), plan, t0 + 60_000);
      assert.deepEqual([decision.next.phase, decision.serve, decision.canary], ['Aborting', a, undefined]);
      assert.ok(
        decision.next.phase === 'Aborting' &&
          decision.next.cause === 'GoldenFailed' &&
          decision.next.detail === failed.message,
      );
    });

    it(`stays in ${state.phase} while checks wait, or have passed`, () => {
      for (const verdict of ['Waiting', 'Pass'] as const)
        assert.notEqual(decide(state, seenWith({ ...failed, verdict }), plan, t0 + 60_000).next.phase, 'Aborting');
    });

    it(`is not rolled back from ${state.phase} when promoteRevision names it, it is proven, or stable is down`, () => {
      assert.notEqual(
        decide(state, seenWith(failed), { ...plan, promoteRevision: b }, t0 + 60_000).next.phase,
        'Aborting',
      );
      assert.notEqual(
        decide(state, { ...seenWith(failed), provenance: { [b]: 'GatesPassed' } }, plan, t0 + 60_000).next.phase,
        'Aborting',
      );
      assert.notEqual(decide(state, seenWith(failed, 0), plan, t0 + 60_000).next.phase, 'Aborting');
    });
  }
});
