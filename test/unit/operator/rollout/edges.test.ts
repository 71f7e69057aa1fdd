/**
 * Rules of a rollout (functions that may decide its next state) with a time limit or another limit, tested just before
 * and just after they apply. The tables in decide.test.ts and transitions.test.ts do not cover these moments.
 */
import assert from 'node:assert/strict';
import { decide } from '../../../../operator/rollout/decide.ts';
import { lastKnownOf } from '../../../../operator/rollout/last-words.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import type { Decision, Observation, RevisionPods, RolloutState } from '../../../../operator/rollout/state.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';

const t0 = 1_700_000_000_000;
const [a, b] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const pods = (ready: number, more: Partial<RevisionPods> = {}): RevisionPods => ({
  ready,
  present: ready,
  deployed: true,
  resolved: ready > 0,
  ...more,
});
const both: Observation = {
  target: b,
  routed: a,
  pods: { [a]: pods(4), [b]: pods(4) },
  traffic: { shares: { [a]: 95, [b]: 5 }, reverts: 0 },
};

function after(
  ms: number,
  state: RolloutState,
  {
    seen = {},
    rollout = {},
  }: { readonly seen?: Partial<Observation>; readonly rollout?: NonNullable<OnnxModelSpec['rollout']> } = {},
): Decision {
  const plan = rolloutPlanOf(
    { replicas: 4, rollout: { strategy: 'Canary', ...rollout }, traffic: { router: 'HTTPRoute' } },
    10_000,
  );
  return decide(state, { ...both, ...seen }, plan, t0 + ms);
}

describe('a pause of a minute', () => {
  const paused = {
    phase: 'Paused',
    stable: a,
    candidate: b,
    attempt: 1,
    floor: 4,
    since: t0,
    step: 1,
    weight: 5,
    window: 85_000_000,
    why: 'Step',
  } as const;
  const rollout = { steps: [{ weight: 5 }, { pause: { duration: '1m' } }, { weight: 50 }] };
  for (const [ms, phase] of [
    [0, 'Paused'],
    [59_999, 'Paused'],
    [60_000, 'Shifting'],
  ] as const) {
    it(`is ${phase} after ${ms} ms`, () => assert.equal(after(ms, paused, { rollout }).next.phase, phase));
  }
});

describe('a candidate whose pods start', () => {
  const preparing = { phase: 'Preparing', stable: a, candidate: b, attempt: 1, floor: 4, since: t0 } as const;
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly candidate: RevisionPods; readonly phase: string }[] = [
    { name: 'gets no traffic before a pod has reported its digests',
      candidate: pods(4, { resolved: false }), phase: 'Preparing' },
    { name: 'gets no traffic while its checks wait',
      candidate: pods(4, { checks: { verdict: 'Waiting',
        reason: 'GoldenWaiting', message: '3 of 8' } }), phase: 'Preparing' },
    { name: 'begins once the digests are reported and the checks have passed', candidate: pods(4,
        { checks: { verdict: 'Pass', reason: 'ChecksPassed', message: 'passed' } }), phase: 'Shifting' },
  ];
  for (const { name, candidate, phase } of rows) {
    it(name, () =>
      assert.equal(after(1000, preparing, { seen: { pods: { [a]: pods(4), [b]: candidate } } }).next.phase, phase),
    );
  }
});

describe('a weight that is moving', () => {
  const shifting = {
    phase: 'Shifting',
    stable: a,
    candidate: b,
    attempt: 1,
    floor: 4,
    since: t0,
    step: 2,
    weight: 50,
    set: 50,
  } as const;
  const at = (share: number) => ({ shares: { [a]: 100 - share, [b]: share }, reverts: 0 });
  for (const [share, phase] of [
    [25, 'Shifting'],
    [49, 'Shifting'],
    [50, 'Analyzing'],
  ] as const) {
    it(`is ${phase} while traffic gives the candidate ${share} % of the 50`, () =>
      assert.equal(after(1000, shifting, { seen: { traffic: at(share) } }).next.phase, phase));
  }
});

describe('an autoscaler', () => {
  it('does not remove pods during a rollout that began with four, when two are asked for now', () => {
    const analyzing = {
      phase: 'Analyzing',
      stable: a,
      candidate: b,
      attempt: 1,
      floor: 4,
      since: t0,
      step: 1,
      weight: 5,
      window: 85_000_000,
    } as const;
    const plan = rolloutPlanOf(
      { replicas: 2, rollout: { strategy: 'Canary' }, traffic: { router: 'HTTPRoute' } },
      10_000,
    );
    const { run } = decide(analyzing, both, plan, t0 + 1000);
    assert.equal(run.find(({ revision }) => revision === a)?.replicas, 4);
  });
});

describe('a refused revision', () => {
  const failed = {
    phase: 'Failed',
    stable: a,
    rejected: b,
    cause: 'LatencyGateFailed',
    detail: 'slow',
    attempt: 1,
    since: t0,
  } as const;
  const { retainMs } = rolloutPlanOf({ replicas: 4, rollout: { strategy: 'Canary' } }, 10_000);
  for (const [ms, runs] of [
    [retainMs - 1, [a, b]],
    [retainMs, [a]],
  ] as const) {
    it(`${runs.length === 2 ? 'keeps its pods' : 'has no pods'} after ${ms} ms`, () =>
      assert.deepEqual(
        after(ms, failed).run.map(({ revision }) => revision),
        runs,
      ));
  }
});

describe('a step with at most the weight that was reached', () => {
  const paused = {
    phase: 'Paused',
    stable: a,
    candidate: b,
    attempt: 1,
    floor: 4,
    since: t0,
    step: 1,
    weight: 20,
    window: 85_000_000,
    why: 'Step',
  } as const;
  for (const weight of [5, 20, 21]) {
    it(`${weight > 20 ? 'moves the weight' : 'is skipped'}: ${weight} after 20`, () => {
      const rollout = {
        resumeStep: `${b}/1`,
        steps: [{ weight: 20 }, { pause: {} }, { weight }, { analyze: { require: 'Pass' as const } }],
      };
      assert.equal(after(1000, paused, { rollout }).next.phase, weight > 20 ? 'Shifting' : 'Analyzing');
    });
  }
});

describe('weights that another client changes', () => {
  const analyzing = {
    phase: 'Analyzing',
    stable: a,
    candidate: b,
    attempt: 1,
    floor: 4,
    since: t0,
    step: 1,
    weight: 5,
    window: 85_000_000,
  } as const;
  for (const [reverts, phase] of [
    [2, 'Analyzing'],
    [3, 'Paused'],
  ] as const) {
    it(`leave a rollout ${phase} after ${reverts} times in ten minutes`, () =>
      assert.equal(
        after(1000, analyzing, { seen: { traffic: { shares: { [a]: 95, [b]: 5 }, reverts } } }).next.phase,
        phase,
      ));
  }
});

describe('a stable revision with ready pods again', () => {
  it('gets a new window: what was counted while the candidate carried its traffic is not compared', () => {
    const paused = {
      phase: 'Paused',
      stable: a,
      candidate: b,
      attempt: 1,
      floor: 4,
      since: t0,
      step: 1,
      weight: 5,
      window: 85_000_000,
      why: 'Step',
      stableLostAt: t0,
    } as const;
    const { next } = after(10_000, paused, { rollout: { steps: [{ weight: 5 }, { pause: {} }, { weight: 50 }] } });
    assert.ok(
      next.phase === 'Paused' && next.window > paused.window && next.stableLostAt === undefined,
      JSON.stringify(next),
    );
  });
});

describe('a candidate with ready pods again', () => {
  it('gets the weight of the last step that it had reached, not of the first step', () => {
    const analyzing = {
      phase: 'Analyzing',
      stable: a,
      candidate: b,
      attempt: 1,
      floor: 4,
      since: t0,
      step: 3,
      weight: 20,
      window: 85_000_000,
      lostAt: t0,
    } as const;
    const steps = [
      { weight: 5 },
      { analyze: { require: 'Pass' as const } },
      { weight: 20 },
      { analyze: { require: 'Pass' as const } },
      { weight: 50 },
    ];
    const { next } = after(10_000, analyzing, { rollout: { steps } });
    assert.deepEqual(next.phase === 'Shifting' && [next.step, next.weight, next.set], [2, 20, 0]);
  });
});

describe('a promotion recorded by operator 0.1.0', () => {
  const at = '2026-01-01T00:00:00Z';
  const promoted = (...verdicts: readonly ('Pass' | 'Undecided')[]) =>
    lastKnownOf({
      history: [
        {
          revision: b,
          outcome: 'Promoted',
          reason: 'Promoted',
          at,
          gates: verdicts.map((verdict, index) => ({ name: `g${index}`, verdict })),
        },
      ],
    }).provenance[b];
  it('is proven when all gates passed, not when some of them did', () => {
    assert.deepEqual(
      [promoted('Pass', 'Pass'), promoted('Pass', 'Undecided'), promoted()],
      ['GatesPassed', 'Unrecorded', 'Unrecorded'],
    );
  });
});
