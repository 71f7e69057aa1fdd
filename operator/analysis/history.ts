/**
 * Selects the blocks from which a model's noise is learnt before a window begins.
 *
 * Terms: A block is 20 seconds; a window is the blocks by which a step of the rollout is judged. Noise is random
 * variation between minutes or pods of one revision. A cell is what one pod counted in one block, of one tier and size
 * of requests. α is the accepted probability of a wrong verdict.
 * Owns: the selection: the blocks of each of stable's pods in the half hour before the window.
 * Why: known noise makes a verdict possible minutes sooner. Using the noise spends no α, because it does not depend on
 * the difference between the revisions.
 * Pure.
 */
import { addInto, emptyHistogram, type LatencyCounts } from './log-histogram.ts';
import { learnHistory } from './noise-history.ts';
import type { NoiseHistory } from './noise.ts';
import type { Cell } from './series.ts';

/** Blocks before the window from which noise is learnt: 30 minutes. */
export const historyBlocks = 90;

/**
 * Stable's noise in the half hour before a window, by quantile. The noise of each quantile is computed once.
 *
 * @param stable cells of the stable revision; cells inside the window and cells from more than half an hour before it
 * are ignored
 */
export function historyBefore(firstBlock: number, stable: readonly Cell[]): (quantile: number) => NoiseHistory {
  const pods = new Map<string, LatencyCounts[]>();
  for (const cell of stable) {
    const at = cell.block - (firstBlock - historyBlocks);
    if (at < 0 || at >= historyBlocks) continue;
    let blocks = pods.get(cell.pod);
    if (blocks === undefined)
      pods.set(cell.pod, (blocks = Array.from({ length: historyBlocks }, () => emptyHistogram(cell.latency.scale))));
    const block = blocks[at];
    if (block !== undefined) addInto(block, cell.latency);
  }
  return noiseOf([...pods].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, blocks]) => blocks));
}

/** @param pods for each pod of stable, its blocks of the half hour before the window, in order */
export function noiseOf(pods: readonly (readonly LatencyCounts[])[]): (quantile: number) => NoiseHistory {
  const known = new Map<number, NoiseHistory>();
  return (quantile) => {
    const learnt = known.get(quantile) ?? learnHistory(pods, quantile);
    known.set(quantile, learnt);
    return learnt;
  };
}
