/** A rollout state is the same after it was written to the status and read back, with times rounded to seconds. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DecisionReason } from '../../../../api/reasons.ts';
import { readState, writeState } from '../../../../operator/see/stored-state.ts';
import { skips } from '../../../../operator/rollout/provenance.ts';
import { candidateOf, stableOf, type PauseReason, type RolloutState } from '../../../../operator/rollout/state.ts';

const revision = fc.stringMatching(/^[0-9a-f]{10}$/);
const since = fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }).map((seconds) => seconds * 1000);
const text = fc.string({ maxLength: 1900 });

const course = {
  stable: revision,
  candidate: revision,
  attempt: fc.integer({ min: 1, max: 9 }),
  floor: fc.nat(1000),
  since,
};
const place = { ...course, step: fc.nat(20), weight: fc.integer({ min: 0, max: 100 }) };
const courseKeys = { heldAt: since, stableLostAt: since };
const placeKeys = {
  ...courseKeys,
  lostAt: since,
  skipped: fc.constantFrom(...skips),
  shown: fc.constantFrom('nothing worse than +38 % p95 shown'),
};
const ending = {
  rejected: revision,
  cause: fc.constantFrom<DecisionReason>('GoldenFailed', 'Aborted', 'LateRollback'),
  detail: text,
  attempt: fc.integer({ min: 1, max: 9 }),
  since,
};

function stateOf(
  phase: RolloutState['phase'],
  fields: Readonly<Record<string, fc.Arbitrary<unknown>>>,
  open: Readonly<Record<string, fc.Arbitrary<unknown>>> = {},
): fc.Arbitrary<RolloutState> {
  return fc.record(
    { phase: fc.constant(phase), ...fields, ...open },
    { requiredKeys: ['phase', ...Object.keys(fields)] as never, noNullPrototype: true },
  ) as unknown as fc.Arbitrary<RolloutState>;
}

const state = fc.oneof(
  stateOf('New', {}),
  stateOf('Preparing', { ...course, stable: fc.option(revision) }, courseKeys),
  stateOf('Shifting', { ...place, set: fc.integer({ min: 0, max: 100 }) }, placeKeys),
  stateOf('Analyzing', { ...place, window: fc.nat(1e9) }, placeKeys),
  stateOf(
    'Paused',
    {
      ...place,
      window: fc.nat(1e9),
      why: fc.constantFrom<PauseReason>('Step', 'Undecided', 'ReportsStale', 'StableUnhealthy', 'WeightConflict'),
    },
    placeKeys,
  ),
  stateOf('Promoting', { stable: revision, retiring: fc.option(revision), since }, { lostAt: since }),
  stateOf('Settling', { stable: revision, retiring: revision, since }, { lostAt: since }),
  stateOf('Stable', { stable: revision }),
  stateOf('Aborting', { stable: revision, ...ending }),
  stateOf(
    'Failed',
    { stable: fc.option(revision), ...ending },
    { handledRetryToken: fc.string({ minLength: 1, maxLength: 63 }) },
  ),
);

function writtenAndRead(next: RolloutState): RolloutState {
  const rollout = writeState({ next, serve: null, run: [], reason: 'Analyzing', message: 'in words' });
  const [stable, candidate] = [stableOf(next), candidateOf(next)];
  return readState({
    observedGeneration: 1,
    rollout,
    ...(stable === null ? {} : { stable: { revision: stable } }),
    ...(candidate === null ? {} : { candidate: { revision: candidate } }),
  });
}

describe('the stored state of a rollout', () => {
  it('is equal after it was written and read', () => {
    fc.assert(
      fc.property(state, (next) => assert.deepEqual(writtenAndRead(next), next)),
      { numRuns: 1000 },
    );
  });

  it('has a resolution of one second', () => {
    assert.deepEqual(writtenAndRead({ phase: 'Settling', stable: 'a', retiring: 'b', since: 1_700_000_000_900 }), {
      phase: 'Settling',
      stable: 'a',
      retiring: 'b',
      since: 1_700_000_000_000,
    });
  });

  // prettier-ignore
  const others: readonly { readonly name: string; readonly status: Parameters<typeof readState>[0] }[] = [
    { name: 'no status', status: undefined },
    { name: 'an unknown phase', status: { observedGeneration: 1,
        rollout: { phase: 'Dancing' }, stable: { revision: 'a' } } },
    { name: 'a phase that is a property of every object', status: { observedGeneration: 1,
        rollout: { phase: 'constructor' }, stable: { revision: 'a' } } },
    { name: 'a shift without revisions', status: { observedGeneration: 1,
        rollout: { phase: 'Shifting', step: 0, desiredWeight: 5 } } },
    { name: 'a shift without a step', status: { observedGeneration: 1,
        rollout: { phase: 'Shifting', desiredWeight: 5 }, stable: { revision: 'a' }, candidate: { revision: 'b' } } },
    { name: 'a pause without a reason', status: { observedGeneration: 1,
        rollout: { phase: 'Paused', step: 0, desiredWeight: 5 },
        stable: { revision: 'a' }, candidate: { revision: 'b' } } },
    { name: 'a stable phase without a stable revision',
      status: { observedGeneration: 1, rollout: { phase: 'Stable' } } },
  ];
  for (const { name, status } of others) {
    it(`becomes New when it is ${name}`, () => assert.deepEqual(readState(status), { phase: 'New' }));
  }
});

describe('a status with a reason that this version does not know', () => {
  for (const reason of ['RevisionReady', 'StepDone']) {
    it(`keeps the reason ${reason}`, () => {
      const rollout = {
        phase: 'Failed',
        reason,
        message: 'in words',
        attempt: 1,
        since: '2026-01-01T00:00:00Z',
      } as const;
      const state = readState({
        observedGeneration: 1,
        stable: { revision: 'aaaaaaaaaa' },
        candidate: { revision: 'bbbbbbbbbb' },
        rollout,
      });
      assert.deepEqual(
        [state.phase, 'cause' in state && state.cause, 'detail' in state && state.detail],
        ['Failed', reason, 'in words'],
      );
    });
  }
});
