/**
 * The provenance of a promotion: how the candidate (the new revision) became stable. It depends on which checks the
 * attempt skipped. An attempt is one try of a candidate.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec, RolloutOutcome } from '../../../../api/onnxmodel.ts';
import { a, b, RolloutWorld } from '../../../support/rollout-world.ts';

type Rollout = NonNullable<OnnxModelSpec['rollout']>;
const steps = [{ weight: 34 }, { analyze: { require: 'NoFail', maxDuration: '1m' } }, { weight: 100 }] as const;
const canary = (more: Partial<Rollout> = {}): Rollout => ({ strategy: 'Canary', steps, ...more });

function serving(): RolloutWorld {
  const world = new RolloutWorld();
  world.spec = { replicas: 2, rollout: canary() };
  live(world, 10);
  assert.equal(world.state.phase, 'Stable');
  return world;
}

function live(world: RolloutWorld, passes: number): void {
  for (let i = 0; i < passes; i += 1) {
    world.tick();
    world.pass();
  }
}

function set(world: RolloutWorld, more: Partial<Rollout>): void {
  world.spec = { ...world.spec, rollout: { ...world.spec.rollout, ...more } };
}

const golden = { verdict: 'Fail', reason: 'GoldenFailed', message: 'golden set: Cosine 0.31' } as const;

/**
 * Removes the fields that operator 0.1.0 did not write to the status: the provenance, what an attempt skipped, and the
 * time at which stable lost its last ready pod.
 */
function asWrittenBefore(world: RolloutWorld): void {
  const text = JSON.stringify(world.status, (key, value: unknown) =>
    ['provenance', 'skipped', 'stableLostAt'].includes(key) ? undefined : value,
  );
  world.status = JSON.parse(text) as NonNullable<RolloutWorld['status']>;
}

function newest({ status }: RolloutWorld): RolloutOutcome {
  return status?.history?.[0] ?? assert.fail('no rollout has ended');
}

type Row = {
  readonly name: string;
  readonly does: (world: RolloutWorld) => void;
  readonly provenance: string;
  readonly reason: string;
  readonly says?: RegExp;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'its gates have passed', does: () => {}, provenance: 'GatesPassed', reason: 'Promoted' },
  { name: 'promoteRevision names it after its golden set had failed',
    does: (world) => { world.checks = golden; set(world, { promoteRevision: b }); }, provenance: 'Forced',
    reason: 'Forced', says: /promoteRevision names the revision.*failed: golden set: Cosine 0\.31/ },
  { name: 'a pin named it', does: (world) => set(world, { pinRevision: b }),
    provenance: 'Pinned', reason: 'Pinned', says: /pinRevision/ },
  { name: 'a person ended the wait for its gates',
    does: (world) => { world.gate = 'Waiting'; set(world, { resumeStep: `${b}/1` }); },
    provenance: 'ResumedUndecided', reason: 'ResumedUndecided', says: /resumeStep/ },
  { name: 'onUndecided promotes an undecided candidate',
    does: (world) => { world.gate = 'Waiting'; set(world, { onUndecided: 'Promote' }); },
    provenance: 'PromotedUndecided', reason: 'PromotedUndecided', says: /onUndecided/ },
  { name: 'stable exceeds an absolute limit', does: (world) => { world.gate = 'SickAndPass'; },
    provenance: 'StableLost', reason: 'StableLost', says: /stable had no ready pod or exceeded/ },
  { name: 'the model was scaled to zero', does: (world) => { world.spec = { ...world.spec, replicas: 0 }; },
    provenance: 'Asleep', reason: 'Asleep', says: /spec\.replicas is 0/ },
];

describe('a promotion has the right provenance when', () => {
  for (const { name, does, provenance, reason, says } of rows) {
    it(name, () => {
      const world = serving();
      world.target = b;
      does(world);
      live(world, 40);
      const { message = '', ...latest } = newest(world);
      assert.deepEqual(
        [latest.revision, latest.outcome, latest.provenance, latest.reason],
        [b, 'Promoted', provenance, reason],
      );
      assert.match(message, says ?? /^$/);
      assert.equal(world.status?.stable?.provenance, provenance);
    });
  }

  it('no revision served before it, or the status was lost', () => {
    const world = serving();
    assert.equal(world.status?.history?.[0]?.provenance, 'First');
    world.status = undefined;
    live(world, 2);
    assert.deepEqual(world.status?.['stable' as never], { revision: a, provenance: 'Adopted' });
  });

  it('the revision comes back after its gates had passed: three steps, and proven as before', () => {
    const world = serving();
    world.target = b;
    live(world, 40);
    world.target = a;
    live(world, 40);
    const [latest] = world.status?.history ?? [];
    assert.deepEqual([latest?.revision, latest?.provenance, latest?.reason], [a, 'Returned', 'Promoted']);
  });

  it('operator 0.1.0 began the rollout and promoted the previous revision', () => {
    const world = serving();
    asWrittenBefore(world);
    world.target = b;
    live(world, 3);
    assert.notEqual(world.state.phase, 'Stable');
    asWrittenBefore(world);
    live(world, 40);
    assert.equal(newest(world).provenance, 'GatesPassed');
    world.target = a;
    live(world, 1);
    const phases = new Set<string>();
    for (let i = 0; i < 80; i += 1) {
      live(world, 1);
      phases.add(world.state.phase);
    }
    assert.ok(phases.has('Analyzing'), 'its provenance is unknown, so it is judged');
    assert.deepEqual([newest(world).revision, newest(world).provenance], [a, 'GatesPassed']);
  });

  it('it failed its golden set, was forced, and is applied again later: it is judged and rejected', () => {
    const world = serving();
    world.target = b;
    world.checks = golden;
    live(world, 10);
    assert.equal(world.state.phase, 'Failed');
    set(world, { promoteRevision: b });
    live(world, 40);
    world.target = a;
    world.checks = undefined;
    live(world, 40);
    const { promoteRevision: _, ...rest } = world.spec.rollout ?? {};
    world.spec = { ...world.spec, rollout: rest };
    world.target = b;
    world.checks = golden;
    live(world, 40);
    assert.deepEqual(
      [world.state.phase, world.status?.history?.map(({ revision, outcome }) => `${revision[0]} ${outcome}`)],
      ['Failed', ['b Failed', 'a Promoted', 'b Promoted', 'b Failed', 'a Promoted']],
    );
  });

  it('it failed, is pinned, and is retried under the pin: it is judged and rejected', () => {
    const world = serving();
    world.target = b;
    world.checks = golden;
    live(world, 10);
    set(world, { pinRevision: b });
    live(world, 10);
    assert.deepEqual([world.state.phase, world.asked.serve], ['Failed', a]);
    set(world, { retryToken: '1' });
    live(world, 40);
    assert.deepEqual([world.state.phase, world.asked.serve], ['Failed', a]);
  });
});
