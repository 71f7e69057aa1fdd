/**
 * An intent (a field of `spec.rollout` that asks for one action, such as an approval) takes effect once. If it stays in
 * the spec, it does not affect a later rollout.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec, OnnxModelStatus } from '../../../../api/onnxmodel.ts';
import { livePlan, spentIn } from '../../../../operator/rollout/intents.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import type { Revision } from '../../../../operator/rollout/state.ts';
import { a, b, c, RolloutWorld, settleMs } from '../../../support/rollout-world.ts';

type Rollout = NonNullable<OnnxModelSpec['rollout']>;
const steps = [
  { weight: 34 },
  { analyze: { require: 'Pass', maxDuration: '1m' } },
  { pause: {} },
  { weight: 100 },
] as const;
const golden = { verdict: 'Fail', reason: 'GoldenFailed', message: 'golden set: Cosine 0.31' } as const;

function serving(): RolloutWorld {
  const world = new RolloutWorld();
  world.spec = { replicas: 2, rollout: { strategy: 'Canary', steps, capacity: { retainStable: '0s' } } };
  live(world, 10);
  assert.equal(world.state.phase, 'Stable');
  return world;
}

function live(world: RolloutWorld, passes = 40): void {
  for (let i = 0; i < passes; i += 1) {
    world.tick();
    world.pass();
  }
}

function set(world: RolloutWorld, more: Partial<Rollout>): void {
  world.spec = { ...world.spec, rollout: { ...world.spec.rollout, ...more } };
}

function takeOut(world: RolloutWorld, field: 'promoteRevision' | 'resumeStep'): void {
  const { [field]: _, ...rest } = world.spec.rollout ?? {};
  world.spec = { ...world.spec, rollout: rest };
}

/** Changes the spec to the spec of a revision, and runs the rollout to its end. */
function go(world: RolloutWorld, target: Revision): void {
  world.target = target;
  live(world);
}

/**
 * A world in which revision b was promoted by force although its golden set failed. Then revision a passed the gates,
 * and it serves again.
 */
function forcedOnce(): RolloutWorld {
  const world = serving();
  world.checks = golden;
  go(world, b);
  set(world, { promoteRevision: b });
  live(world);
  assert.deepEqual(world.state, { phase: 'Stable', stable: b });
  world.checks = undefined;
  go(world, a);
  assert.deepEqual(world.state, { phase: 'Stable', stable: a });
  world.checks = golden;
  return world;
}

const phaseOf = ({ state }: RolloutWorld): string => state.phase;

type Row = { readonly name: string; readonly between?: (world: RolloutWorld) => void; readonly phase: string };

// prettier-ignore
const comingBack: readonly Row[] = [
  { name: 'is judged, although the spec still names it', phase: 'Failed' },
  { name: 'is judged after a retry', between:
      (world) => { go(world, b); set(world, { retryToken: '1' }); }, phase: 'Failed' },
  { name: 'is judged after a restart with an older operator version', between: (world) => {
    const { provenance: _, ...stable } = { ...world.status?.stable, revision: a };
    const { handledPromoteRevision: _p, handledResumeStep:
        _r, ...rollout } = world.status?.rollout ?? { phase: 'Stable' };
    world.status = { ...world.status, observedGeneration: 1, stable, rollout };
  }, phase: 'Failed' },
  { name: 'is judged when the status was lost',
    between: (world) => { world.status = undefined; live(world, 3); }, phase: 'Failed' },
  { name: 'is judged when the request was removed from the spec',
    between: (world) => takeOut(world, 'promoteRevision'), phase: 'Failed' },
  { name: 'is promoted when promotion is requested again',
    between: (world) => { takeOut(world, 'promoteRevision'); world.target = b;
      live(world, 4); set(world, { promoteRevision: b }); }, phase: 'Stable' },
  { name: 'is promoted when the request comes before a pass has seen the revision',
    between: (world) => { takeOut(world, 'promoteRevision'); live(world, 1);
      set(world, { promoteRevision: b }); }, phase: 'Stable' },
];

describe('a revision that was forced once and comes back', () => {
  for (const { name, between, phase } of comingBack) {
    it(name, () => {
      const world = forcedOnce();
      between?.(world);
      go(world, b);
      assert.deepEqual([world.state.phase, world.asked.serve], [phase, phase === 'Stable' ? b : a]);
    });
  }

  it('is judged when it comes back at once, while its pods still exist', () => {
    const world = serving();
    set(world, { capacity: { retainStable: '1h' } });
    world.checks = golden;
    go(world, b);
    set(world, { promoteRevision: b });
    live(world);
    world.checks = undefined;
    go(world, a);
    assert.equal(world.state.phase, 'Settling');
    world.checks = golden;
    go(world, b);
    assert.deepEqual([world.state.phase, world.asked.serve], ['Failed', a]);
  });
});

describe('a request that does not name the target', () => {
  it('is spent: it does not promote that revision when it becomes the target', () => {
    const world = serving();
    set(world, { promoteRevision: c });
    live(world, 1);
    world.checks = golden;
    go(world, c);
    assert.equal(world.state.phase, 'Failed');
  });

  it('waits while traffic leaves a third revision', () => {
    const world = serving();
    world.gate = 'Waiting';
    world.target = b;
    live(world, 5);
    assert.equal(world.state.phase, 'Analyzing');
    world.target = c;
    live(world, 1);
    set(world, { promoteRevision: c });
    live(world, 1);
    assert.equal(phaseOf(world), 'Aborting');
    live(world);
    assert.deepEqual([world.state, world.status?.stable?.provenance], [{ phase: 'Stable', stable: c }, 'Forced']);
  });
});

describe('an approval', () => {
  /** A world in which revision b paused, was approved and became stable, and then revision a became stable again. */
  function approvedOnce(): RolloutWorld {
    const world = serving();
    go(world, b);
    assert.equal(world.state.phase, 'Paused');
    set(world, { resumeStep: `${b}/2` });
    live(world);
    assert.deepEqual(world.state, { phase: 'Stable', stable: b });
    // Remove the history: otherwise b would not be judged again when it comes back.
    const status = world.status as OnnxModelStatus;
    world.status = { ...status, history: status.history?.filter(({ revision }) => revision !== b) ?? [] };
    go(world, a);
    assert.equal(world.state.phase, 'Stable');
    world.status = { ...(world.status as OnnxModelStatus), history: [] };
    return world;
  }

  it('does not approve the same revision when it comes back', () => {
    const world = approvedOnce();
    go(world, b);
    assert.deepEqual([world.state.phase, world.asked.canary?.weight], ['Paused', 34]);
  });

  it('does not end the wait for its gates either when it comes back', () => {
    const world = serving();
    world.gate = 'Waiting';
    go(world, b);
    set(world, { resumeStep: `${b}/1` });
    live(world);
    set(world, { resumeStep: `${b}/1` });
    go(world, a);
    go(world, b);
    const { state } = world;
    assert.deepEqual([state.phase, 'why' in state && state.why], ['Paused', 'Undecided']);
  });

  it('holds for a retry of the same revision', () => {
    const world = serving();
    go(world, b);
    set(world, { resumeStep: `${b}/2` });
    world.gate = 'Fail';
    live(world);
    assert.equal(world.state.phase, 'Failed');
    world.gate = 'Done';
    set(world, { retryToken: '1' });
    live(world);
    assert.deepEqual(world.state, { phase: 'Stable', stable: b });
  });
});

describe('the spent intents in a status', () => {
  const asked = rolloutPlanOf({ rollout: { promoteRevision: b, resumeStep: `${b}/2` } }, settleMs);
  const both = { promoteRevision: b, resumeStep: `${b}/2` };
  // prettier-ignore
  const rows: readonly { readonly name: string;
    readonly status: Parameters<typeof spentIn>[0]; readonly spent: object }[] = [
    { name: 'empty without a status', status: undefined, spent: {} },
    { name: 'those that the status names', status: { stable: { revision: a, provenance: 'First' },
        rollout: { phase: 'Stable', handledPromoteRevision: b, handledResumeStep: `${b}/2` } }, spent: both },
    { name: 'empty when the status names another revision or step',
      status: { stable: { revision: a, provenance: 'First' },
        rollout: { phase: 'Stable', handledPromoteRevision: c, handledResumeStep: `${b}/1` } }, spent: {} },
    { name: 'for a status of 0.1.0, a request that does not name the candidate',
      status: { stable: { revision: a }, rollout: { phase: 'Stable' } }, spent: both },
    { name: 'for a status of 0.1.0, empty when the request names the candidate',
      status: { stable: { revision: a }, candidate: { revision: b }, rollout: { phase: 'Paused' } }, spent: {} },
    { name: 'for a status of 0.1.0, a request that its candidate failed with',
      status: { stable: { revision: a }, candidate: { revision: b },
        rollout: { phase: 'Failed', handledPromoteRevision: b } }, spent: { promoteRevision: b } },
  ];
  for (const { name, status, spent } of rows) {
    it(`are ${name}`, () => {
      assert.deepEqual(spentIn(status, asked), spent);
      const { promoteRevision, resumeStep } = livePlan(asked, spentIn(status, asked));
      assert.deepEqual(
        [promoteRevision === undefined, resumeStep === undefined],
        ['promoteRevision' in spent, 'resumeStep' in spent],
      );
    });
  }
});
