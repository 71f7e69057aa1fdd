/**
 * One row or more for every rule of a rollout that has a stable revision. A rule is a function that may decide the next
 * state. A comment in the table names the rules, the phase or the kind of step of the rows below it. docs/rollouts.md
 * has the table of rules. Stable is the serving revision `a`; the candidate `b` may replace it.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { firstWholeBlockAfter } from '../../../../api/report.ts';
import { decide } from '../../../../operator/rollout/decide.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import type {
  CanaryState,
  Decision,
  GateReading,
  Observation,
  PauseReason,
  Phase,
  RevisionPods,
  RolloutState,
  TrafficSeen,
} from '../../../../operator/rollout/state.ts';

const t0 = 1_700_000_000_000;
const [a, b, c] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'] as const;
const window = 85_000_000;

const pods = (ready: number, more: Partial<RevisionPods> = {}): RevisionPods => ({
  ready,
  present: ready,
  deployed: true,
  resolved: ready > 0,
  ...more,
});
const reading = (more: Partial<GateReading> = {}): GateReading => ({
  window,
  step: 'Waiting',
  message: '120 of 200 requests',
  absolute: 'None',
  silent: [],
  ...more,
});
const place = { stable: a, candidate: b, attempt: 1, floor: 4, since: t0 } as const;
/** Three states: in `shifting` the weight moves from 5 % to 50 %, in `analyzing` and `paused` it is 5 %. */
const shifting = { phase: 'Shifting', ...place, step: 2, weight: 50, set: 5 } as const satisfies RolloutState;
const analyzing = { phase: 'Analyzing', ...place, step: 1, weight: 5, window } as const satisfies RolloutState;
const paused = (why: PauseReason): CanaryState => ({ phase: 'Paused', ...place, step: 1, weight: 5, window, why });
const aborting = {
  phase: 'Aborting',
  stable: a,
  rejected: b,
  cause: 'LatencyGateFailed',
  detail: 'slow',
  attempt: 1,
  since: t0,
} as const satisfies RolloutState;
const failed = {
  phase: 'Failed',
  stable: a,
  rejected: b,
  cause: 'LatencyGateFailed',
  detail: 'slow',
  attempt: 1,
  since: t0,
} as const satisfies RolloutState;
const preparing = {
  phase: 'Preparing',
  stable: a,
  candidate: b,
  attempt: 1,
  floor: 4,
  since: t0,
} as const satisfies RolloutState;

const at = (share: number): TrafficSeen => ({ shares: { [a]: 100 - share, [b]: share }, reverts: 0 });
const healthy: Observation = {
  target: b,
  routed: a,
  pods: { [a]: pods(4), [b]: pods(4) },
  traffic: at(5),
  gates: reading(),
};
const gone: Partial<Observation> = { pods: { [a]: pods(4), [b]: pods(0, { resolved: true }) } };
const alone: Partial<Observation> = { pods: { [a]: pods(0, { resolved: true }), [b]: pods(4) } };
const fought: Partial<Observation> = { traffic: { shares: { [a]: 95, [b]: 5 }, reverts: 3 } };

/** The state of a shadow step at weight 0: the candidate is judged by copies of stable's requests. */
const shadowing = { phase: 'Analyzing', ...place, step: 0, weight: 0, window } as const satisfies RolloutState;
const shadowSteps = {
  steps: [{ shadow: { require: 'Pass', maxDuration: '10m' } }, { weight: 5 }, { analyze: { require: 'Pass' } }],
} as const;

type Row = {
  readonly name: string;
  readonly state: RolloutState;
  readonly seen?: Partial<Observation>;
  readonly rollout?: NonNullable<OnnxModelSpec['rollout']>;
  readonly replicas?: number;
  readonly afterMs?: number;
  /**
   * Expected fields of the next state and of the decision. `canary` is the candidate's weight; null: `serve` gets all
   * the traffic.
   */
  readonly want: { readonly phase: Phase; readonly reason?: Decision['reason']; readonly [field: string]: unknown };
};

const passes: Partial<Observation> = { gates: reading({ absolute: 'Pass' }) };
const asleep = { [b]: 'Asleep' } as const;
/** The default steps, with an approval before the last one. */
const withApproval = {
  steps: [{ weight: 5 }, { analyze: { require: 'NoFail' } }, { weight: 50 }, { pause: {} }, { weight: 100 }],
} as const;
const away = { stableLostAt: t0 } as const;

// prettier-ignore
const rows: readonly Row[] = [
  // The rule carryForStable, after stable has had no ready pod for `lostForMs`.
  { name: 'continues with a candidate that is not judged', state: { ...analyzing, ...away },
    seen: { ...alone, provenance: { [b]: 'GatesPassed' } as const }, afterMs: 30_000,
    want: { phase: 'Shifting', weight: 100, serve: b, skipped: undefined } },
  { name: 'continues with a candidate that is within its absolute limits',
    state: { ...analyzing, ...away }, seen: { ...alone, ...passes },
    afterMs: 30_000, want: { phase: 'Shifting', weight: 100, skipped: 'StableLost', stableLostAt: undefined } },
  { name: 'continues to the weight of an approval and no further',
    state: { ...analyzing, ...away }, rollout: withApproval, seen: { ...alone, ...passes },
    afterMs: 30_000, want: { phase: 'Shifting', step: 2, weight: 50, skipped: 'StableLost' } },
  { name: 'then waits at the approval', state: { ...shifting, ...away, set: 50, weight: 50,
      skipped: 'StableLost' }, rollout: withApproval, seen: { ...alone, traffic: at(100) },
    afterMs: 30_000, want: { phase: 'Paused', why: 'Step', step: 3, serve: b } },
  { name: 'rolls back a candidate above an absolute limit while stable is away', state: { ...analyzing, ...away },
    seen: { ...alone, gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'Fail' }) }, afterMs: 30_000,
    want: { phase: 'Aborting', cause: 'ErrorsGateFailed', serve: b } },
  { name: 'does not compare the candidate with a stable that is away',
    state: { ...paused('Step'), ...away, step: 3, weight: 50 },
    rollout: withApproval, seen: { ...alone, gates: reading({ step: 'Fail', absolute: 'Pass' }) }, afterMs: 30_000,
    want: { phase: 'Paused' } },
  { name: 'still needs the approval when stable does not come back',
    state: { ...paused('Step'), ...away, step: 3, weight: 50 }, rollout: withApproval,
    seen: { ...alone, ...passes }, afterMs: 3_600_000, want: { phase: 'Paused', why: 'Step', step: 3, serve: b } },
  { name: 'accepts the approval while stable is away', state: { ...paused('Step'), ...away, step: 3, weight: 50 },
    rollout: { ...withApproval, resumeStep: `${b}/3` }, seen: { ...alone, ...passes },
    afterMs: 3_600_000, want: { phase: 'Shifting', step: 4, weight: 100 } },
  { name: 'waits until traffic is back before it checks a pause again',
    state: { ...paused('Step'), ...away, step: 3, weight: 50 }, rollout: withApproval, seen: { traffic: at(100) },
    afterMs: 40_000, want: { phase: 'Paused', stableLostAt: t0, serve: a, canary: 50 } },
  { name: 'still needs the approval when stable breaks its limits', state: { ...paused('Step'), step: 3, weight: 50 },
    rollout: withApproval, seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Paused', why: 'Step', step: 3 } },
  { name: 'stays held when stable breaks its limits', state: analyzing, rollout: { paused: true },
    seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Analyzing', heldAt: t0, weight: 5 } },

  // abortWhenSuperseded, abortOnRequest
  ...[shifting, analyzing, paused('Undecided')].flatMap((state): readonly Row[] => [
    { name: `takes the traffic back for a third revision (${state.phase})`, state, seen: { target: c },
      want: { phase: 'Aborting', cause: 'RevisionSuperseded', serve: a, canary: null } },
    { name: `takes the traffic back when the spec goes back to stable (${state.phase})`, state,
      seen: { target: a }, want: { phase: 'Aborting', cause: 'RevisionReverted', canary: null } },
    { name: `takes the traffic back on request, even while held (${state.phase})`, state,
      rollout: { abortRevision: b, paused: true }, want: { phase: 'Aborting', cause: 'Aborted', canary: null } },
    { name: `ignores a request about another revision (${state.phase})`,
      state, rollout: { abortRevision: c }, want: { phase: state.phase } },
    { name: `promotes the candidate when scaled to zero, and keeps the old one (${state.phase})`, state, replicas: 0,
      rollout: withApproval, want: { phase: 'Promoting', stable: b, retiring: a, reason: 'Asleep' } },
    { name: `gives a candidate without ready pods no traffic (${state.phase})`, state, seen: gone,
      want: { phase: state.phase, lostAt: t0, reason: 'CandidateUnavailable', serve: a, canary: null } },
    { name: `gives up a candidate that stays without ready pods (${state.phase})`, state: { ...state, lostAt: t0 },
      seen: gone, afterMs: 30_000, want: { phase: 'Aborting', cause: 'CandidateUnavailable' } },
    { name: `waits for ready pods until a millisecond before (${state.phase})`, state: { ...state, lostAt: t0 },
      seen: gone, afterMs: 29_999, want: { phase: state.phase, lostAt: t0 } },
    { name: `does not give up the candidate for an outage of both (${state.phase})`, state,
      seen: { pods: { [a]: pods(0), [b]: pods(0) } }, afterMs: 120_000,
      want: { phase: state.phase, reason: 'NoReadyPods', serve: a } },
    { name: `sets the weight again when the pods are ready again (${state.phase})`, state: { ...state, lostAt: t0 },
      afterMs: 20_000, want: { phase: 'Shifting', set: 0, weight: state.weight, since: t0 + 20_000 } },
    { name: `promotes on request (${state.phase})`, state, rollout: { promoteRevision: b },
      want: { phase: 'Shifting', weight: 100, reason: 'PromotedByRequest' } },
    { name: `lets the candidate carry the traffic while stable is down, and waits (${state.phase})`, state, seen: alone,
      want: { phase: state.phase, stableLostAt: t0, reason: 'StableUnhealthy', serve: b, canary: null } },
    { name: `waits for stable as long as a candidate may be lost (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, seen: { ...alone, ...passes },
      afterMs: 29_999, want: { phase: state.phase, stableLostAt: t0, serve: b } },
    { name: `waits for stable after that, or for its own pause (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, seen: alone, afterMs: 30_000,
      want: { phase: 'Paused', why: state.phase === 'Paused' ? 'Undecided'
        : 'StableUnhealthy', serve: b, canary: null } },
    { name: `stays held by hand while stable is down (${state.phase})`, state: { ...state, stableLostAt: t0 },
      rollout: { paused: true }, seen: { ...alone, ...passes }, afterMs: 60_000,
      want: { phase: state.phase, step: state.step, weight: state.weight, reason: 'PausedManually', serve: b } },
    { name: `returns to its weight when stable has pods again (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, afterMs: 20_000,
      want: { phase: state.phase === 'Paused' ? 'Paused' : 'Shifting',
        weight: state.weight, stableLostAt: undefined, reason: 'Resumed', serve: a } },
    { name: `waits while another client writes the weights (${state.phase})`,
      state, seen: fought, want: { phase: 'Paused', why: 'WeightConflict' } },
    { name: `stops its clocks while it is held (${state.phase})`, state, rollout: { paused: true },
      seen: { gates: reading({ step: 'Done' }) }, want: { phase: state.phase, heldAt: t0, reason: 'PausedManually' } },
    { name: `starts its clocks again after a hold (${state.phase})`,
      state: { ...state, heldAt: t0 + 5000 }, afterMs: 65_000,
      want: { phase: state.phase, since: t0 + 60_000, heldAt: undefined, reason: 'Resumed' } },
  ]),

  // abortOnFailedGate
  { name: 'takes the traffic back when a gate fails', state: analyzing,
    seen: { gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', message: '4% fail' }) },
    want: { phase: 'Aborting', cause: 'ErrorsGateFailed', detail: '4% fail', canary: null } },
  { name: 'takes the traffic back also from a pause, and while held', state: paused('Undecided'),
    rollout: { paused: true }, seen: { gates: reading({ step: 'Fail', failed: 'QualityGateFailed' }) },
    want: { phase: 'Aborting', cause: 'QualityGateFailed' } },
  { name: 'ignores a reading of another window', state: analyzing,
    seen: { gates: reading({ window: window - 1, step: 'Fail' }) }, want: { phase: 'Analyzing' } },
  { name: 'waits when stable exceeds an absolute limit', state: analyzing,
    seen: { gates: reading({ step: 'Fail', absolute: 'Waiting',
      stableSick: 'errors 9%' }) }, want: { phase: 'Paused', why: 'StableUnhealthy' } },
  { name: 'continues when stable breaks its limits and the candidate keeps its own', state: analyzing,
    seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Shifting', weight: 100, reason: 'StableUnhealthy' } },
  { name: 'rolls back a candidate that breaks its limits like stable', state: analyzing,
    seen: { gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'Fail',
      stableSick: 'errors 9%' }) }, want: { phase: 'Aborting', cause: 'ErrorsGateFailed' } },

  // shadow steps
  {
    name: 'begins a window of its own in a shadow step, with all the traffic at stable',
      state: preparing, seen: { traffic: at(0), gates: undefined as never }, rollout: shadowSteps,
    want: { phase: 'Analyzing', step: 0, weight: 0, window: firstWholeBlockAfter(t0), canary: null, serve: a },
  },
  { name: 'waits in a shadow step without giving the candidate traffic', state: shadowing, seen: { traffic: at(0) },
    rollout: shadowSteps, want: { phase: 'Analyzing', step: 0, canary: null, serve: a } },
  { name: 'continues from a shadow step to the first weight', state: shadowing,
    seen: { traffic: at(0), gates: reading({ step: 'Done' }) },
    rollout: shadowSteps, want: { phase: 'Shifting', step: 1, weight: 5, set: 0 } },
  { name: 'rolls back a candidate that fails in a shadow step', state: shadowing,
    seen: { traffic: at(0), gates: reading({ step: 'Fail', failed: 'LatencyGateFailed' }) },
    rollout: shadowSteps, want: { phase: 'Aborting', reason: 'LatencyGateFailed' } },
  { name: 'applies onUndecided to an undecided shadow step', state: shadowing, seen: { traffic: at(0) },
    rollout: shadowSteps, afterMs: 600_000, want: { phase: 'Paused', why: 'Undecided', step: 0, weight: 0 } },
  { name: 'continues a shadow step that became an analyze step', state: shadowing, seen: { traffic: at(0) },
    rollout: { steps: [{ analyze: { require: 'Pass' } }, { weight: 5 }] }, want: { phase: 'Analyzing', step: 0 } },

  // followChangedSteps
  { name: 'continues after the last step with at most the reached weight, when the steps change',
    state: { ...analyzing, weight: 50, step: 3 }, rollout: { steps: [{ weight: 20 }, { pause: {} }, { weight: 80 }] },
    want: { phase: 'Paused', why: 'Step', step: 1, weight: 50 } },
  { name: 'begins at the first step when every step has a higher weight', state: analyzing,
    rollout: { steps: [{ weight: 20 }, { analyze: { require: 'Pass' } }] },
    want: { phase: 'Shifting', step: 0, weight: 20, set: 5, reason: 'StepsChanged' } },
  { name: 'keeps its step when the changed steps still fit', state: analyzing,
    rollout: { steps: [{ weight: 5 }, { analyze: { require: 'Pass' } },
      { weight: 60 }] }, want: { phase: 'Analyzing', step: 1 } },
  { name: 'moves all the traffic when there are no steps any more', state: analyzing,
    rollout: { steps: [{ weight: 1 }] }, want: { phase: 'Shifting', step: 1, weight: 100 } },

  // moveWeight, reachWhenVerified, abortWhenLate, waitForWeight
  { name: 'sets the weight that the ready pods can carry', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) } }, want: { phase: 'Shifting', set: 5, canary: 25 } },
  { name: 'counts a weight as reached once the traffic matches it', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) }, traffic: at(25) }, want: { phase: 'Shifting', set: 25, canary: 25 } },
  { name: 'begins a window once the whole weight is reached', state: { ...shifting, set: 50 },
    seen: { traffic: at(50) }, want: { phase: 'Analyzing', step: 3, weight: 50, window: firstWholeBlockAfter(t0) } },
  { name: 'does not analyse a weight that the route has applied while too few pods carry it',
    state: { ...shifting, set: 50 }, seen: { pods: { [a]: pods(4), [b]: pods(1) },
      traffic: at(50) }, want: { phase: 'Shifting', weight: 50, reason: 'WeightMoving' } },
  { name: 'analyses it once the last needed pod is ready', state: { ...shifting, set: 50 },
    seen: { pods: { [a]: pods(4), [b]: pods(3) }, traffic: at(50) },
    rollout: { capacity: { maxSurge: 2 } }, want: { phase: 'Analyzing', weight: 50 } },
  { name: 'does not analyse it with one pod less', state: { ...shifting, set: 50 },
    seen: { pods: { [a]: pods(4), [b]: pods(2) }, traffic: at(50) },
    rollout: { capacity: { maxSurge: 2 } }, want: { phase: 'Shifting', weight: 50 } },
  { name: 'does not count a weight as reached while the route reports no shares', state: shifting,
    seen: { traffic: { shares: undefined, problem: 'not accepted', reverts: 0 } },
    want: { phase: 'Shifting', set: 5, canary: 50, reason: 'WeightMoving' } },
  { name: 'does not count all of the traffic as moved while one percent is missing',
    state: { ...shifting, weight: 100, set: 100 }, seen: { traffic: at(99) },
    want: { phase: 'Shifting', weight: 100, reason: 'WeightMoving' } },
  { name: 'does not count a weight as reached while the share is a percent off', state: { ...shifting, set: 50 },
    seen: { traffic: at(49) }, want: { phase: 'Shifting', weight: 50, reason: 'WeightMoving' } },
  { name: 'rolls back when the route does not apply the weight in time', state: shifting,
    seen: { traffic: { shares: undefined, problem: 'not accepted', reverts: 0 } },
    afterMs: 600_000, want: { phase: 'Aborting', cause: 'RouteNotAccepted' } },
  { name: 'rolls back when the pods for the weight are not ready in time', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) }, traffic: at(25) },
    rollout: { capacity: { maxSurge: 1 } }, afterMs: 600_000, want: { phase: 'Shifting', set: 25 } },
  { name: 'rolls back when neither pods nor weight move any more', state: { ...shifting, set: 25 },
    seen: { pods: { [a]: pods(4), [b]: pods(1,
      { trouble: { reason: 'Unschedulable', message: 'no node', fatal: false } }) },
      traffic: at(25) }, afterMs: 600_000, want: { phase: 'Aborting', cause: 'Unschedulable' } },
  { name: 'promotes past the last step', state: { ...shifting, step: 4, weight: 100, set: 100 },
    seen: { traffic: at(100) }, want: { phase: 'Promoting', stable: b, retiring: a, serve: b } },

  // Analyzing
  { name: 'waits when no pod of a revision reports', state: analyzing,
    seen: { gates: reading({ silent: [b] }) }, want: { phase: 'Paused', why: 'ReportsStale', window } },
  { name: 'continues when the gates are done', state: analyzing, seen: { gates: reading({ step: 'Done' }) },
    want: { phase: 'Shifting', step: 2, weight: 50, set: 5 } },
  { name: 'waits for evidence', state: analyzing, afterMs: 1_799_999,
    want: { phase: 'Analyzing', reason: 'Analyzing' } },
  { name: 'pauses an undecided step', state: analyzing,
    afterMs: 1_800_000, want: { phase: 'Paused', why: 'Undecided' } },
  { name: 'rolls back an undecided step when onUndecided is Rollback',
    state: analyzing, rollout: { onUndecided: 'Rollback' },
    afterMs: 1_800_000, want: { phase: 'Aborting', cause: 'Undecided' } },
  { name: 'continues an undecided step when onUndecided is Promote',
    state: analyzing, rollout: { onUndecided: 'Promote' },
    afterMs: 1_800_000, want: { phase: 'Shifting', step: 2, reason: 'Undecided' } },
  { name: 'decides nothing before every pod was asked after a restart', state: analyzing,
    seen: { gates: reading({ pending: true }) }, rollout: { onUndecided: 'Rollback' },
    afterMs: 3_600_000, want: { phase: 'Analyzing' } },

  // resumeOnRequest, resumeWhenOver, stayPaused
  { name: 'ends an undecided pause on request', state: paused('Undecided'), rollout: { resumeStep: `${b}/1` },
    want: { phase: 'Shifting', step: 2, weight: 50, reason: 'Resumed' } },
  { name: 'ignores a request about another step', state: paused('Undecided'),
    rollout: { resumeStep: `${b}/0` }, want: { phase: 'Paused' } },
  { name: 'ends an undecided pause when the gates have decided', state: paused('Undecided'),
    seen: { gates: reading({ step: 'Done' }) }, want: { phase: 'Shifting', step: 2 } },
  { name: 'ends an undecided pause when onUndecided becomes Promote', state: paused('Undecided'),
    rollout: { onUndecided: 'Promote' }, want: { phase: 'Shifting', step: 2 } },
  { name: 'rolls back from an undecided pause when onUndecided becomes Rollback', state: paused('Undecided'),
    rollout: { onUndecided: 'Rollback' }, want: { phase: 'Aborting', cause: 'Undecided' } },
  { name: 'continues the analysis when the pods report again',
    state: paused('ReportsStale'), want: { phase: 'Analyzing', step: 1, window } },
  { name: 'waits for reports', state: paused('ReportsStale'),
    seen: { gates: reading({ silent: [a] }) }, want: { phase: 'Paused', why: 'ReportsStale' } },
  { name: 'continues without reports on request', state: paused('ReportsStale'),
    seen: { gates: reading({ silent: [a] }) }, rollout: { resumeStep: `${b}/1` },
    want: { phase: 'Shifting', step: 2, weight: 50 } },
  { name: 'continues beside an unhealthy stable on request', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) },
    rollout: { resumeStep: `${b}/1` }, want: { phase: 'Shifting', step: 2, weight: 50 } },
  { name: 'sets the weight again when stable is healthy again', state: paused('StableUnhealthy'),
    want: { phase: 'Shifting', step: 0, weight: 5, set: 5 } },
  { name: 'waits as long as stable is not healthy', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) }, afterMs: 599_999, want: { phase: 'Paused' } },
  { name: 'begins a new window after ten minutes', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) }, afterMs: 600_000, want: { phase: 'Shifting', weight: 5 } },
  { name: 'waits as long as another client changes the weights, even if resumeStep is set',
    state: paused('WeightConflict'), seen: fought, rollout: { resumeStep: `${b}/1`, promoteRevision: b },
    want: { phase: 'Paused', why: 'WeightConflict' } },
  { name: 'continues when no other client changes the weights',
    state: paused('WeightConflict'), want: { phase: 'Shifting', weight: 5 } },
  { name: 'ends a step pause when its time is over', state: paused('Step'),
    rollout: { steps: [{ weight: 5 }, { pause: { duration: '1m' } },
      { weight: 50 }] }, afterMs: 60_000, want: { phase: 'Shifting', step: 2 } },
  { name: 'keeps a step pause without a duration', state: paused('Step'),
    rollout: { steps: [{ weight: 5 }, { pause: {} }, { weight: 50 }] },
    afterMs: 1e9, want: { phase: 'Paused', why: 'Step', reason: 'PausedByStep' } },

  // Preparing
  { name: 'gives up a candidate whose checks fail', state: preparing,
    seen: { pods: { [a]: pods(4), [b]: pods(1,
      { checks: { verdict: 'Fail', reason: 'GoldenFailed', message: 'odd' } }) } },
    want: { phase: 'Failed', cause: 'GoldenFailed', serve: a } },
  { name: 'keeps a candidate with failed checks that promoteRevision names', state: preparing,
    rollout: { promoteRevision: b }, seen: { pods: { [a]: pods(4),
      [b]: pods(4, { checks: { verdict: 'Fail', reason: 'GoldenFailed',
      message: 'odd' } }) } }, want: { phase: 'Promoting', stable: b } },
  { name: 'waits for checks', state: preparing,
    seen: { pods: { [a]: pods(4), [b]: pods(4,
      { checks: { verdict: 'Waiting', reason: 'GoldenWaiting', message: '3 of 9' } }) } },
    want: { phase: 'Preparing', reason: 'GoldenWaiting' } },
  { name: 'gives up on request', state: preparing, rollout: { abortRevision: b },
    want: { phase: 'Failed', cause: 'Aborted' } },
  { name: 'keeps its pods and clock while held', state: preparing,
    rollout: { paused: true }, want: { phase: 'Preparing', heldAt: t0 } },
  { name: 'becomes stable during its rollout when scaled to zero, and keeps the old one',
    state: preparing, replicas: 0, want: { phase: 'Promoting', stable: b, retiring: a, reason: 'Asleep' } },
  { name: 'becomes stable at once when the spec was changed while scaled to zero', state: { ...preparing, floor: 0 },
    replicas: 0, want: { phase: 'Promoting', stable: b, retiring: null, reason: 'Asleep' } },
  { name: 'keeps the old revision as long as the model is scaled to zero',
    state: { phase: 'Settling', stable: b, retiring: a, since: t0 }, replicas: 0, seen: { provenance: asleep },
    afterMs: 86_400_000, want: { phase: 'Settling', reason: 'ScaledToZero', recheckMs: undefined } },
  { name: 'is judged beside the old revision when the model has pods again',
    state: { phase: 'Settling', stable: b, retiring: a, since: t0 }, seen: { provenance: asleep },
    want: { phase: 'Preparing', stable: a, candidate: b, reason: 'Waking', serve: a } },
  { name: 'is checked alone when the old revision does not exist any more',
    state: { phase: 'Stable', stable: b }, seen: { provenance: asleep },
    want: { phase: 'Preparing', stable: null, candidate: b, reason: 'Waking', serve: b } },
  { name: 'then serves without being proven', state: { ...preparing, stable: null },
    seen: { provenance: asleep }, want: { phase: 'Promoting', stable: b, reason: 'Woken' } },
  { name: 'is checked only once after being scaled to zero', state: { phase: 'Stable', stable: b },
    seen: { provenance: { [b]: 'Woken' } }, want: { phase: 'Stable' } },
  { name: 'resumes with the pods that the spec asks for now', state: { ...preparing, heldAt: t0 }, replicas: 2,
    afterMs: 60_000, want: { phase: 'Preparing', floor: 2, since: t0 + 60_000, heldAt: undefined } },
  { name: 'begins its first step', state: preparing,
    want: { phase: 'Shifting', step: 0, weight: 5, set: 0, canary: 5 } },
  { name: 'returns to a proven revision in three steps', state: preparing,
    seen: { provenance: { [b]: 'GatesPassed' } as const }, want: { phase: 'Shifting', step: 0, weight: 34 } },
  { name: 'leaves stable its pods while a Recreate rollout is held', state: preparing,
    rollout: { strategy: 'Immediate', capacity: { mode: 'Recreate' }, paused: true },
    want: { phase: 'Preparing', serve: a } },

  // Aborting
  { name: 'waits until the traffic has left the candidate', state: aborting, afterMs: 60_000,
    want: { phase: 'Aborting', canary: null, serve: a, reason: 'RollingBack' } },
  { name: 'waits until its requests had time to finish', state: aborting,
    seen: { traffic: at(0) }, afterMs: 9_999, want: { phase: 'Aborting' } },
  { name: 'then gives the candidate up', state: aborting, seen: { traffic: at(0) }, afterMs: 10_000,
    want: { phase: 'Failed', cause: 'LatencyGateFailed', detail: 'slow' } },
  { name: 'stores the retry token from before the failure', state: { ...analyzing },
    rollout: { retryToken: '1' }, seen: { gates: reading({ step: 'Fail', failed: 'LatencyGateFailed' }) },
    want: { phase: 'Aborting', handledRetryToken: '1' } },
  { name: 'keeps a retry that is requested while traffic leaves',
    state: { ...aborting, handledRetryToken: '1' }, seen: { traffic: at(0) },
    rollout: { retryToken: '2' }, afterMs: 10_000, want: { phase: 'Failed', handledRetryToken: '1' } },
  { name: 'then prepares a third revision', state: aborting, seen: { traffic: at(0), target: c },
    afterMs: 10_000, want: { phase: 'Preparing', candidate: c, stable: a } },
  { name: 'then becomes Stable if the spec went back', state: aborting, seen: { traffic: at(0), target: a },
    afterMs: 10_000, want: { phase: 'Stable', stable: a, reason: 'RevisionReverted' } },
  { name: 'restarts the rollout of the same revision that became the target again',
    state: { ...aborting, cause: 'RevisionSuperseded' },
    seen: { traffic: at(0) }, afterMs: 10_000, want: { phase: 'Preparing', candidate: b, attempt: 2 } },
  { name: 'lets the rejected revision serve while stable has no pods', state: aborting,
    seen: { ...alone, traffic: at(100) }, afterMs: 3_600_000, want: { phase: 'Aborting', serve: b } },
  { name: 'prepares a third revision without waiting for stable',
    state: aborting, seen: { ...alone, traffic: at(100), target: c },
    afterMs: 30_000, want: { phase: 'Preparing', stable: b, candidate: c, serve: b } },

  // Failed
  { name: 'retries when the token has changed', state: { ...failed, handledRetryToken: '1' },
    rollout: { retryToken: '2' }, want: { phase: 'Preparing', candidate: b, attempt: 2, reason: 'Retried' } },
  { name: 'does not retry for a handled token', state: { ...failed, handledRetryToken: '1' },
    rollout: { retryToken: '1' }, want: { phase: 'Failed' } },
  { name: 'does not retry while abortRevision names the revision', state: failed,
    rollout: { retryToken: '2', abortRevision: b }, want: { phase: 'Failed' } },
  { name: 'retries a revision that promoteRevision names', state: failed, rollout: { promoteRevision: b },
    want: { phase: 'Preparing', candidate: b, attempt: 2 } },
  { name: 'stores that the revision failed with a promotion request', state: { ...preparing },
    rollout: { promoteRevision: b }, seen: { pods: { [a]: pods(4),
      [b]: pods(0, { trouble: { reason: 'DigestMismatch', message: 'other bytes',
      fatal: true } }) } }, want: { phase: 'Failed', spent: { promoteRevision: b } } },

  // Promoting
  { name: 'does not report a route problem at first',
    state: { phase: 'Promoting', stable: b, retiring: null, since: t0 },
    seen: { routed: b, traffic: { shares: undefined, reason: 'RouteNotAccepted', problem: 'no such Gateway',
      reverts: 0 } }, afterMs: 9_999, want: { phase: 'Promoting', reason: 'RouteMoving' } },
  { name: 'reports the problem of a route that stays unsettled',
    state: { phase: 'Promoting', stable: b, retiring: null, since: t0 },
    seen: { routed: b, traffic: { shares: undefined, reason: 'RouteNotAccepted', problem: 'no such Gateway',
      reverts: 0 } }, afterMs: 10_000, want: { phase: 'Promoting', reason: 'RouteNotAccepted' } },

  // New
  { name: 'rolls back a candidate whose rollout was lost with the status', state: { phase: 'New' },
    seen: { routed: null, marked: a }, want: { phase: 'Aborting', stable: a, rejected: b, serve: a, canary: null } },
  { name: 'adopts what the entry Service selects, also with a route', state: { phase: 'New' },
    seen: { traffic: at(0) }, want: { phase: 'Stable', stable: a } },
];

describe('a rollout', () => {
  for (const { name, state, seen, rollout, replicas = 4, afterMs = 0, want } of rows) {
    it(name, () => {
      const plan = rolloutPlanOf(
        {
          replicas,
          rollout: { strategy: 'Canary', progressDeadline: '10m', ...rollout },
          traffic: { router: 'HTTPRoute' },
        },
        10_000,
      );
      const decision = decide(state, { ...healthy, ...seen }, plan, t0 + afterMs);
      const facts: Readonly<Record<string, unknown>> = {
        ...decision.next,
        reason: decision.reason,
        serve: decision.serve,
        canary: decision.canary?.weight ?? null,
        spent: decision.spent,
      };
      assert.deepEqual(Object.fromEntries(Object.keys(want).map((field) => [field, facts[field]])), want);
    });
  }

  it('reports in a wait for its gates that no requests came, and in any pause why the candidate serves alone', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary' }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const idle = decide(
      paused('Undecided'),
      { ...healthy, gates: reading({ idle: true }) },
      plan,
      window * 20_000 + 180_000,
    );
    assert.match(
      idle.message,
      /until its gates decide or spec\.rollout\.resumeStep is b+\/1; no requests came to b+ in 3 min/,
    );
    const lost = decide({ ...paused('Undecided'), ...away }, { ...healthy, ...alone }, plan, t0 + 60_000);
    assert.match(lost.message, /^b+ serves alone because a+ has no ready pod; it stays paused until its gates decide/);
  });

  it('reports a traffic problem in addition to the counts', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary' }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const { next, message } = decide(
      analyzing,
      { ...healthy, traffic: { shares: undefined, problem: 'the Gateway is gone', reverts: 0 } },
      plan,
      t0,
    );
    assert.equal(next.phase, 'Analyzing');
    assert.equal(
      message,
      `analysing ${b}: target 5 %, actual share of the traffic unknown; 120 of 200 requests; traffic problem: ` +
        'the Gateway is gone',
    );
  });

  it('keeps the pods of stable until a route has applied the weight', () => {
    const plan = rolloutPlanOf(
      { replicas: 10, rollout: { strategy: 'Canary', capacity: { maxSurge: 3 } }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const seen = (share: number): Observation => ({
      ...healthy,
      pods: { [a]: pods(10), [b]: pods(3) },
      traffic: at(share),
    });
    const state = { ...shifting, floor: 10 };
    const podsOfStable = ({ run }: Decision): number | undefined =>
      run.find(({ revision }) => revision === a)?.replicas;
    assert.equal(podsOfStable(decide(state, seen(5), plan, t0)), 10);
    assert.equal(podsOfStable(decide(state, seen(30), plan, t0)), 7);
  });

  const podsOf = (
    state: RolloutState,
    seen: Partial<Observation>,
    rollout: NonNullable<OnnxModelSpec['rollout']> = {},
  ): Readonly<Record<string, number>> => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary', ...rollout }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    return Object.fromEntries(
      decide(state, { ...healthy, ...seen }, plan, t0).run.map(({ revision, replicas }) => [revision, replicas]),
    );
  };

  it('keeps the pods of a candidate until its traffic was seen to leave', () => {
    assert.deepEqual(podsOf(analyzing, { traffic: at(100) }), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(analyzing, { traffic: { shares: undefined, reverts: 0 } }), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(analyzing, { traffic: at(5) }), { [a]: 4, [b]: 2 });
  });

  it('keeps the pods of the old revision until traffic has left it, even if the capacity allows none', () => {
    const seen = { pods: { [a]: pods(4), [b]: pods(4) } };
    const borrowed = { capacity: { mode: 'Borrow' } } as const;
    assert.deepEqual(podsOf({ phase: 'Promoting', stable: b, retiring: a, since: t0 - 60_000 }, seen, borrowed), {
      [b]: 4,
      [a]: 4,
    });
    assert.deepEqual(podsOf({ phase: 'Settling', stable: b, retiring: a, since: t0 }, seen, borrowed), {
      [b]: 4,
      [a]: 4,
    });
    assert.deepEqual(podsOf({ phase: 'Settling', stable: b, retiring: a, since: t0 - 60_000 }, seen, borrowed), {
      [b]: 4,
      [a]: 0,
    });
  });

  it('keeps a rejected candidate warm only if the capacity allows it', () => {
    const seen = { pods: { [a]: pods(4), [b]: pods(2) } };
    assert.deepEqual(podsOf(failed, seen), { [a]: 4, [b]: 2 });
    assert.deepEqual(podsOf(failed, seen, { capacity: { maxSurge: 1 } }), { [a]: 4, [b]: 1 });
    assert.deepEqual(podsOf(failed, seen, { capacity: { mode: 'Borrow' } }), { [a]: 4 });
  });

  it('gives the candidate all the capacity while stable has no ready pod', () => {
    const seen = { pods: { [a]: pods(0, { resolved: true, present: 4 }), [b]: pods(1) } };
    assert.deepEqual(podsOf(paused('StableUnhealthy'), seen), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(paused('StableUnhealthy'), seen, { capacity: { maxSurge: 2 } }), { [a]: 4, [b]: 2 });
  });

  it('does not move the weight while held', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary', paused: true }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    assert.equal(decide(shifting, healthy, plan, t0).canary?.weight, 5);
    assert.equal(decide({ ...shifting, heldAt: t0 }, { ...healthy, traffic: at(50) }, plan, t0).canary?.weight, 5);
  });

  it('sets the weight again when it is not the weight of any step', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary', promoteRevision: b }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const { next } = decide({ ...shifting, step: 0, weight: 100, lostAt: t0 }, healthy, plan, t0 + 10_000);
    assert.deepEqual([next.phase, 'step' in next && next.step, 'weight' in next && next.weight], ['Shifting', 0, 100]);
  });

  it('removes no pods of stable while a Recreate rollout is held, and continues one that has begun', () => {
    const turns = { strategy: 'Immediate', capacity: { mode: 'Recreate' }, paused: true } as const;
    assert.deepEqual(podsOf(preparing, { pods: { [a]: pods(4) } }, turns), { [a]: 4, [b]: 0 });
    assert.deepEqual(
      podsOf(preparing, { pods: { [a]: pods(0, { resolved: true }), [b]: pods(0, { resolved: true }) } }, turns),
      { [a]: 0, [b]: 4 },
    );
    assert.deepEqual(podsOf(preparing, { pods: { [a]: pods(4) } }, { ...turns, paused: false }), { [a]: 0, [b]: 0 });
  });
});
