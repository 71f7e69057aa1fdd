/**
 * The bench of paired evidence: what it shows in half an hour, and that it finds what is slow and spares what is not.
 */
import assert from 'node:assert/strict';
import { pairedWorlds, runPaired, type PairedRow } from '../../../bench/canary/paired.ts';

function rowOf(name: string): PairedRow {
  const { world } = pairedWorlds.find((each) => each.name === name) ?? assert.fail(name);
  return runPaired(name, world, { runs: 20, seed: 92, toShow: 0.25, alpha: 0.0075 });
}

describe('paired evidence, simulated', () => {
  it('shows +25 % in half an hour from probes that take a twentieth of a pod', () => {
    for (const name of ['same, 20 ms', 'same, 50 ms']) {
      const { failed, medianMinutesToShow } = rowOf(name);
      assert.ok(
        failed === 0 && medianMinutesToShow !== null && medianMinutesToShow <= 30,
        `${name}: ${medianMinutesToShow} min`,
      );
    }
  });

  it('finds 1.5 times', () => assert.equal(rowOf('1.5 times').failed, 1));

  it('does not pass what is slower than it shows', () =>
    assert.equal(rowOf('1.25 times, what is to be shown').passed, 0));
});
