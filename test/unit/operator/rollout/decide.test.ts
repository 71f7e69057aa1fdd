/**
 * A table with one row for each transition of an Immediate rollout (the new revision gets all traffic at once), then
 * invariants over random events. A pass is one decision from one observation of the cluster.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DecisionReason } from '../../../../api/reasons.ts';
import { decide } from '../../../../operator/rollout/decide.ts';
import type {
  Observation,
  Phase,
  RevisionPods,
  RolloutPlan,
  RolloutState,
} from '../../../../operator/rollout/state.ts';

const t0 = 1_700_000_000_000;
const [a, b, c] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'] as const;
const plan: RolloutPlan = {
  replicas: 2,
  strategy: 'Immediate',
  steps: [],
  capacity: { mode: 'Surge', surge: 2 },
  onUndecided: 'Hold',
  readyWithinMs: 600_000,
  settleMs: 10_000,
  retainMs: 0,
  router: 'Service',
  paused: false,
};

const pods = (ready: number, more: Partial<RevisionPods> = {}): RevisionPods => ({
  ready,
  present: ready,
  deployed: true,
  resolved: ready > 0,
  ...more,
});
const healthy: Observation = { target: a, routed: a, pods: { [a]: pods(2) } };
const imageTrouble = { reason: 'ImagePullBackOff', message: 'no such image', fatal: false } as const;
const digestTrouble = { reason: 'DigestMismatch', message: 'other bytes', fatal: true } as const;

const preparing: RolloutState = { phase: 'Preparing', stable: a, candidate: b, attempt: 1, floor: 2, since: t0 };
const preparingFirst: RolloutState = {
  phase: 'Preparing',
  stable: null,
  candidate: a,
  attempt: 1,
  floor: 2,
  since: t0,
};
const promoting: RolloutState = { phase: 'Promoting', stable: b, retiring: a, since: t0 };
const settling: RolloutState = { phase: 'Settling', stable: b, retiring: a, since: t0 };
const failed: RolloutState = {
  phase: 'Failed',
  stable: a,
  rejected: b,
  cause: 'DigestMismatch',
  detail: 'other bytes',
  attempt: 1,
  since: t0,
};
const failedFirst: RolloutState = {
  phase: 'Failed',
  stable: null,
  rejected: a,
  cause: 'ImagePullBackOff',
  detail: 'no such image',
  attempt: 1,
  since: t0,
};

type Row = {
  name: string;
  state: RolloutState;
  /** Fields that differ from the default observation: revision `a` is stable and healthy. */
  seen?: Partial<Observation>;
  plan?: Partial<RolloutPlan>;
  afterMs?: number;
  want: { phase: Phase; serve: string | null; run: Record<string, number>; reason: DecisionReason };
};

// prettier-ignore
const rows: Row[] = [
  { name: 'starts the first revision with one pod', state: { phase: 'New' }, seen: { routed: null, pods: {} },
    want: { phase: 'Preparing', serve: a, run: { [a]: 1 }, reason: 'RevisionCreated' } },
  { name: 'adopts the revision that the entry Service selects when the status was lost', state: { phase: 'New' },
    seen: { target: b, routed: a }, want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'UpToDate' } },
  { name: 'adopts it also while its pods are starting, as after a restored backup', state: { phase: 'New' },
    seen: { target: b, routed: a, pods: { [a]: pods(0, { resolved: true }) } },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'NoReadyPods' } },
  { name: 'does not adopt a revision that has no Deployment', state: { phase: 'New' },
    seen: { target: b, routed: a, pods: {} },
    want: { phase: 'Preparing', serve: b, run: { [b]: 1 }, reason: 'RevisionCreated' } },

  { name: 'gives a candidate all its pods once the first pod has reported its digests',
    state: preparing, seen: { target: b, pods: { [a]: pods(2), [b]: pods(0, { resolved: true }) } },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 2 }, reason: 'RevisionWarming' } },
  { name: 'keeps a candidate at one pod until the first pod has reported', state: preparing, seen: { target: b },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 1 }, reason: 'RevisionStarting' } },
  { name: 'names the trouble that delays a candidate', state: preparing,
    seen: { target: b, pods: { [a]: pods(2), [b]: pods(0, { trouble: imageTrouble }) } },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 1 }, reason: 'ImagePullBackOff' } },
  { name: 'does not promote a candidate whose ready pods can carry only half of the traffic', state: preparing,
    seen: { target: b, pods: { [a]: pods(2), [b]: pods(1) } },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 2 }, reason: 'RevisionWarming' } },
  { name: 'promotes a candidate that is ready', state: preparing,
    seen: { target: b, pods: { [a]: pods(2), [b]: pods(2) } },
    want: { phase: 'Promoting', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Promoted' } },
  { name: 'promotes a first revision at its first ready pod', state: preparingFirst,
    seen: { pods: { [a]: pods(1) } }, want: { phase: 'Promoting', serve: a, run: { [a]: 2 }, reason: 'Promoted' } },
  { name: 'promotes at once when spec.replicas is 0', state: preparing, seen: { target: b },
    plan: { replicas: 0 }, want: { phase: 'Promoting', serve: b, run: { [a]: 0, [b]: 0 }, reason: 'Asleep' } },
  { name: 'promotes a new target in the pass that sees it, when spec.replicas is 0',
    state: { phase: 'Stable', stable: a }, seen: { target: b }, plan: { replicas: 0 },
    want: { phase: 'Promoting', serve: b, run: { [b]: 0 }, reason: 'Asleep' } },
  { name: 'prepares a third revision instead of the candidate', state: preparing, seen: { target: c },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [c]: 1 }, reason: 'RevisionSuperseded' } },
  { name: 'drops the candidate when the spec goes back to stable', state: preparing, seen: { target: a },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'RevisionReverted' } },
  { name: 'gives up at once on a fatal trouble', state: preparing,
    seen: { target: b, pods: { [a]: pods(2), [b]: pods(0, { trouble: digestTrouble }) } },
    want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'DigestMismatch' } },
  { name: 'ignores a termination message from before the retry', state: { ...preparingFirst, attempt: 2 },
    seen: { pods: { [a]: pods(0, { trouble: { ...digestTrouble, at: t0 - 1000 } }) } },
    want: { phase: 'Preparing', serve: a, run: { [a]: 1 }, reason: 'DigestMismatch' } },
  { name: 'gives up a retry on a termination message since the retry', state: { ...preparingFirst, attempt: 2 },
    seen: { pods: { [a]: pods(0, { trouble: { ...digestTrouble, at: t0 } }) } },
    want: { phase: 'Failed', serve: a, run: { [a]: 1 }, reason: 'DigestMismatch' } },
  { name: 'gives up at the deadline with the trouble as the reason', state: preparing,
    seen: { target: b, pods: { [a]: pods(2), [b]: pods(0, { trouble: imageTrouble }) } }, afterMs: 600_000,
    want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'ImagePullBackOff' } },
  { name: 'gives up at the deadline without a trouble', state: preparing, seen: { target: b }, afterMs: 600_000,
    want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'ProgressDeadlineExceeded' } },
  { name: 'waits until a millisecond before the deadline', state: preparing, seen: { target: b }, afterMs: 599_999,
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 1 }, reason: 'RevisionStarting' } },
  { name: 'keeps the pods of a first revision that was given up', state: preparingFirst,
    seen: { pods: { [a]: pods(0, { trouble: imageTrouble }) } }, afterMs: 600_000,
    want: { phase: 'Failed', serve: a, run: { [a]: 1 }, reason: 'ImagePullBackOff' } },

  { name: 'keeps both revisions until the entry Service selects the new one', state: promoting,
    seen: { target: b, routed: a, pods: { [a]: pods(2), [b]: pods(2) } }, afterMs: 3_600_000,
    want: { phase: 'Promoting', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'RouteMoving' } },
  { name: 'starts the settling time when the entry Service selects the new one', state: promoting,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(2) } },
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },
  { name: 'finishes a first promotion without settling',
    state: { phase: 'Promoting', stable: a, retiring: null, since: t0 },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'UpToDate' } },
  { name: 'finishes a promotion before it prepares a new target', state: promoting,
    seen: { target: c, routed: a, pods: { [a]: pods(2), [b]: pods(2) } },
    want: { phase: 'Promoting', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'RouteMoving' } },
  { name: 'lets the old revision serve when the new stable loses every pod', state: promoting,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(0, { resolved: true }) } },
    want: { phase: 'Promoting', serve: a, run: { [a]: 2, [b]: 2 }, reason: 'CandidateUnavailable' } },
  { name: 'goes back for good when the new stable stays without a ready pod', state: { ...settling, lostAt: t0 },
    seen: { target: b, routed: a, pods: { [a]: pods(2), [b]: pods(0, { resolved: true }) } },
    afterMs: 30_000, want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'LateRollback' } },
  { name: 'goes back for good at once when the pods cannot recover', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(0, { trouble: digestTrouble }) } },
    want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'LateRollback' } },
  { name: 'returns the traffic to the new stable when its pods are ready again',
    state: { ...settling, lostAt: t0 }, seen: { target: b, routed: a, pods: { [a]: pods(2), [b]: pods(2) } },
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'RouteMoving' } },
  { name: 'stays when both revisions lost every pod', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(0, { resolved: true }), [b]: pods(0, { resolved: true }) } },
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },

  { name: 'does not go back when both revisions are scaled to zero', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(1), [b]: pods(0, { resolved: true }) } },
    plan: { replicas: 0 }, want: { phase: 'Settling', serve: b, run: { [a]: 0, [b]: 0 }, reason: 'Draining' } },
  { name: 'turns back at once when the spec goes back while all old pods exist', state: settling,
    seen: { target: a, routed: b, pods: { [a]: pods(2), [b]: pods(2) }, provenance: { [a]: 'GatesPassed' } },
    want: { phase: 'Promoting', serve: a, run: { [a]: 2, [b]: 2 }, reason: 'Promoted' } },
  { name: 'judges a revision that is not proven before it turns back to it', state: settling,
    seen: { target: a, routed: b, pods: { [a]: pods(2), [b]: pods(2) }, provenance: { [a]: 'Forced' } },
    afterMs: 10_000, want: { phase: 'Preparing', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'RevisionCreated' } },
  { name: 'does not turn back to pods that are being deleted', state: settling,
    seen: { target: a, routed: b, pods: { [a]: pods(1), [b]: pods(2) } },
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },
  { name: 'keeps the retiring pods while the new pods cannot carry all the traffic', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(1) } }, afterMs: 60_000,
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },
  { name: 'goes back when too few new pods are ready until the progress deadline', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(1) } }, afterMs: 610_000,
    want: { phase: 'Aborting', serve: a, run: { [a]: 2, [b]: 1 }, reason: 'LateRollback' } },
  { name: 'lets the retiring pods finish their requests', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(2) } }, afterMs: 9_999,
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },
  { name: 'deletes the retiring pods after the settling time', state: settling,
    seen: { target: b, routed: b, pods: { [a]: pods(2), [b]: pods(2) } }, afterMs: 10_000,
    want: { phase: 'Stable', serve: b, run: { [b]: 2 }, reason: 'UpToDate' } },
  { name: 'keeps the retiring pods while another client has turned the entry Service back', state: settling,
    seen: { target: b, routed: a, pods: { [a]: pods(2), [b]: pods(2) } }, afterMs: 60_000,
    want: { phase: 'Settling', serve: b, run: { [a]: 2, [b]: 2 }, reason: 'Draining' } },

  { name: 'stays Stable while nothing changes', state: { phase: 'Stable', stable: a },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'UpToDate' } },
  { name: 'scales', state: { phase: 'Stable', stable: a }, plan: { replicas: 5 },
    want: { phase: 'Stable', serve: a, run: { [a]: 5 }, reason: 'Scaling' } },
  { name: 'reports that the model is scaled to zero', state: { phase: 'Stable', stable: a }, seen: { pods: {} },
    plan: { replicas: 0 }, want: { phase: 'Stable', serve: a, run: { [a]: 0 }, reason: 'ScaledToZero' } },
  { name: 'reports that no pod is ready', state: { phase: 'Stable', stable: a },
    seen: { pods: { [a]: pods(0, { resolved: true }) } },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'NoReadyPods' } },
  { name: 'reports the trouble of a stable pod', state: { phase: 'Stable', stable: a },
    seen: { pods: { [a]: pods(1, { trouble: { reason: 'OOMKilled', message: 'killed',
      fatal: true } }) } }, want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'OOMKilled' } },
  { name: 'prepares a changed spec beside stable', state: { phase: 'Stable', stable: a }, seen: { target: b },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [b]: 1 }, reason: 'RevisionCreated' } },

  { name: 'stays Failed while stable serves', state: failed, seen: { target: b }, afterMs: 3_600_000,
    want: { phase: 'Failed', serve: a, run: { [a]: 2 }, reason: 'DigestMismatch' } },
  { name: 'becomes Stable when the spec goes back to stable', state: failed, seen: { target: a },
    want: { phase: 'Stable', serve: a, run: { [a]: 2 }, reason: 'RevisionReverted' } },
  { name: 'tries a third revision after a failure', state: failed, seen: { target: c },
    want: { phase: 'Preparing', serve: a, run: { [a]: 2, [c]: 1 }, reason: 'RevisionCreated' } },
  { name: 'promotes a first revision that recovers', state: failedFirst, seen: { pods: { [a]: pods(1) } },
    want: { phase: 'Promoting', serve: a, run: { [a]: 2 }, reason: 'Promoted' } },
  { name: 'tries another first revision after one was given up', state: failedFirst, seen: { target: b, pods: {} },
    want: { phase: 'Preparing', serve: b, run: { [b]: 1 }, reason: 'RevisionCreated' } },
];

describe('decide', () => {
  for (const { name, state, seen, plan: more, afterMs = 0, want } of rows) {
    it(name, () => {
      const { next, serve, run, reason } = decide(state, { ...healthy, ...seen }, { ...plan, ...more }, t0 + afterMs);
      assert.deepEqual(
        { phase: next.phase, serve, run: Object.fromEntries(run.map((r) => [r.revision, r.replicas])), reason },
        want,
      );
    });
  }

  it('asks to be called again at the deadline, not before', () => {
    const { recheckMs } = decide(preparing, { ...healthy, target: b }, plan, t0 + 1000);
    assert.equal(recheckMs, 599_000);
  });

  it('does not ask for another spec while a first revision keeps trying', () => {
    const { message } = decide(
      preparingFirst,
      { ...healthy, pods: { [a]: pods(0, { trouble: digestTrouble }) } },
      plan,
      t0,
    );
    assert.equal(message, `${a} was given up: other bytes; its pods keep trying to start`);
    const none = decide(
      preparingFirst,
      { ...healthy, pods: { [a]: pods(0, { deployed: false, trouble: digestTrouble }) } },
      plan,
      t0,
    );
    assert.equal(
      none.message,
      `${a} was given up: other bytes; it has no pods, and the operator keeps trying to create them`,
    );
  });

  it('keeps the reason of a failure in later passes', () => {
    const { message } = decide(failed, { ...healthy, target: b }, plan, t0);
    assert.equal(
      message,
      `${b} was given up: other bytes; ${a} serves. Change the spec, or retry with "kubectl-onnx retry"`,
    );
  });
});

describe('decide, over any sequence of events', () => {
  const revision = fc.constantFrom(a, b, c);
  const event = fc.record({
    target: revision,
    ready: fc.dictionary(revision, fc.integer({ min: 0, max: 2 })),
    fatal: fc.boolean(),
    /** Whether the next pass sees the entry Service as it was before this pass. */
    cacheIsBehind: fc.boolean(),
    passedMs: fc.integer({ min: 0, max: 700_000 }),
  });

  it('keeps the ready pods of the revision with the traffic, and moves traffic only to ready pods', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let state: RolloutState = { phase: 'Stable', stable: a };
        // `routed`: the revision that the entry Service selects. `shown`: the revision that it selects in the cache,
        // which may be one pass behind.
        let [routed, shown]: string[] = [a, a];
        let running: readonly string[] = [a];
        let now = t0;
        for (const { target, ready: wished, fatal, cacheIsBehind, passedMs } of events) {
          now += passedMs;
          // Only a revision that the last decision runs can have ready pods.
          const readyOf = (r: string | undefined): number =>
            r !== undefined && running.includes(r) ? (wished[r] ?? 0) : 0;
          const seenPods = Object.fromEntries(
            [a, b, c].map((r) => [r, pods(readyOf(r), fatal && readyOf(r) === 0 ? { trouble: digestTrouble } : {})]),
          );
          const decision = decide(state, { target, routed: shown ?? a, pods: seenPods }, plan, now);
          const kept = decision.run.map((r) => r.revision);
          assert.ok(decision.serve !== null && kept.includes(decision.serve), 'the serving revision has pods');
          // A rollback may remove the rejected revision while it has traffic: its pods drain before they end.
          assert.ok(
            kept.includes(routed ?? a) || readyOf(routed) === 0 || decision.reason === 'LateRollback',
            `${routed} has the traffic and loses its pods in ${decision.next.phase}`,
          );
          if (decision.serve !== routed)
            assert.ok(
              readyOf(decision.serve) > 0 || readyOf(routed) === 0,
              'traffic does not leave ready pods for a revision without one',
            );
          shown = cacheIsBehind ? routed : decision.serve;
          routed = decision.serve;
          running = kept;
          state = decision.next;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('comes to rest on the target once its pods are ready and no event follows', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 10 }), revision, (events, goal) => {
        let state: RolloutState = { phase: 'Stable', stable: a };
        let routed: string = a;
        let now = t0;
        const all = { [a]: pods(2), [b]: pods(2), [c]: pods(2) };
        for (const { target, passedMs } of [
          ...events,
          ...Array.from({ length: 8 }, () => ({ target: goal, passedMs: 10_000 })),
        ]) {
          now += passedMs;
          const decision = decide(state, { target, routed, pods: all }, plan, now);
          routed = decision.serve ?? routed;
          state = decision.next;
        }
        assert.deepEqual(state, { phase: 'Stable', stable: goal });
      }),
    );
  });
});
