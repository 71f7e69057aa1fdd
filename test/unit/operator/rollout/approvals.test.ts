/** A rollout that waits for a person keeps waiting, even if stable (the serving revision) loses its ready pods. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { a, b, RolloutWorld, type GateWord, type Health } from '../../../support/rollout-world.ts';

type Rollout = NonNullable<OnnxModelSpec['rollout']>;

const route = { router: 'HTTPRoute', parentRefs: [{ name: 'gateway' }] } as const;
// prettier-ignore
const withApproval = [
  [{ weight: 20 }, { pause: {} }, { weight: 100 }],
  [{ weight: 5 }, { analyze: { require: 'NoFail' } }, { weight: 50 },
    { pause: {} }, { analyze: { require: 'Pass' } }, { weight: 100 }],
  [{ weight: 100 }, { pause: {} }],
  [{ weight: 10 }, { pause: { duration: '10s' } }, { weight: 34 },
    { analyze: { require: 'Pass', maxDuration: '1m' } }, { pause: {} }],
] as const satisfies readonly Rollout['steps'][];

const shape = fc
  .record({
    steps: fc.constantFrom(...withApproval),
    isByWeight: fc.boolean(),
    capacity: fc.constantFrom({}, { maxSurge: 1 }, { mode: 'Borrow' as const }),
    onUndecided: fc.constantFrom('Hold' as const, 'Promote' as const),
  })
  .map(({ isByWeight, ...rollout }) => ({
    rollout: { strategy: 'Canary' as const, progressDeadline: '20m', ...rollout },
    ...(isByWeight ? { traffic: route } : {}),
  }));

type Event = { readonly say: string; readonly does: (world: RolloutWorld) => void };
const health = fc.constantFrom<Health>('up', 'up', 'half', 'down');
const gate = fc.constantFrom<GateWord>('Done', 'Waiting', 'Sick', 'SickAndPass', 'Silent', 'Pending', 'None');
const event: fc.Arbitrary<Event> = fc.oneof(
  health.map((how) => ({
    say: `stable is ${how}`,
    does: (world: RolloutWorld) => {
      world.health[a] = how;
    },
  })),
  health.map((how) => ({
    say: `the candidate is ${how}`,
    does: (world: RolloutWorld) => {
      world.health[b] = how;
    },
  })),
  gate.map((word) => ({
    say: `gates say ${word}`,
    does: (world: RolloutWorld) => {
      world.gate = word;
    },
  })),
  fc.constantFrom(0, 1, 3, 7).map((replicas) => ({
    say: `${replicas} replicas`,
    does: (world: RolloutWorld) => {
      world.spec = { ...world.spec, replicas };
    },
  })),
  fc.boolean().map((moves) => ({
    say: `route moves ${moves}`,
    does: (world: RolloutWorld) => {
      world.routeMoves = moves;
    },
  })),
  fc.constantFrom(0, 3).map((reverts) => ({
    say: `${reverts} reverts`,
    does: (world: RolloutWorld) => {
      world.reverts = reverts;
    },
  })),
  fc
    .constantFrom(1000, 31_000, 120_000, 3_600_000)
    .map((ms) => ({ say: `${ms} ms pass`, does: (world: RolloutWorld) => world.tick(ms) })),
);

/** A world in which revision b is a canary in one of its steps, and revision a serves. */
function begun(first: Partial<RolloutWorld['spec']>): RolloutWorld {
  const world = new RolloutWorld();
  world.spec = { replicas: 3, ...first };
  world.gate = 'Waiting';
  const live = (until: () => boolean): void => {
    for (let i = 0; i < 40 && !until(); i += 1) {
      world.tick();
      world.pass();
    }
  };
  live(() => world.state.phase === 'Stable');
  world.target = b;
  live(() => 'step' in world.state);
  assert.ok('step' in world.state);
  return world;
}

function told(world: RolloutWorld, events: readonly Event[], check: () => void): void {
  for (const { does } of events) {
    does(world);
    for (let i = 0; i < 3; i += 1) {
      world.tick(3000);
      world.pass();
      check();
    }
  }
}

const events = fc.array(event, { minLength: 1, maxLength: 30, size: 'max' });
const runs = {
  numRuns: Number(process.env['ROLLOUT_RUNS'] ?? 300),
  ...(process.env['ROLLOUT_RUNS'] === undefined ? { seed: 3 } : {}),
};

describe('a rollout that waits for a person', () => {
  it('is not promoted, and does not pass its approval, without one', function () {
    fc.assert(
      fc.property(shape, events, (first, happenings) => {
        const world = begun(first);
        const approval = first.rollout.steps.findIndex((step) => 'pause' in step && !('duration' in step.pause));
        told(world, happenings, () => {
          const { state, status } = world;
          assert.ok(
            world.plan.replicas === 0 || !('stable' in state) || state.stable === a,
            `${state.phase}: ${happenings.map(({ say }) => say).join('; ')}`,
          );
          assert.ok(
            !('step' in state) || state.step <= approval,
            `step ${'step' in state ? state.step : ''} is behind the approval ${approval}: ` +
              `${happenings.map(({ say }) => say).join('; ')}`,
          );
          assert.deepEqual(
            status?.history?.filter(
              ({ revision, outcome, provenance }) =>
                revision === b && outcome === 'Promoted' && provenance !== 'Asleep',
            ) ?? [],
            [],
            happenings.map(({ say }) => say).join('; '),
          );
        });
      }),
      runs,
    );
  });

  it('keeps its phase and step while spec.rollout.paused holds it', function () {
    fc.assert(
      fc.property(shape, events, (first, happenings) => {
        const world = begun(first);
        world.spec = { ...world.spec, rollout: { ...world.spec.rollout, paused: true } };
        const { step, weight } = world.state as { readonly step: number; readonly weight: number };
        told(world, happenings, () => {
          const { state } = world;
          assert.ok(
            world.plan.replicas === 0 ||
              (state.phase !== 'Promoting' && state.phase !== 'Settling' && state.phase !== 'Stable'),
            happenings.map(({ say }) => say).join('; '),
          );
          if ('step' in state)
            assert.ok(
              state.step <= step && state.weight <= weight,
              `${state.phase} ${state.step}: ${happenings.map(({ say }) => say).join('; ')}`,
            );
        });
      }),
      runs,
    );
  });

  it('carries the traffic while stable has no ready pod for seconds, and returns it', () => {
    const world = begun({ rollout: { strategy: 'Canary', steps: withApproval[0] } });
    for (let i = 0; i < 20; i += 1) {
      world.tick();
      world.pass();
    }
    assert.equal(world.state.phase, 'Paused');
    world.health[a] = 'down';
    world.tick(3000);
    assert.deepEqual([world.pass().serve, world.state.phase], [b, 'Paused']);
    world.health[a] = 'up';
    for (let i = 0; i < 5; i += 1) {
      world.tick(3000);
      world.pass();
    }
    const { state, asked, status } = world;
    assert.deepEqual([state.phase, asked], ['Paused', { serve: a, canary: { revision: b, weight: 20 } }]);
    assert.equal(status?.rollout?.stableLostAt, undefined);
  });
});
