/** Parses `spec.rollout` into a plan with numbers. */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { provenSteps, rolloutPlanOf, type RolloutPlan } from '../../../../operator/rollout/plan.ts';

type Rollout = OnnxModelSpec['rollout'];
const judge = (require: 'NoFail' | 'Pass', maxDurationMs = 1_800_000) =>
  ({ kind: 'analyze', require, maxDurationMs }) as const;
const to = (weight: number) => ({ kind: 'weight', weight }) as const;

// prettier-ignore
const rows: readonly { readonly name: string; readonly replicas?: number;
  readonly rollout: Rollout; readonly want: Partial<RolloutPlan> }[] = [
  { name: 'an absent rollout as all traffic at once, with both revisions in full', rollout: undefined,
    want: { strategy: 'Immediate', steps: [], capacity: { mode: 'Surge', surge: 4 }, retainMs: 0,
      readyWithinMs: 1_800_000, onUndecided: 'Hold', router: 'Service', paused: false } },
  { name: 'a canary with the default steps', rollout: { strategy: 'Canary' },
    want: { steps: [to(5), judge('NoFail'), to(50), judge('Pass'), to(100)], retainMs: 300_000 } },
  {
    name: 'a canary with its own steps', rollout: { strategy: 'Canary',
        steps: [{ weight: 10 }, { analyze: { require: 'Pass', maxDuration: '5m' } },
        { pause: {} }, { pause: { duration: '1m30s' } }] },
    want: { steps: [to(10), judge('Pass', 300_000), { kind: 'pause' }, { kind: 'pause', durationMs: 90_000 }] },
  },
  {
    name: 'a shadow step before any weight', rollout: { strategy: 'Canary',
        steps: [{ shadow: { require: 'NoFail' } },
        { shadow: { share: '2.5%', require: 'Pass', maxDuration: '10m' } }, { weight: 5 }] },
    want: { steps: [{ kind: 'shadow', share: 0.1, require: 'NoFail', maxDurationMs: 1_800_000 },
        { kind: 'shadow', share: 0.025, require: 'Pass', maxDurationMs: 600_000 }, to(5)] },
  },
  { name: 'BlueGreen without limits', rollout: { strategy: 'BlueGreen' }, want: { steps: [], retainMs: 300_000 } },
  { name: 'BlueGreen with an absolute limit',
    rollout: { strategy: 'BlueGreen', gates: { errors: { max: '2%' } } }, want: { steps: [to(100), judge('NoFail')] } },
  { name: 'BlueGreen with a limit against stable only',
    rollout: { strategy: 'BlueGreen', gates: { errors: { maxIncrease: '2%' } } }, want: { steps: [] } },
  { name: 'all traffic at once with a surge of one: three steps', rollout: { capacity: { maxSurge: 1 } },
    want: { steps: provenSteps, capacity: { mode: 'Surge', surge: 1 } } },
  { name: 'all traffic at once with borrowed pods: three steps',
    rollout: { capacity: { mode: 'Borrow' } }, want: { steps: provenSteps } },
  { name: 'Recreate', rollout: { capacity: { mode: 'Recreate' } }, want: { steps: [] } },
  { name: 'maxSurge in percent, rounded up', rollout: { strategy: 'Canary', capacity: { maxSurge: '30%' } },
    want: { capacity: { mode: 'Surge', surge: 2 } } },
  { name: 'a maxSurge that rounds to 0 as one pod', rollout: { strategy: 'Canary',
      capacity: { maxSurge: '0%' } }, want: { capacity: { mode: 'Surge', surge: 1 } } },
  { name: 'maxSurge 1 of 900 replicas as one percent',
    replicas: 900, rollout: { strategy: 'Canary', capacity: { maxSurge: 1 } },
    want: { capacity: { mode: 'Surge', surge: 9 } } },
  { name: 'intents', rollout: { paused: true, abortRevision: 'aaaaaaaaaa', retryToken: '2',
      resumeStep: 'aaaaaaaaaa/1' }, want: { paused: true, abortRevision: 'aaaaaaaaaa',
      retryToken: '2', resumeStep: 'aaaaaaaaaa/1' } },
];

describe('the plan of a rollout', () => {
  for (const { name, replicas = 4, rollout, want } of rows) {
    it(`reads ${name}`, () => {
      const plan = rolloutPlanOf({ replicas, ...(rollout === undefined ? {} : { rollout }) }, 10_000);
      assert.deepEqual(
        Object.fromEntries(Object.keys(want).map((field) => [field, plan[field as keyof RolloutPlan]])),
        want,
      );
    });
  }

  for (const share of ['0%', '101%']) {
    it(`rejects a shadow step of ${share} of the requests`, () => {
      const rollout = { strategy: 'Canary', steps: [{ weight: 5 }, { shadow: { share, require: 'Pass' } }] } as const;
      assert.throws(
        () => rolloutPlanOf({ replicas: 1, rollout }, 0),
        /spec\.rollout\.steps\[1\]\.shadow\.share.*is not a percentage above 0% and up to 100%/,
      );
    });
  }

  it('names the field that is not a duration', () => {
    assert.throws(
      () => rolloutPlanOf({ replicas: 1, rollout: { progressDeadline: 'soon' } }, 0),
      /spec\.rollout\.progressDeadline.*'soon'/,
    );
  });
});
