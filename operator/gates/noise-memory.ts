/**
 * Remembers the noise of stable before a window, so that a look does not learn it again from half an hour of blocks.
 *
 * Terms: Noise is random variation between minutes or pods of one revision. A window is the blocks (of 20 seconds) by
 * which a step of the rollout is judged; a look is one evaluation of it. A ledger has the blocks of each boot of a pod.
 * Owns: when the noise is learnt again: after a block of the half hour before the window was added, replaced or
 * dropped. In-memory only; another process learns the same from the same blocks.
 */
import { historyBlocks, noiseOf } from '../analysis/history.ts';
import type { Ledger } from '../analysis/ledger.ts';
import { blocksByPod } from '../analysis/merged-cells.ts';
import type { NoiseHistory } from '../analysis/noise.ts';
import type { Block, Revision } from '../rollout/state.ts';

export class NoiseMemory {
  /** The boots and blocks from which the noise was learnt. */
  #from: readonly unknown[] = [];
  #known = new Map<number, NoiseHistory>();

  /**
   * @param window the first block of the window
   * @returns a function from a quantile of the latency to the noise of this quantile
   */
  of(ledger: Ledger, stable: Revision, window: Block): (quantile: number) => NoiseHistory {
    const span = { first: window - historyBlocks, last: window - 1 };
    const from = blocksIn(ledger, stable, span);
    if (from.length !== this.#from.length || from.some((part, i) => part !== this.#from[i])) {
      this.#from = from;
      this.#known = new Map();
    }
    const known = this.#known;
    let learn: ((quantile: number) => NoiseHistory) | undefined;
    return (quantile) => {
      const before = known.get(quantile);
      if (before !== undefined) return before;
      learn ??= noiseOf(blocksByPod(ledger, stable, span));
      const learnt = learn(quantile);
      known.set(quantile, learnt);
      return learnt;
    };
  }
}

function blocksIn(
  ledger: Ledger,
  revision: Revision,
  span: { readonly first: Block; readonly last: Block },
): readonly unknown[] {
  const parts: unknown[] = [revision, span.first];
  for (const key of Object.keys(ledger).toSorted()) {
    const boot = ledger[key];
    if (boot?.revision !== revision) continue;
    parts.push(key);
    for (const block of Object.values(boot.blocks))
      if (block.index >= span.first && block.index <= span.last) parts.push(block);
  }
  return parts;
}
