/** Every rule of a candidate that is beside stable: what it says when it speaks (the table in docs/rollouts.md). */
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
/** On its way to 50 %, judged at 5 %, and waiting there. */
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

/** Before any weight, judged by copies of stable's requests. */
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
  /** Fields of the next state, and of the decision: `canary` is the weight, null when nobody else gets any. */
  readonly want: { readonly phase: Phase; readonly reason?: Decision['reason']; readonly [field: string]: unknown };
};

const passes: Partial<Observation> = { gates: reading({ absolute: 'Pass' }) };
const asleep = { [b]: 'Asleep' } as const;
/** The default steps, and an approval before the last one. */
const withApproval = {
  steps: [{ weight: 5 }, { analyze: { require: 'NoFail' } }, { weight: 50 }, { pause: {} }, { weight: 100 }],
} as const;
const away = { stableLostAt: t0 } as const;

// prettier-ignore
const rows: readonly Row[] = [
  // carryForStable: after the time that a candidate may be lost for
  { name: 'lets one that is not judged go on without stable', state: { ...analyzing, ...away },
    seen: { ...alone, provenance: { [b]: 'GatesPassed' } as const }, afterMs: 30_000,
    want: { phase: 'Shifting', weight: 100, serve: b, skipped: undefined } },
  { name: 'lets one go on that keeps its own limits', state: { ...analyzing, ...away }, seen: { ...alone, ...passes },
    afterMs: 30_000, want: { phase: 'Shifting', weight: 100, skipped: 'StableLost', stableLostAt: undefined } },
  { name: 'lets it go on to the weight of an approval and no further',
    state: { ...analyzing, ...away }, rollout: withApproval, seen: { ...alone, ...passes },
    afterMs: 30_000, want: { phase: 'Shifting', step: 2, weight: 50, skipped: 'StableLost' } },
  { name: 'and then to the approval', state: { ...shifting, ...away, set: 50, weight: 50,
      skipped: 'StableLost' }, rollout: withApproval, seen: { ...alone, traffic: at(100) },
    afterMs: 30_000, want: { phase: 'Paused', why: 'Step', step: 3, serve: b } },
  { name: 'takes it back when it breaks its own limits beside a stable that is away', state: { ...analyzing, ...away },
    seen: { ...alone, gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'Fail' }) }, afterMs: 30_000,
    want: { phase: 'Aborting', cause: 'ErrorsGateFailed', serve: b } },
  { name: 'does not compare it with a stable that is away', state: { ...paused('Step'), ...away, step: 3, weight: 50 },
    rollout: withApproval, seen: { ...alone, gates: reading({ step: 'Fail', absolute: 'Pass' }) }, afterMs: 30_000,
    want: { phase: 'Paused' } },
  { name: 'keeps an approval when stable is away for good',
    state: { ...paused('Step'), ...away, step: 3, weight: 50 }, rollout: withApproval,
    seen: { ...alone, ...passes }, afterMs: 3_600_000, want: { phase: 'Paused', why: 'Step', step: 3, serve: b } },
  { name: 'takes the approval then', state: { ...paused('Step'), ...away, step: 3, weight: 50 },
    rollout: { ...withApproval, resumeStep: `${b}/3` }, seen: { ...alone, ...passes },
    afterMs: 3_600_000, want: { phase: 'Shifting', step: 4, weight: 100 } },
  { name: 'waits for traffic to be back before a pause is looked at anew',
    state: { ...paused('Step'), ...away, step: 3, weight: 50 }, rollout: withApproval, seen: { traffic: at(100) },
    afterMs: 40_000, want: { phase: 'Paused', stableLostAt: t0, serve: a, canary: 50 } },
  { name: 'keeps an approval beside a stable that breaks its limits', state: { ...paused('Step'), step: 3, weight: 50 },
    rollout: withApproval, seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Paused', why: 'Step', step: 3 } },
  { name: 'keeps a hold by hand beside it', state: analyzing, rollout: { paused: true },
    seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Analyzing', heldAt: t0, weight: 5 } },

  // abortWhenSuperseded, abortOnRequest
  ...[shifting, analyzing, paused('Undecided')].flatMap((state): readonly Row[] => [
    { name: `takes the traffic back for a third spec (${state.phase})`, state, seen: { target: c },
      want: { phase: 'Aborting', cause: 'RevisionSuperseded', serve: a, canary: null } },
    { name: `takes it back when the spec is stable's again (${state.phase})`, state,
      seen: { target: a }, want: { phase: 'Aborting', cause: 'RevisionReverted', canary: null } },
    { name: `takes it back on request, even while held (${state.phase})`, state,
      rollout: { abortRevision: b, paused: true }, want: { phase: 'Aborting', cause: 'Aborted', canary: null } },
    { name: `does not mind a request about another revision (${state.phase})`,
      state, rollout: { abortRevision: c }, want: { phase: state.phase } },
    { name: `becomes stable without pods, and keeps the old one (${state.phase})`, state, replicas: 0,
      rollout: withApproval, want: { phase: 'Promoting', stable: b, retiring: a, reason: 'Asleep' } },
    { name: `gives a candidate without ready pods no traffic (${state.phase})`, state, seen: gone,
      want: { phase: state.phase, lostAt: t0, reason: 'CandidateUnavailable', serve: a, canary: null } },
    { name: `gives it up when that lasts (${state.phase})`, state: { ...state, lostAt: t0 },
      seen: gone, afterMs: 30_000, want: { phase: 'Aborting', cause: 'CandidateUnavailable' } },
    { name: `waits for it a millisecond less (${state.phase})`, state: { ...state, lostAt: t0 },
      seen: gone, afterMs: 29_999, want: { phase: state.phase, lostAt: t0 } },
    { name: `blames nobody for an outage of both (${state.phase})`, state,
      seen: { pods: { [a]: pods(0), [b]: pods(0) } }, afterMs: 120_000,
      want: { phase: state.phase, reason: 'NoReadyPods', serve: a } },
    { name: `sets the weight anew when its pods are back (${state.phase})`, state: { ...state, lostAt: t0 },
      afterMs: 20_000, want: { phase: 'Shifting', set: 0, weight: state.weight, since: t0 + 20_000 } },
    { name: `promotes on request (${state.phase})`, state, rollout: { promoteRevision: b },
      want: { phase: 'Shifting', weight: 100, reason: 'PromotedByRequest' } },
    { name: `lets it carry the traffic while stable is down, and stands still (${state.phase})`, state, seen: alone,
      want: { phase: state.phase, stableLostAt: t0, reason: 'StableUnhealthy', serve: b, canary: null } },
    { name: `stands still for as long as a candidate may be lost (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, seen: { ...alone, ...passes },
      afterMs: 29_999, want: { phase: state.phase, stableLostAt: t0, serve: b } },
    { name: `waits for stable after that, or for what it waits for anyway (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, seen: alone, afterMs: 30_000,
      want: { phase: 'Paused', why: state.phase === 'Paused' ? 'Undecided'
        : 'StableUnhealthy', serve: b, canary: null } },
    { name: `is held by hand all the same (${state.phase})`, state: { ...state, stableLostAt: t0 },
      rollout: { paused: true }, seen: { ...alone, ...passes }, afterMs: 60_000,
      want: { phase: state.phase, step: state.step, weight: state.weight, reason: 'PausedManually', serve: b } },
    { name: `goes back to its weight when stable has pods again (${state.phase})`,
      state: { ...state, stableLostAt: t0 }, afterMs: 20_000,
      want: { phase: state.phase === 'Paused' ? 'Paused' : 'Shifting',
        weight: state.weight, stableLostAt: undefined, reason: 'Resumed', serve: a } },
    { name: `waits while somebody else writes the weights (${state.phase})`,
      state, seen: fought, want: { phase: 'Paused', why: 'WeightConflict' } },
    { name: `stops its clocks while it is held (${state.phase})`, state, rollout: { paused: true },
      seen: { gates: reading({ step: 'Done' }) }, want: { phase: state.phase, heldAt: t0, reason: 'PausedManually' } },
    { name: `lets them go on (${state.phase})`, state: { ...state, heldAt: t0 + 5000 }, afterMs: 65_000,
      want: { phase: state.phase, since: t0 + 60_000, heldAt: undefined, reason: 'Resumed' } },
  ]),

  // abortOnFailedGate, judgeBesideSickStable
  { name: 'takes the traffic back when a gate fails', state: analyzing,
    seen: { gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', message: '4% fail' }) },
    want: { phase: 'Aborting', cause: 'ErrorsGateFailed', detail: '4% fail', canary: null } },
  { name: 'takes it back also from a pause, and while it is held', state: paused('Undecided'),
    rollout: { paused: true }, seen: { gates: reading({ step: 'Fail', failed: 'QualityGateFailed' }) },
    want: { phase: 'Aborting', cause: 'QualityGateFailed' } },
  { name: 'does not listen to a reading of another window', state: analyzing,
    seen: { gates: reading({ window: window - 1, step: 'Fail' }) }, want: { phase: 'Analyzing' } },
  { name: 'waits beside a stable that breaks its own limits', state: analyzing,
    seen: { gates: reading({ step: 'Fail', absolute: 'Waiting',
      stableSick: 'errors 9%' }) }, want: { phase: 'Paused', why: 'StableUnhealthy' } },
  { name: 'lets a mend go on beside it', state: analyzing,
    seen: { gates: reading({ step: 'Fail', absolute: 'Pass', stableSick: 'errors 9%' }) },
    want: { phase: 'Shifting', weight: 100, reason: 'StableUnhealthy' } },
  { name: 'takes a candidate back that breaks the limits too', state: analyzing,
    seen: { gates: reading({ step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'Fail',
      stableSick: 'errors 9%' }) }, want: { phase: 'Aborting', cause: 'ErrorsGateFailed' } },

  // shadow steps
  {
    name: 'begins a window of its own in a shadow step, with all the traffic at stable',
      state: preparing, seen: { traffic: at(0), gates: undefined as never }, rollout: shadowSteps,
    want: { phase: 'Analyzing', step: 0, weight: 0, window: firstWholeBlockAfter(t0), canary: null, serve: a },
  },
  { name: 'waits in a shadow step, and gives the candidate no user', state: shadowing, seen: { traffic: at(0) },
    rollout: shadowSteps, want: { phase: 'Analyzing', step: 0, canary: null, serve: a } },
  { name: 'goes on from a shadow step to the first weight', state: shadowing,
    seen: { traffic: at(0), gates: reading({ step: 'Done' }) },
    rollout: shadowSteps, want: { phase: 'Shifting', step: 1, weight: 5, set: 0 } },
  { name: 'takes a candidate back that a shadow step fails', state: shadowing,
    seen: { traffic: at(0), gates: reading({ step: 'Fail', failed: 'LatencyGateFailed' }) },
    rollout: shadowSteps, want: { phase: 'Aborting', reason: 'LatencyGateFailed' } },
  { name: 'treats an undecided shadow step as the spec says', state: shadowing, seen: { traffic: at(0) },
    rollout: shadowSteps, afterMs: 600_000, want: { phase: 'Paused', why: 'Undecided', step: 0, weight: 0 } },
  { name: 'does not mind a shadow step that became an analyze step', state: shadowing, seen: { traffic: at(0) },
    rollout: { steps: [{ analyze: { require: 'Pass' } }, { weight: 5 }] }, want: { phase: 'Analyzing', step: 0 } },

  // followChangedSteps
  { name: 'goes on after the last step that asks for no more, when the steps change',
    state: { ...analyzing, weight: 50, step: 3 }, rollout: { steps: [{ weight: 20 }, { pause: {} }, { weight: 80 }] },
    want: { phase: 'Paused', why: 'Step', step: 1, weight: 50 } },
  { name: 'begins at the first one when all ask for more', state: analyzing,
    rollout: { steps: [{ weight: 20 }, { analyze: { require: 'Pass' } }] },
    want: { phase: 'Shifting', step: 0, weight: 20, set: 5, reason: 'StepsChanged' } },
  { name: 'does not mind changed steps that still fit', state: analyzing,
    rollout: { steps: [{ weight: 5 }, { analyze: { require: 'Pass' } },
      { weight: 60 }] }, want: { phase: 'Analyzing', step: 1 } },
  { name: 'goes to all the traffic when there are none left', state: analyzing,
    rollout: { steps: [{ weight: 1 }] }, want: { phase: 'Shifting', step: 1, weight: 100 } },

  // moveWeight, reachWhenVerified, abortWhenLate, waitForWeight
  { name: 'asks for what ready pods carry', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) } }, want: { phase: 'Shifting', set: 5, canary: 25 } },
  { name: 'counts it as reached once traffic has it', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) }, traffic: at(25) }, want: { phase: 'Shifting', set: 25, canary: 25 } },
  { name: 'judges in a window of its own once all of it is there', state: { ...shifting, set: 50 },
    seen: { traffic: at(50) }, want: { phase: 'Analyzing', step: 3, weight: 50, window: firstWholeBlockAfter(t0) } },
  { name: 'judges no weight that the route has taken while too few pods carry it',
    state: { ...shifting, set: 50 }, seen: { pods: { [a]: pods(4), [b]: pods(1) },
      traffic: at(50) }, want: { phase: 'Shifting', weight: 50, reason: 'WeightMoving' } },
  { name: 'judges it with the last pod of those it needs', state: { ...shifting, set: 50 },
    seen: { pods: { [a]: pods(4), [b]: pods(3) }, traffic: at(50) },
    rollout: { capacity: { maxSurge: 2 } }, want: { phase: 'Analyzing', weight: 50 } },
  { name: 'judges it not with one pod less', state: { ...shifting, set: 50 },
    seen: { pods: { [a]: pods(4), [b]: pods(2) }, traffic: at(50) },
    rollout: { capacity: { maxSurge: 2 } }, want: { phase: 'Shifting', weight: 50 } },
  { name: 'counts no weight while the route says nothing', state: shifting,
    seen: { traffic: { shares: undefined, problem: 'not accepted', reverts: 0 } },
    want: { phase: 'Shifting', set: 5, canary: 50, reason: 'WeightMoving' } },
  { name: 'gives up a weight that the route does not take', state: shifting,
    seen: { traffic: { shares: undefined, problem: 'not accepted', reverts: 0 } },
    afterMs: 600_000, want: { phase: 'Aborting', cause: 'RouteNotAccepted' } },
  { name: 'gives up a weight whose pods do not come', state: shifting,
    seen: { pods: { [a]: pods(4), [b]: pods(1) }, traffic: at(25) },
    rollout: { capacity: { maxSurge: 1 } }, afterMs: 600_000, want: { phase: 'Shifting', set: 25 } },
  { name: 'gives it up when nothing moves any more', state: { ...shifting, set: 25 },
    seen: { pods: { [a]: pods(4), [b]: pods(1,
      { trouble: { reason: 'Unschedulable', message: 'no node', fatal: false } }) },
      traffic: at(25) }, afterMs: 600_000, want: { phase: 'Aborting', cause: 'Unschedulable' } },
  { name: 'promotes past the last step', state: { ...shifting, step: 4, weight: 100, set: 100 },
    seen: { traffic: at(100) }, want: { phase: 'Promoting', stable: b, retiring: a, serve: b } },

  // Analyzing
  { name: 'waits when nobody of a revision reports', state: analyzing,
    seen: { gates: reading({ silent: [b] }) }, want: { phase: 'Paused', why: 'ReportsStale', window } },
  { name: 'goes on when the gates are done', state: analyzing, seen: { gates: reading({ step: 'Done' }) },
    want: { phase: 'Shifting', step: 2, weight: 50, set: 5 } },
  { name: 'waits for evidence', state: analyzing, afterMs: 1_799_999,
    want: { phase: 'Analyzing', reason: 'Analyzing' } },
  { name: 'holds what is undecided', state: analyzing,
    afterMs: 1_800_000, want: { phase: 'Paused', why: 'Undecided' } },
  { name: 'takes it back where the spec says so', state: analyzing, rollout: { onUndecided: 'Rollback' },
    afterMs: 1_800_000, want: { phase: 'Aborting', cause: 'Undecided' } },
  { name: 'lets it go on where the spec says so', state: analyzing, rollout: { onUndecided: 'Promote' },
    afterMs: 1_800_000, want: { phase: 'Shifting', step: 2, reason: 'Undecided' } },
  { name: 'decides nothing before every pod was asked again', state: analyzing,
    seen: { gates: reading({ pending: true }) }, rollout: { onUndecided: 'Rollback' },
    afterMs: 3_600_000, want: { phase: 'Analyzing' } },

  // resumeOnRequest, resumeWhenOver, stayPaused
  { name: 'ends an undecided pause on request', state: paused('Undecided'), rollout: { resumeStep: `${b}/1` },
    want: { phase: 'Shifting', step: 2, weight: 50, reason: 'Resumed' } },
  { name: 'does not mind a request about another step', state: paused('Undecided'),
    rollout: { resumeStep: `${b}/0` }, want: { phase: 'Paused' } },
  { name: 'ends it when the gates are decided after all', state: paused('Undecided'),
    seen: { gates: reading({ step: 'Done' }) }, want: { phase: 'Shifting', step: 2 } },
  { name: 'ends it when the spec lets it go on', state: paused('Undecided'),
    rollout: { onUndecided: 'Promote' }, want: { phase: 'Shifting', step: 2 } },
  { name: 'ends it when the spec takes it back', state: paused('Undecided'),
    rollout: { onUndecided: 'Rollback' }, want: { phase: 'Aborting', cause: 'Undecided' } },
  { name: 'goes on judging when the pods report again',
    state: paused('ReportsStale'), want: { phase: 'Analyzing', step: 1, window } },
  { name: 'waits for reports', state: paused('ReportsStale'),
    seen: { gates: reading({ silent: [a] }) }, want: { phase: 'Paused', why: 'ReportsStale' } },
  { name: 'goes on without reports on request', state: paused('ReportsStale'),
    seen: { gates: reading({ silent: [a] }) }, rollout: { resumeStep: `${b}/1` },
    want: { phase: 'Shifting', step: 2, weight: 50 } },
  { name: 'goes on beside a sick stable on request', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) },
    rollout: { resumeStep: `${b}/1` }, want: { phase: 'Shifting', step: 2, weight: 50 } },
  { name: 'sets the weight anew when stable is well again', state: paused('StableUnhealthy'),
    want: { phase: 'Shifting', step: 0, weight: 5, set: 5 } },
  { name: 'waits as long as it is not', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) }, afterMs: 599_999, want: { phase: 'Paused' } },
  { name: 'looks anew after ten minutes', state: paused('StableUnhealthy'),
    seen: { gates: reading({ stableSick: 'errors 9%' }) }, afterMs: 600_000, want: { phase: 'Shifting', weight: 5 } },
  { name: 'waits as long as weights are fought over, whatever is asked for',
    state: paused('WeightConflict'), seen: fought, rollout: { resumeStep: `${b}/1`, promoteRevision: b },
    want: { phase: 'Paused', why: 'WeightConflict' } },
  { name: 'goes on when that is over', state: paused('WeightConflict'), want: { phase: 'Shifting', weight: 5 } },
  { name: 'ends a step pause when its time is over', state: paused('Step'),
    rollout: { steps: [{ weight: 5 }, { pause: { duration: '1m' } },
      { weight: 50 }] }, afterMs: 60_000, want: { phase: 'Shifting', step: 2 } },
  { name: 'keeps one without a time', state: paused('Step'),
    rollout: { steps: [{ weight: 5 }, { pause: {} }, { weight: 50 }] },
    afterMs: 1e9, want: { phase: 'Paused', why: 'Step', reason: 'PausedByStep' } },

  // Preparing
  { name: 'gives up a candidate whose checks fail', state: preparing,
    seen: { pods: { [a]: pods(4), [b]: pods(1,
      { checks: { verdict: 'Fail', reason: 'GoldenFailed', message: 'odd' } }) } },
    want: { phase: 'Failed', cause: 'GoldenFailed', serve: a } },
  { name: 'lets a person answer for that', state: preparing,
    rollout: { promoteRevision: b }, seen: { pods: { [a]: pods(4),
      [b]: pods(4, { checks: { verdict: 'Fail', reason: 'GoldenFailed',
      message: 'odd' } }) } }, want: { phase: 'Promoting', stable: b } },
  { name: 'waits for checks', state: preparing,
    seen: { pods: { [a]: pods(4), [b]: pods(4,
      { checks: { verdict: 'Waiting', reason: 'GoldenWaiting', message: '3 of 9' } }) } },
    want: { phase: 'Preparing', reason: 'GoldenWaiting' } },
  { name: 'gives up on request', state: preparing, rollout: { abortRevision: b },
    want: { phase: 'Failed', cause: 'Aborted' } },
  { name: 'stands still while held', state: preparing,
    rollout: { paused: true }, want: { phase: 'Preparing', heldAt: t0 } },
  { name: 'becomes stable without pods in the middle of its rollout, and keeps the old one',
    state: preparing, replicas: 0, want: { phase: 'Promoting', stable: b, retiring: a, reason: 'Asleep' } },
  { name: 'becomes stable at once when the spec was changed without pods', state: { ...preparing, floor: 0 },
    replicas: 0, want: { phase: 'Promoting', stable: b, retiring: null, reason: 'Asleep' } },
  { name: 'keeps the old one as long as there are no pods',
    state: { phase: 'Settling', stable: b, retiring: a, since: t0 }, replicas: 0, seen: { provenance: asleep },
    afterMs: 86_400_000, want: { phase: 'Settling', reason: 'ScaledToZero', recheckMs: undefined } },
  { name: 'is judged beside it when there are pods again',
    state: { phase: 'Settling', stable: b, retiring: a, since: t0 }, seen: { provenance: asleep },
    want: { phase: 'Preparing', stable: a, candidate: b, reason: 'Waking', serve: a } },
  { name: 'is checked alone when the old one is gone',
    state: { phase: 'Stable', stable: b }, seen: { provenance: asleep },
    want: { phase: 'Preparing', stable: null, candidate: b, reason: 'Waking', serve: b } },
  { name: 'serves then without being proven', state: { ...preparing, stable: null },
    seen: { provenance: asleep }, want: { phase: 'Promoting', stable: b, reason: 'Woken' } },
  { name: 'is not woken again', state: { phase: 'Stable', stable: b },
    seen: { provenance: { [b]: 'Woken' } }, want: { phase: 'Stable' } },
  { name: 'begins anew with the pods of now', state: { ...preparing, heldAt: t0 }, replicas: 2,
    afterMs: 60_000, want: { phase: 'Preparing', floor: 2, since: t0 + 60_000, heldAt: undefined } },
  { name: 'begins its first step', state: preparing,
    want: { phase: 'Shifting', step: 0, weight: 5, set: 0, canary: 5 } },
  { name: 'goes back to what was promoted before in three jumps', state: preparing,
    seen: { provenance: { [b]: 'GatesPassed' } as const }, want: { phase: 'Shifting', step: 0, weight: 34 } },
  { name: 'leaves stable its pods while a rollout by turns is held', state: preparing,
    rollout: { strategy: 'Immediate', capacity: { mode: 'Recreate' }, paused: true },
    want: { phase: 'Preparing', serve: a } },

  // Aborting
  { name: 'waits until traffic has left', state: aborting, afterMs: 60_000,
    want: { phase: 'Aborting', canary: null, serve: a, reason: 'RollingBack' } },
  { name: 'waits until what it had is through', state: aborting,
    seen: { traffic: at(0) }, afterMs: 9_999, want: { phase: 'Aborting' } },
  { name: 'gives up then', state: aborting, seen: { traffic: at(0) }, afterMs: 10_000,
    want: { phase: 'Failed', cause: 'LatencyGateFailed', detail: 'slow' } },
  { name: 'remembers what was asked for before it failed', state: { ...analyzing },
    rollout: { retryToken: '1' }, seen: { gates: reading({ step: 'Fail', failed: 'LatencyGateFailed' }) },
    want: { phase: 'Aborting', handledRetryToken: '1' } },
  { name: 'has not answered a retry that is asked for while traffic leaves',
    state: { ...aborting, handledRetryToken: '1' }, seen: { traffic: at(0) },
    rollout: { retryToken: '2' }, afterMs: 10_000, want: { phase: 'Failed', handledRetryToken: '1' } },
  { name: 'prepares a third spec then', state: aborting, seen: { traffic: at(0), target: c },
    afterMs: 10_000, want: { phase: 'Preparing', candidate: c, stable: a } },
  { name: 'is well then if the spec went back', state: aborting, seen: { traffic: at(0), target: a },
    afterMs: 10_000, want: { phase: 'Stable', stable: a, reason: 'RevisionReverted' } },
  { name: 'begins the same one anew that came back', state: { ...aborting, cause: 'RevisionSuperseded' },
    seen: { traffic: at(0) }, afterMs: 10_000, want: { phase: 'Preparing', candidate: b, attempt: 2 } },
  { name: 'lets the refused one serve while stable has no pods', state: aborting,
    seen: { ...alone, traffic: at(100) }, afterMs: 3_600_000, want: { phase: 'Aborting', serve: b } },
  { name: 'does not let a third spec wait for that', state: aborting, seen: { ...alone, traffic: at(100), target: c },
    afterMs: 30_000, want: { phase: 'Preparing', stable: b, candidate: c, serve: b } },

  // Failed
  { name: 'tries again when the token is another', state: { ...failed, handledRetryToken: '1' },
    rollout: { retryToken: '2' }, want: { phase: 'Preparing', candidate: b, attempt: 2, reason: 'Retried' } },
  { name: 'does not try again for a token that it knows', state: { ...failed, handledRetryToken: '1' },
    rollout: { retryToken: '1' }, want: { phase: 'Failed' } },
  { name: 'does not try again what is aborted', state: failed,
    rollout: { retryToken: '2', abortRevision: b }, want: { phase: 'Failed' } },
  { name: 'tries again what is to be promoted', state: failed, rollout: { promoteRevision: b },
    want: { phase: 'Preparing', candidate: b, attempt: 2 } },
  { name: 'remembers of a request that it failed with it', state: { ...preparing },
    rollout: { promoteRevision: b }, seen: { pods: { [a]: pods(4),
      [b]: pods(0, { trouble: { reason: 'DigestMismatch', message: 'other bytes',
      fatal: true } }) } }, want: { phase: 'Failed', spent: { promoteRevision: b } } },

  // Promoting
  { name: 'waits for a route without alarm at first',
    state: { phase: 'Promoting', stable: b, retiring: null, since: t0 },
    seen: { routed: b, traffic: { shares: undefined, reason: 'RouteNotAccepted', problem: 'no such Gateway',
      reverts: 0 } }, afterMs: 9_999, want: { phase: 'Promoting', reason: 'RouteMoving' } },
  { name: 'says what is wrong with a route that stays away',
    state: { phase: 'Promoting', stable: b, retiring: null, since: t0 },
    seen: { routed: b, traffic: { shares: undefined, reason: 'RouteNotAccepted', problem: 'no such Gateway',
      reverts: 0 } }, afterMs: 10_000, want: { phase: 'Promoting', reason: 'RouteNotAccepted' } },

  // New
  { name: 'takes a candidate back whose rollout was forgotten', state: { phase: 'New' },
    seen: { routed: null, marked: a }, want: { phase: 'Aborting', stable: a, rejected: b, serve: a, canary: null } },
  { name: 'adopts what the entry Service selects, by a route too', state: { phase: 'New' },
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

  it('says in a wait for its gates that no requests came, and in any pause why it serves alone', () => {
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
      /until its gates are decided or spec\.rollout\.resumeStep is b+\/1; no requests came to b+ in 3 min/,
    );
    const lost = decide({ ...paused('Undecided'), ...away }, { ...healthy, ...alone }, plan, t0 + 60_000);
    assert.match(
      lost.message,
      /^b+ serves alone, for a+ has no ready pod, and stays paused until its gates are decided/,
    );
  });

  it('says beside the counts that nothing may come', () => {
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
      `analysing ${b}: target 5 %, actual share of the traffic unknown; 120 of 200 requests; its traffic is in ` +
        'doubt: the Gateway is gone',
    );
  });

  it('keeps the pods of stable as long as a route has not taken the weight', () => {
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

  it('keeps the pods of a candidate whose weight was taken back until that was seen', () => {
    assert.deepEqual(podsOf(analyzing, { traffic: at(100) }), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(analyzing, { traffic: { shares: undefined, reverts: 0 } }), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(analyzing, { traffic: at(5) }), { [a]: 4, [b]: 2 });
  });

  it('keeps the pods of the old revision until traffic has left it, also where none may be kept then', () => {
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

  it('keeps a refused candidate warm only where there is room', () => {
    const seen = { pods: { [a]: pods(4), [b]: pods(2) } };
    assert.deepEqual(podsOf(failed, seen), { [a]: 4, [b]: 2 });
    assert.deepEqual(podsOf(failed, seen, { capacity: { maxSurge: 1 } }), { [a]: 4, [b]: 1 });
    assert.deepEqual(podsOf(failed, seen, { capacity: { mode: 'Borrow' } }), { [a]: 4 });
  });

  it('lets the candidate have what there is room for while stable has no ready pod', () => {
    const seen = { pods: { [a]: pods(0, { resolved: true, present: 4 }), [b]: pods(1) } };
    assert.deepEqual(podsOf(paused('StableUnhealthy'), seen), { [a]: 4, [b]: 4 });
    assert.deepEqual(podsOf(paused('StableUnhealthy'), seen, { capacity: { maxSurge: 2 } }), { [a]: 4, [b]: 2 });
  });

  it('moves no weight while it is held', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary', paused: true }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    assert.equal(decide(shifting, healthy, plan, t0).canary?.weight, 5);
    assert.equal(decide({ ...shifting, heldAt: t0 }, { ...healthy, traffic: at(50) }, plan, t0).canary?.weight, 5);
  });

  it('sets a weight anew that no step asks for', () => {
    const plan = rolloutPlanOf(
      { replicas: 4, rollout: { strategy: 'Canary', promoteRevision: b }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const { next } = decide({ ...shifting, step: 0, weight: 100, lostAt: t0 }, healthy, plan, t0 + 10_000);
    assert.deepEqual([next.phase, 'step' in next && next.step, 'weight' in next && next.weight], ['Shifting', 0, 100]);
  });

  it('takes no pods from stable while a rollout by turns is held, and goes on with one that has begun', () => {
    const turns = { strategy: 'Immediate', capacity: { mode: 'Recreate' }, paused: true } as const;
    assert.deepEqual(podsOf(preparing, { pods: { [a]: pods(4) } }, turns), { [a]: 4, [b]: 0 });
    assert.deepEqual(
      podsOf(preparing, { pods: { [a]: pods(0, { resolved: true }), [b]: pods(0, { resolved: true }) } }, turns),
      { [a]: 0, [b]: 4 },
    );
    assert.deepEqual(podsOf(preparing, { pods: { [a]: pods(4) } }, { ...turns, paused: false }), { [a]: 0, [b]: 0 });
  });
});
