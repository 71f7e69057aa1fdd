/**
 * Invariants of a rollout under random events in random order, and the state in which it ends (docs/rollouts.md).
 * Terms: stable is the revision that serves. The candidate may replace it. After the promotion of a candidate, the
 * former stable is retiring. When a rollout is given up, the candidate is rejected.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import {
  stableOf,
  type Decision,
  type Observation,
  type Revision,
  type RolloutState,
} from '../../../../operator/rollout/state.ts';
import { a, b, c, RolloutWorld, type GateWord, type Health } from '../../../support/rollout-world.ts';

type Rollout = NonNullable<OnnxModelSpec['rollout']>;
type Shape = Pick<OnnxModelSpec, 'rollout' | 'traffic'>;

const route = { router: 'HTTPRoute', parentRefs: [{ name: 'gateway' }] } as const;
// prettier-ignore
const steps = [
  [{ weight: 5 }, { analyze: { require: 'NoFail' } }, { weight: 50 },
    { analyze: { require: 'Pass' } }, { weight: 100 }],
  [{ weight: 10 }, { pause: { duration: '1m' } }, { weight: 34 },
    { analyze: { require: 'Pass', maxDuration: '2m' } }, { pause: {} }],
  [{ pause: { duration: '10s' } }, { weight: 75 }, { analyze: { require: 'NoFail' } },
    { weight: 100 }, { analyze: { require: 'Pass' } }],
  [{ shadow: { require: 'NoFail', maxDuration: '2m' } }, { pause: { duration: '10s' } },
    { shadow: { require: 'Pass' } }, { weight: 10 }, { analyze: { require: 'Pass' } }],
  [{ weight: 0 }, { analyze: { require: 'NoFail' } }, { weight: 20 }, { weight: 90 }],
] as const satisfies readonly Rollout['steps'][];

const shape: fc.Arbitrary<Shape> = fc
  .record({
    rollout: fc.oneof(
      fc.record({
        strategy: fc.constant('Canary' as const),
        steps: fc.constantFrom(...steps),
        onUndecided: fc.constantFrom('Hold' as const, 'Promote' as const, 'Rollback' as const),
        capacity: fc.constantFrom({}, { maxSurge: 1 }, { maxSurge: '25%' }, { mode: 'Borrow' as const }),
      }),
      fc.record({ strategy: fc.constant('BlueGreen' as const), gates: fc.constantFrom({}, { errors: { max: '2%' } }) }),
      fc.record({
        strategy: fc.constant('Immediate' as const),
        capacity: fc.constantFrom({}, { maxSurge: 1 }, { mode: 'Borrow' as const }, { mode: 'Recreate' as const }),
      }),
    ),
    isByWeight: fc.boolean(),
  })
  .map(({ rollout, isByWeight }) => ({
    rollout: { ...rollout, progressDeadline: '5m' },
    ...(isByWeight ? { traffic: route } : {}),
  }));

const anyRevision = fc.constantFrom<Revision>(a, b, c);
const health = fc.constantFrom<Health>('up', 'up', 'up', 'half', 'down', 'fatal');
const gate = fc.constantFrom<GateWord>(
  'Done',
  'Done',
  'Waiting',
  'Fail',
  'Sick',
  'SickAndPass',
  'SickAndFail',
  'Silent',
  'Pending',
  'None',
);

type Event = (world: RolloutWorld) => void;
const intend =
  (more: Partial<Rollout>): Event =>
  (world) => {
    world.spec = { ...world.spec, rollout: { ...world.spec.rollout, ...more } };
  };

/** Each event with a description, so that a counterexample can be read. */
const event: fc.Arbitrary<{ readonly say: string; readonly does: Event }> = fc.oneof(
  anyRevision.map((target) => ({
    say: `spec of ${target[0]}`,
    does: (world: RolloutWorld) => {
      world.target = target;
    },
  })),
  fc.tuple(anyRevision, health).map(([of, how]) => ({
    say: `${of[0]} is ${how}`,
    does: (world: RolloutWorld) => {
      world.health[of] = how;
    },
  })),
  gate.map((word) => ({
    say: `gates say ${word}`,
    does: (world: RolloutWorld) => {
      world.gate = word;
    },
  })),
  fc.constantFrom('Pass' as const, 'Fail' as const, 'Waiting' as const).map((verdict) => ({
    say: `checks say ${verdict}`,
    does: (world: RolloutWorld) => {
      world.checks = { verdict, reason: 'GoldenFailed', message: 'golden' };
    },
  })),
  fc
    .tuple(
      fc.constantFrom('abortRevision' as const, 'promoteRevision' as const, 'pinRevision' as const),
      fc.option(anyRevision),
    )
    .map(([field, of]) => ({
      say: `${field} ${of?.[0] ?? 'taken out'}`,
      does: (world: RolloutWorld) => {
        const { [field]: _, ...rest } = world.spec.rollout ?? {};
        world.spec = { ...world.spec, rollout: { ...rest, ...(of === null ? {} : { [field]: of }) } };
        if (field === 'pinRevision' && of !== null) world.target = of;
      },
    })),
  fc
    .tuple(anyRevision, fc.nat(4))
    .map(([of, step]) => ({ say: `resume ${of[0]}/${step}`, does: intend({ resumeStep: `${of}/${step}` }) })),
  fc.nat(3).map((token) => ({ say: `retry ${token}`, does: intend({ retryToken: String(token) }) })),
  fc.boolean().map((paused) => ({ say: `paused ${paused}`, does: intend({ paused }) })),
  fc.constantFrom(0, 1, 2, 3, 7).map((replicas) => ({
    say: `${replicas} replicas`,
    does: (world: RolloutWorld) => {
      world.spec = { ...world.spec, replicas };
    },
  })),
  shape.map((more) => ({
    say: `rollout ${JSON.stringify(more.rollout)}`,
    does: (world: RolloutWorld) => {
      world.spec = { ...world.spec, rollout: { ...intentsOf(world), ...more.rollout } };
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
    .constantFrom(1000, 31_000, 120_000, 700_000, 3_600_000)
    .map((ms) => ({ say: `${ms} ms pass`, does: (world: RolloutWorld) => world.tick(ms) })),
  fc.constant({
    say: 'the status is lost',
    does: (world: RolloutWorld) => {
      world.status = undefined;
    },
  }),
);

const pass = fc.constantFrom('fresh' as const, 'fresh' as const, 'fresh' as const, 'behind' as const, 'crash' as const);
const happening = fc.record({ event: fc.option(event, { freq: 3 }), pass, ticks: fc.nat(2) });

function intentsOf({ spec }: RolloutWorld): Rollout {
  const { abortRevision, promoteRevision, pinRevision, resumeStep, retryToken, paused } = spec.rollout ?? {};
  return JSON.parse(
    JSON.stringify({ abortRevision, promoteRevision, pinRevision, resumeStep, retryToken, paused }),
  ) as Rollout;
}

function startedWith(first: Shape): RolloutWorld {
  const world = new RolloutWorld();
  world.spec = { replicas: 3, ...first };
  for (let i = 0; i < 8; i += 1) {
    world.tick();
    world.pass();
  }
  assert.deepEqual(world.state, { phase: 'Stable', stable: a });
  return world;
}

const readyIn = (seen: Observation, of: Revision | null | undefined): number => seen.pods[of ?? '']?.ready ?? 0;

/**
 * Checks that the weights sum to 100, and that a revision with weight has a ready pod while any revision that may get
 * traffic has one. Models at zero replicas are left out, because the operator keeps no pods for them.
 */
function assertServed({ plan }: RolloutWorld, { next, serve, canary }: Decision, seen: Observation): void {
  assert.notEqual(serve, null, 'a revision serves');
  if (canary !== undefined) {
    assert.ok(
      canary.weight >= 1 && canary.weight <= 99 && canary.revision !== serve,
      `canary ${JSON.stringify(canary)} beside ${serve}`,
    );
    assert.ok(
      readyIn(seen, canary.revision) > 0 && readyIn(seen, serve) > 0,
      `traffic for a revision without a ready pod in ${next.phase}`,
    );
  }
  assert.ok(
    plan.replicas === 0 || readyIn(seen, serve) > 0 || admittedIn(next).every((of) => readyIn(seen, of) === 0),
    `${serve} has no ready pod, another revision that may serve has some, in ${next.phase}`,
  );
}

/**
 * The revisions that may get traffic in this state of a rollout: they passed the checks before traffic, or had traffic
 * already.
 */
function admittedIn(next: RolloutState): readonly (Revision | null)[] {
  if (next.phase === 'Shifting' || next.phase === 'Analyzing' || next.phase === 'Paused')
    return [next.stable, next.candidate];
  if (next.phase === 'Promoting' || next.phase === 'Settling') return [next.stable, next.retiring];
  return next.phase === 'Aborting' ? [next.stable, next.rejected] : [];
}

/**
 * Checks that each revision with traffic keeps the ready pods that its share needs: the operator removes pods only
 * after their traffic has moved. With capacity Recreate this does not hold, because pods are removed first.
 */
function assertCarried(world: RolloutWorld, before: RolloutState, decision: Decision, seen: Observation): void {
  const { capacity, router } = world.plan;
  const isInTurn = capacity.mode === 'Recreate' || !('stable' in before) || before.stable === null;
  if (isInTurn) return;
  if (router === 'Service' && world.taken.canary !== undefined) assertCarriedTogether(world, decision, seen);
  else
    // Check only stable and the revisions that may get traffic (admittedIn). Any other revision has traffic only until
    // the route changes, and the operator need not keep pods for it.
    for (const revision of new Set([before.stable, ...admittedIn(before)]))
      if (revision !== null) assertCarriedBy(revision, world, decision, seen);
}

function assertCarriedBy(revision: Revision, world: RolloutWorld, { next, run }: Decision, seen: Observation): void {
  const { replicas, capacity } = world.plan;
  const share = world.shareOf(revision);
  const needed = Math.ceil((replicas * share) / 100 - 0.08) - (capacity.mode === 'Borrow' ? 1 : 0);
  const wanted = run.find((each) => each.revision === revision)?.replicas ?? 0;
  assert.ok(
    wanted >= Math.min(needed, readyIn(seen, revision)),
    `${revision} has ${share}% of the traffic, needs ${needed} of ${readyIn(seen, revision)} pods, but is given ` +
      `${wanted} in ${next.phase}`,
  );
}

/**
 * When revisions share the traffic by their numbers of pods, each pod has the same share, so both revisions together
 * need enough pods for all the traffic.
 */
function assertCarriedTogether(
  { plan: { replicas, capacity } }: RolloutWorld,
  { next, run }: Decision,
  seen: Observation,
): void {
  const carrying = run.map(({ revision, replicas: wanted }) =>
    revision === stableOf(next) ? wanted : Math.min(wanted, readyIn(seen, revision)),
  );
  const both = carrying.reduce((sum, pods) => sum + pods, 0);
  const ready = [a, b, c].reduce((sum, revision) => sum + readyIn(seen, revision), 0);
  assert.ok(
    both >= Math.min(replicas - (capacity.mode === 'Borrow' ? 1 : 0), ready),
    `${both} pods for all the traffic in ${next.phase}`,
  );
}

/** While no event occurs and no time passes, the decisions must stop changing. */
function assertNoChurn(world: RolloutWorld, seen: Observation): void {
  const known = new Set<string>();
  const before = world.status;
  for (let i = 0; i < 12; i += 1) {
    const state = world.state;
    const { gates: _, ...rest } = seen;
    const decision = world.pass({ ...rest, ...fromStatus(world) }, false);
    if (JSON.stringify(world.state) === JSON.stringify(state)) {
      world.status = before;
      return;
    }
    known.add(`${state.phase}: ${decision.reason}`);
  }
  assert.fail(`the decisions keep changing: ${[...known].join(', ')}`);
}

/** The parts of an observation that are read from the status. */
function fromStatus(world: RolloutWorld): Pick<Observation, 'gates' | 'provenance' | 'refused' | 'spent'> {
  const { gates, provenance = {}, refused = [], spent = {} } = world.observe();
  return { provenance, refused, spent, ...(gates === undefined ? {} : { gates }) };
}

function assertStatus({ status }: RolloutWorld): void {
  const { step = 0, desiredWeight = 0, attempt = 1 } = status?.rollout ?? {};
  assert.ok(
    step >= 0 && step <= 1000 && desiredWeight >= 0 && desiredWeight <= 100 && attempt >= 1,
    'the API server accepts the status',
  );
}

/**
 * Makes all revisions healthy, removes all intents, and runs the rollout until it is at rest. Each pause must end by
 * the event that the status names.
 */
function calmDown(world: RolloutWorld): void {
  const { abortRevision: _a, promoteRevision: _b, pinRevision: _c, paused: _d, ...rollout } = world.spec.rollout ?? {};
  world.spec = { ...world.spec, rollout, replicas: 3 };
  Object.assign(world, { gate: 'Done', checks: undefined, reverts: 0, routeMoves: true });
  for (const revision of [a, b, c]) world.health[revision] = 'up';
  for (let i = 0; i < 1000 && !isAtRest(world); i += 1) {
    world.tick(5000);
    const { next } = world.pass();
    if (next.phase === 'Paused' && (next.why === 'Step' || next.why === 'Undecided'))
      world.spec = { ...world.spec, rollout: { ...world.spec.rollout, resumeStep: `${next.candidate}/${next.step}` } };
  }
}

function isAtRest({ state, target }: RolloutWorld): boolean {
  return (
    (state.phase === 'Stable' && state.stable === target) || (state.phase === 'Failed' && state.rejected === target)
  );
}

type Happening = {
  readonly event: { readonly say: string; readonly does: Event } | null;
  readonly pass: 'fresh' | 'behind' | 'crash';
  readonly ticks: number;
};

function tell(first: Shape, happenings: readonly Happening[]): void {
  const world = startedWith(first);
  let shown = world.observe();
  for (const { event: what, pass: how, ticks } of happenings) {
    what?.does(world);
    for (let i = 0; i < ticks; i += 1) world.tick();
    const now = world.observe();
    const seen = how === 'behind' ? { ...shown, target: now.target, ...fromStatus(world) } : now;
    const before = world.state;
    const decision = world.pass(seen, false);
    assertStatus(world);
    assertServed(world, decision, seen);
    if (how !== 'behind') assertCarried(world, before, decision, seen);
    if (how !== 'crash') world.apply(decision);
    assertNoChurn(world, seen);
    shown = now;
  }
  calmDown(world);
  assert.ok(isAtRest(world), `ends in ${JSON.stringify(world.state)} for ${world.target}`);
}

describe('a rollout, over any sequence of events', () => {
  it('serves from ready pods, keeps the pods of traffic, comes to rest, and ends as the spec asks', function () {
    fc.assert(
      fc.property(shape, fc.array(happening, { minLength: 1, maxLength: 40, size: 'max' }), (first, happenings) => {
        try {
          tell(first, happenings);
        } catch (error) {
          const story = happenings
            .map((each) => `${each.event?.say ?? 'nothing'}, ${each.ticks} ticks, ${each.pass}`)
            .join('; ');
          throw new Error(`${(error as Error).message} <- ${JSON.stringify(first)}: ${story}`, { cause: error });
        }
      }),
      // If ROLLOUT_RUNS is set, it gives the number of runs, and the seed is random. Otherwise the seed is fixed.
      process.env['ROLLOUT_RUNS'] === undefined
        ? { numRuns: 500, seed: 1 }
        : { numRuns: Number(process.env['ROLLOUT_RUNS']) },
    );
  });
});
