/**
 * What the gates have found about a candidate (for example "p95 at most 12 % higher") is stored with the rollout and
 * reported at the promotion. A gate limits one measure of the candidate.
 */
import assert from 'node:assert/strict';
import { historyAfter } from '../../../../operator/reconcile/rollout-history.ts';
import { decide } from '../../../../operator/rollout/decide.ts';
import type {
  Decision,
  GateReading,
  Observation,
  RolloutPlan,
  RolloutState,
} from '../../../../operator/rollout/state.ts';

const t0 = 1_700_000_000_000;
const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const window = 85_000_000;
const words = 'nothing worse than +38 % p95, +2.1 points errors shown';
const plan: RolloutPlan = {
  replicas: 2,
  strategy: 'Canary',
  steps: [
    { kind: 'weight', weight: 50 },
    { kind: 'analyze', require: 'Pass', maxDurationMs: 1_800_000 },
    { kind: 'weight', weight: 100 },
  ],
  capacity: { mode: 'Surge', surge: 2 },
  onUndecided: 'Hold',
  readyWithinMs: 600_000,
  settleMs: 10_000,
  retainMs: 0,
  router: 'HTTPRoute',
  paused: false,
};
const pods = { ready: 2, present: 2, deployed: true, resolved: true };
const seenAt = (weight: number, gates?: Partial<GateReading>): Observation => ({
  target: b,
  routed: a,
  pods: { [a]: pods, [b]: pods },
  traffic: { shares: { [a]: 100 - weight, [b]: weight }, reverts: 0 },
  ...(gates === undefined
    ? {}
    : { gates: { window, step: 'Done', absolute: 'None', message: 'every gate passes', silent: [], ...gates } }),
});
const analyzing: RolloutState = {
  phase: 'Analyzing',
  stable: a,
  candidate: b,
  attempt: 1,
  floor: 2,
  since: t0,
  step: 1,
  weight: 50,
  window,
};

/**
 * Runs a rollout from a state until the candidate, at its last step, gets all the traffic. Returns the last decision,
 * and the state before that decision.
 */
function promoted(
  from: RolloutState,
  reading: Partial<GateReading>,
  asked: Partial<RolloutPlan> = {},
): { readonly decision: Decision; readonly before: RolloutState } {
  const moving = decide(from, seenAt(50, reading), { ...plan, ...asked }, t0 + 1000).next;
  assert.equal(moving.phase, 'Shifting');
  const set = decide(moving, seenAt(100), { ...plan, ...asked }, t0 + 2000).next;
  return { decision: decide(set, seenAt(100), { ...plan, ...asked }, t0 + 3000), before: set };
}

const historyOf = ({ decision, before }: ReturnType<typeof promoted>) =>
  historyAfter(before, decision, { before: undefined, now: t0 })[0];

describe('what the gates have shown', () => {
  it('is in the message of the promotion and in the history', () => {
    const end = promoted(analyzing, { shown: words });
    assert.deepEqual(
      [end.decision.next.phase, end.decision.reason, end.decision.message],
      ['Promoting', 'Promoted', `${b} is ready and takes over; ${words}`],
    );
    assert.deepEqual([historyOf(end)?.outcome, historyOf(end)?.message], ['Promoted', words]);
  });

  it('is the result of the last analysis', () => {
    const end = promoted({ ...analyzing, shown: 'nothing worse than +90 % p95 shown' }, { shown: words });
    assert.equal(historyOf(end)?.message, words);
    assert.equal(
      historyOf(promoted({ ...analyzing, shown: words }, {}))?.message,
      words,
      'an analysis that shows nothing does not remove an earlier result',
    );
  });

  it('is reported when the gates of a held rollout have decided', () => {
    const end = promoted({ ...analyzing, phase: 'Paused', why: 'Undecided' }, { shown: words });
    assert.equal(historyOf(end)?.message, words);
  });

  it('is not reported for a promotion without gates', () => {
    const end = promoted({ ...analyzing, skipped: 'ResumedUndecided' }, { shown: words });
    assert.equal(end.decision.reason, 'ResumedUndecided');
    assert.match(historyOf(end)?.message ?? '', /^gates skipped: /);
  });

  it('is promised in the message of a step', () => {
    const { message } = decide(
      analyzing,
      seenAt(50, {
        step: 'Waiting',
        message: 'p95 undecided',
        promise: 'at 55 requests a minute this step takes about 11 min',
      }),
      plan,
      t0 + 1000,
    );
    assert.equal(
      message,
      `analysing ${b}: 50 % of the traffic; p95 undecided; forecast: at 55 requests a minute this step takes ` +
        'about 11 min',
    );
  });
});
