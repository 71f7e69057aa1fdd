import assert from 'node:assert/strict';
import { claimConditions, type Claim } from '../../../api/conditions.ts';

const at = { now: Date.UTC(2026, 0, 1, 12, 0, 0, 999), generation: 3 };
const ready: Claim = { type: 'Ready', status: 'False', reason: 'RevisionWarming', message: '0 of 2' };
const reconciling: Claim = { type: 'Reconciling', status: 'True', reason: 'RevisionWarming', message: '0 of 2' };

describe('claimConditions', () => {
  it('returns the same array when nothing is new', () => {
    const first = claimConditions([], [ready, reconciling], at);
    assert.equal(claimConditions(first, [ready, reconciling], { ...at, now: at.now + 60_000 }), first);
  });

  it('moves lastTransitionTime only when the status changes', () => {
    const first = claimConditions([], [ready], at);
    const later = claimConditions(first, [{ ...ready, message: '1 of 2' }], { ...at, now: at.now + 60_000 });
    assert.equal(later[0]?.lastTransitionTime, '2026-01-01T12:00:00Z');
    const changed = claimConditions(later, [{ ...ready, status: 'True' }], { ...at, now: at.now + 60_000 });
    assert.equal(changed[0]?.lastTransitionTime, '2026-01-01T12:01:00Z');
  });

  it('removes a condition without a claim', () => {
    const first = claimConditions([], [ready, reconciling], at);
    assert.deepEqual(
      claimConditions(first, [ready], at).map((c) => c.type),
      ['Ready'],
    );
  });

  it('shows Ready first for any order of claims', () => {
    assert.deepEqual(
      claimConditions([], [reconciling, ready], at).map((c) => c.type),
      ['Ready', 'Reconciling'],
    );
  });

  it('cuts a message that the API server would refuse', () => {
    const [long] = claimConditions([], [{ ...ready, message: 'x'.repeat(50_000) }], at);
    assert.ok((long?.message.length ?? 0) <= 1024);
  });
});
