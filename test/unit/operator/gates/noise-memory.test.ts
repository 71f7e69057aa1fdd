/**
 * The noise of stable (the serving revision) before a window is computed once for the same blocks.
 *
 * Terms: noise is the difference between minutes or pods of one revision. A block is 20 s of time, in which a pod
 * counts its requests. The window is the time in which the candidate, the new revision, is compared with stable.
 */
import assert from 'node:assert/strict';
import { historyBlocks, noiseOf } from '../../../../operator/analysis/history.ts';
import { emptyLedger, fold, type BlockReport, type Ledger } from '../../../../operator/analysis/ledger.ts';
import { blocksByPod } from '../../../../operator/analysis/merged-cells.ts';
import type { NoiseHistory } from '../../../../operator/analysis/noise.ts';
import { NoiseMemory } from '../../../../operator/gates/noise-memory.ts';
import { reportsOfPods } from '../../../support/block-reports.ts';

const window = 1000;
const shape = { first: window - historyBlocks, pods: 2, perBlock: 60, factor: 1, failures: 0, seed: 1 };
const reports = reportsOfPods('stable', { ...shape, blocks: historyBlocks });
const inWindow = reportsOfPods('stable', { ...shape, first: window, blocks: 3 });
const ofCandidate = reportsOfPods('candidate', { ...shape, blocks: historyBlocks });
const all = (more: readonly BlockReport[]): Ledger => more.reduce(fold, emptyLedger);

/** The same reports, but the first pod has sent its last block before the window again, with other counts. */
function renewed([first, ...others]: readonly BlockReport[]): readonly BlockReport[] {
  if (first === undefined) return [];
  const blocks = first.blocks.map((block) =>
    block.index === window - 1 ? { ...block, seq: block.seq + 1, traffic: [] } : block,
  );
  return [{ ...first, blocks }, ...others];
}

function learntFrom(ledger: Ledger, quantile: number): NoiseHistory {
  return noiseOf(blocksByPod(ledger, 'stable', { first: window - historyBlocks, last: window - 1 }))(quantile);
}

describe('the memory of noise', () => {
  const first = all(reports);

  for (const { name, next, isSame } of [
    { name: 'is used for the same blocks', next: all(reports), isSame: true },
    { name: 'is used when the same reports came again', next: all([...reports, ...reports]), isSame: true },
    { name: 'is used when blocks of the window were added', next: all([...reports, ...inWindow]), isSame: true },
    { name: 'is used when blocks of the candidate were added', next: all([...reports, ...ofCandidate]), isSame: true },
    { name: 'is not used after a later count of a block', next: all([...reports, ...renewed(reports)]), isSame: false },
    { name: 'is not used without one of the pods', next: all(reports.slice(0, 1)), isSame: false },
  ])
    it(name, () => {
      const memory = new NoiseMemory();
      const before = memory.of(first, 'stable', window)(0.05);
      const after = memory.of(next, 'stable', window)(0.05);
      assert.equal(after === before, isSame);
      assert.deepEqual(after, learntFrom(next, 0.05));
    });

  it('is not used for another window', () => {
    const memory = new NoiseMemory();
    const before = memory.of(first, 'stable', window)(0.05);
    assert.notEqual(memory.of(first, 'stable', window + 1)(0.05), before);
  });

  it('knows each quantile by itself', () => {
    const noise = new NoiseMemory().of(first, 'stable', window);
    assert.deepEqual([noise(0.05), noise(0.5)], [learntFrom(first, 0.05), learntFrom(first, 0.5)]);
  });
});
