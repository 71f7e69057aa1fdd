/** What the spec asks of a rollout, read into numbers. */
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
  { name: 'nothing said: all at once, both in full', rollout: undefined,
    want: { strategy: 'Immediate', steps: [], capacity: { mode: 'Surge', surge: 4 }, retainMs: 0,
      readyWithinMs: 1_800_000, onUndecided: 'Hold', router: 'Service', paused: false } },
  { name: 'a canary by default', rollout: { strategy: 'Canary' },
    want: { steps: [to(5), judge('NoFail'), to(50), judge('Pass'), to(100)], retainMs: 300_000 } },
  {
    name: 'a canary by its own steps', rollout: { strategy: 'Canary',
        steps: [{ weight: 10 }, { analyze: { require: 'Pass', maxDuration: '5m' } },
        { pause: {} }, { pause: { duration: '1m30s' } }] },
    want: { steps: [to(10), judge('Pass', 300_000), { kind: 'pause' }, { kind: 'pause', durationMs: 90_000 }] },
  },
  {
    name: 'steps before any weight', rollout: { strategy: 'Canary',
        steps: [{ shadow: { require: 'NoFail' } },
        { shadow: { share: '2.5%', require: 'Pass', maxDuration: '10m' } }, { weight: 5 }] },
    want: { steps: [{ kind: 'shadow', share: 0.1, require: 'NoFail', maxDurationMs: 1_800_000 },
        { kind: 'shadow', share: 0.025, require: 'Pass', maxDurationMs: 600_000 }, to(5)] },
  },
  { name: 'blue and green without limits', rollout: { strategy: 'BlueGreen' }, want: { steps: [], retainMs: 300_000 } },
  { name: 'blue and green with a limit of its own',
    rollout: { strategy: 'BlueGreen', gates: { errors: { max: '2%' } } }, want: { steps: [to(100), judge('NoFail')] } },
  { name: 'blue and green with a limit against stable only',
    rollout: { strategy: 'BlueGreen', gates: { errors: { maxIncrease: '2%' } } }, want: { steps: [] } },
  { name: 'all at once with room for one more: three jumps', rollout: { capacity: { maxSurge: 1 } },
    want: { steps: provenSteps, capacity: { mode: 'Surge', surge: 1 } } },
  { name: 'all at once with borrowed pods: three jumps',
    rollout: { capacity: { mode: 'Borrow' } }, want: { steps: provenSteps } },
  { name: 'one after the other', rollout: { capacity: { mode: 'Recreate' } }, want: { steps: [] } },
  { name: 'a part of the pods, rounded up', rollout: { strategy: 'Canary', capacity: { maxSurge: '30%' } },
    want: { capacity: { mode: 'Surge', surge: 2 } } },
  { name: 'at least one more', rollout: { strategy: 'Canary',
      capacity: { maxSurge: '0%' } }, want: { capacity: { mode: 'Surge', surge: 1 } } },
  { name: 'at least one percent more', replicas: 900, rollout: { strategy: 'Canary', capacity: { maxSurge: 1 } },
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
    it(`refuses to shadow ${share} of the requests`, () => {
      const rollout = { strategy: 'Canary', steps: [{ weight: 5 }, { shadow: { share, require: 'Pass' } }] } as const;
      assert.throws(
        () => rolloutPlanOf({ replicas: 1, rollout }, 0),
        /spec\.rollout\.steps\[1\]\.shadow\.share.*is not a percentage above 0% and up to 100%/,
      );
    });
  }

  it('names the field that is no duration', () => {
    assert.throws(
      () => rolloutPlanOf({ replicas: 1, rollout: { progressDeadline: 'soon' } }, 0),
      /spec\.rollout\.progressDeadline.*'soon'/,
    );
  });
});
