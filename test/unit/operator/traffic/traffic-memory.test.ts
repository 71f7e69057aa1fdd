import assert from 'node:assert/strict';
import { TrafficMemory } from '../../../../operator/traffic/traffic-memory.ts';

describe('TrafficMemory', () => {
  it('counts the reverts of the last ten minutes', () => {
    const memory = new TrafficMemory();
    for (const atMs of [0, 1_000, 500_000]) memory.noteRevert(atMs);
    assert.deepEqual(
      [500_000, 599_999, 600_999, 601_000, 1_100_000].map((nowMs) => memory.reverts(nowMs)),
      [3, 3, 2, 1, 0],
    );
  });

  it('measures how long a condition has held, and restarts when it did not hold', () => {
    const memory = new TrafficMemory();
    const asked = [
      memory.heldMs('x', true, 100),
      memory.heldMs('x', true, 350),
      memory.heldMs('y', true, 400),
      memory.heldMs('x', false, 500),
      memory.heldMs('x', true, 600),
      memory.heldMs('x', true, 650),
    ];
    assert.deepEqual(asked, [0, 250, 0, 0, 0, 50]);
  });
});
