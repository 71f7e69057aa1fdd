/**
 * What the operator asks of the sidecars of a model's pods with its requests for reports.
 *
 * Terms: stable is the serving revision, the candidate the new one. A pod of stable keeps some requests as samples, and
 * a pod of the candidate answers them too. A probe is an input that is sent to both revisions to compare their times.
 */
import assert from 'node:assert/strict';
import type { OnnxModel, OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { DecisionReason } from '../../../../api/reasons.ts';
import { askedIn } from '../../../../runtime/sidecar/asked.ts';
import type { Pod } from '../../../../kube/kinds.ts';
import type { Seen } from '../../../../operator/see/seen.ts';
import type { Decision, RolloutState } from '../../../../operator/rollout/state.ts';
import type { Happening } from '../../../../kube/events/events.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import { announceTo, watchedPods } from '../../../../operator/reconcile/notify.ts';

const course = { stable: 'stable', candidate: 'candidate', attempt: 1, floor: 2, since: 0 } as const;
const analyzing: RolloutState = { phase: 'Analyzing', ...course, step: 1, weight: 50, window: 9 };
/** Tokens of a candidate's pod: its own, and the token of the stable pods from which it requests samples. */
const tokens = { token: 'token of candidate', peersToken: 'token of stable' } as const;
const quality = { sampleRate: '5%', metric: 'Cosine', min: '0.98' } as const;

function pod(name: string, ip?: string, ready = true): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: `uid-${name}` },
    status: {
      ...(ip === undefined ? {} : { podIP: ip }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

/** `spec.rollout` of a case, and in `wanted` the probes (extra requests) per minute that the gates ask for. */
type Told = NonNullable<OnnxModelSpec['rollout']> & { readonly wanted?: number };

function asksIn(
  next: RolloutState,
  gates: NonNullable<OnnxModelSpec['rollout']>['gates'] = { quality },
  stablePods: readonly Pod[] = [pod('s1', '10.0.0.2'), pod('s0', '10.0.0.1'), pod('s2', '10.0.0.3', false)],
  { probes, ...more }: Told = {},
) {
  const pods = new Map([
    ['stable', stablePods],
    ['candidate', [pod('c0', '10.0.1.1')]],
    ['old', [pod('o0', '10.0.2.1'), pod('o1')]],
  ]);
  const records = new Map(
    ['stable', 'candidate', 'old'].map((revision) => [revision, { revision, token: `token of ${revision}` }]),
  );
  const { wanted, ...rollout } = more;
  const plan = rolloutPlanOf({ replicas: 2, rollout: { strategy: 'Canary', ...rollout } }, 0);
  const gatesRead = wanted === undefined ? {} : { gates: { probes: wanted } };
  const seen = {
    pods,
    records,
    plan,
    rollout: gatesRead,
    model: { spec: { rollout: { ...rollout, gates, ...(probes === undefined ? {} : { probes }) } } },
  } as unknown as Seen;
  return Object.fromEntries(watchedPods(seen, { next } as Decision).map(({ name, ask }) => [name, ask]));
}

describe('the tasks of sidecars', () => {
  it("contain the token of their revision, and for the candidate also stable's token", () => {
    const { c0, s0 } = asksIn(analyzing);
    assert.deepEqual(
      [c0?.token, c0?.peersToken, s0?.token, s0?.peersToken],
      ['token of candidate', 'token of stable', 'token of stable', undefined],
    );
  });

  it('under traffic: stable keeps samples, the candidate replays them; a pod without an address is skipped', () => {
    const candidate = { peers: ['10.0.0.1', '10.0.0.2'], agreement: 'Cosine:0.99', pairs: 'Replay', ...tokens };
    const stable = { sample: 0.05, token: 'token of stable' };
    assert.deepEqual(asksIn(analyzing), { s0: stable, s1: stable, s2: stable, c0: candidate, o0: undefined });
  });

  // prettier-ignore
  const rows: readonly (readonly [string, RolloutState, Parameters<typeof asksIn>[1], unknown, unknown])[] = [
    ['before traffic the candidate\'s pods get the addresses of stable\'s for golden answers',
      { phase: 'Preparing', ...course },
      { quality }, { peers: ['10.0.0.1', '10.0.0.2'], ...tokens }, undefined],
    ['without a quality gate there is no sampling', analyzing, {},
      { peers: ['10.0.0.1', '10.0.0.2'], ...tokens }, undefined],
    ['a first revision has no peers', { phase: 'Preparing',
      ...course, stable: null }, { quality }, undefined, undefined],
    ['at rest there are no tasks', { phase: 'Stable', stable: 'stable' }, { quality }, undefined, undefined],
    ['after a rollback there are no tasks',
      { phase: 'Failed', stable: 'stable', rejected: 'candidate', cause: 'LatencyGateFailed',
      detail: '', attempt: 1, since: 0 }, { quality }, undefined, undefined],
    ['with other metrics an answer agrees only as a whole', analyzing,
      { quality: { ...quality, metric: 'ExactMatch', sampleRate: '0.5%' } },
      { peers: ['10.0.0.1', '10.0.0.2'], agreement: 'ExactMatch:1', pairs: 'Replay',
      ...tokens }, { sample: 0.005, token: 'token of stable' }],
  ];
  for (const [name, next, gates, candidate, stable] of rows) {
    it(name, () => {
      const { c0, s0 } = asksIn(next, gates);
      assert.deepEqual([c0, s0], [candidate, stable]);
    });
  }

  const shadowing: RolloutState = { phase: 'Analyzing', ...course, step: 0, weight: 0, window: 9 };
  const shadowSteps = [{ shadow: { share: '20%', require: 'Pass' } }, { weight: 5 }] as const;
  const peers = ['10.0.0.1', '10.0.0.2'];
  type OfPairs = readonly [string, RolloutState, Parameters<typeof asksIn>[1], Told, object, object | undefined];
  // prettier-ignore
  const ofPairs: readonly OfPairs[] = [
    ['the gates\' number of probes, divided among the ready pods', analyzing,
      {}, { wanted: 40 }, { probes: { perMinute: 40, pods: 1 } }, undefined],
    ['no probes before traffic', { phase: 'Preparing', ...course }, {}, { wanted: 40 }, {}, undefined],
    ['only replays for quality when probes are off', analyzing, { quality },
      { probes: { mode: 'Off' } }, { agreement: 'Cosine:0.99' }, { sample: 0.05 }],
    ['the share of a shadow step, and service times', shadowing,
      {}, { steps: shadowSteps }, { pairs: 'Shadow' }, { sample: 0.2 }],
    ['also answers in a shadow step with a quality gate', shadowing, { quality },
      { steps: shadowSteps }, { agreement: 'Cosine:0.99', pairs: 'Shadow' }, { sample: 0.2 }],
    ['the same while an undecided shadow step is paused, because more pairs may decide it',
      { ...shadowing, phase: 'Paused', why: 'Undecided' }, {}, { steps: shadowSteps },
      { pairs: 'Shadow' }, { sample: 0.2 }],
    ['no sampling after a shadow step', { ...analyzing, step: 1 }, {}, { steps: shadowSteps }, {}, undefined],
  ];
  for (const [name, next, gates, told, candidate, stable] of ofPairs) {
    it(`asks for ${name}`, () => {
      const { c0, s0 } = asksIn(next, gates, undefined, told);
      assert.deepEqual(
        [c0, s0],
        [
          { peers, ...candidate, ...tokens },
          stable === undefined ? undefined : { ...stable, token: 'token of stable' },
        ],
      );
    });
  }

  it('names at most sixteen peers', () => {
    const many = Array.from({ length: 20 }, (_, i) => pod(`s${i}`, `10.0.0.${i}`));
    assert.equal(asksIn(analyzing, { quality }, many)['c0']?.peers?.length, 16);
  });

  it('is understood by the sidecar', () => {
    const { c0 } = asksIn(analyzing);
    const asked = askedIn(new URLSearchParams({ peers: c0?.peers?.join(',') ?? '', agreement: c0?.agreement ?? '' }));
    assert.deepEqual(asked, {
      peers: ['10.0.0.1', '10.0.0.2'],
      sample: 0,
      agreement: { metric: 'Cosine', limit: 0.99 },
    });
  });
});

describe('the Event of a decision', () => {
  const said = (reason: DecisionReason, phase: RolloutState['phase'] = 'Analyzing'): readonly Happening[] => {
    const all: Happening[] = [];
    announceTo({ say: (happening) => all.push(happening) })(
      {} as OnnxModel,
      { next: { phase }, reason, message: 'in words' } as unknown as Decision,
    );
    return all;
  };
  const rows: readonly (readonly [string, DecisionReason, RolloutState['phase'], string])[] = [
    ['a failed gate is a warning', 'GoldenFailed', 'Failed', 'Warning kept'],
    ['each cause that fails a candidate is a warning', 'Aborted', 'Failed', 'Warning kept'],
    ['a promotion is kept', 'Promoted', 'Promoting', 'Normal kept'],
    ['a promotion that skipped checks is a warning', 'Forced', 'Promoting', 'Warning kept'],
    ['a step may be dropped', 'Analyzing', 'Analyzing', 'Normal'],
    ['starting pods do not cause an Event', 'RevisionStarting', 'Preparing', ''],
    ['pods that warm up do not cause an Event', 'RevisionWarming', 'Preparing', ''],
    ['waiting for a golden set does not cause an Event', 'GoldenWaiting', 'Preparing', ''],
    ['waiting for a report does not cause an Event', 'ReportMissing', 'Preparing', ''],
  ];
  for (const [name, reason, phase, want] of rows) {
    it(name, () =>
      assert.equal(
        said(reason, phase)
          .map(({ type, keep }) => `${type}${keep === true ? ' kept' : ''}`)
          .join(),
        want,
      ),
    );
  }

  it('is a warning for a reason that only another version of the operator knows', () => {
    assert.deepEqual(
      said('WordOfTomorrow' as DecisionReason).map(({ type, reason }) => [type, reason]),
      [['Warning', 'WordOfTomorrow']],
    );
  });
});
