/**
 * The bench of paired evidence: its result for half an hour of pairs (service times of two revisions for the same
 * request), and whether slow candidates (new revisions) fail and equal ones pass.
 */
import assert from 'node:assert/strict';
import { pairedWorlds, runPaired, type PairedRow } from '../../../bench/canary/paired.ts';

function rowOf(name: string): PairedRow {
  const { world } = pairedWorlds.find((each) => each.name === name) ?? assert.fail(name);
  return runPaired(name, world, { runs: 20, seed: 92, toShow: 0.25, alpha: 0.0075 });
}

describe('paired evidence, simulated', () => {
  it('excludes +25 % in half an hour with probes that use a twentieth of a pod', () => {
    for (const name of ['same, 20 ms', 'same, 50 ms']) {
      const { failed, medianMinutesToShow } = rowOf(name);
      assert.ok(
        failed === 0 && medianMinutesToShow !== null && medianMinutesToShow <= 30,
        `${name}: ${medianMinutesToShow} min`,
      );
    }
  });

  it('finds 1.5 times', () => assert.equal(rowOf('1.5 times').failed, 1));

  it('does not pass a candidate that is slower than the limit', () =>
    assert.equal(rowOf('1.25 times, at the limit').passed, 0));
});
