/**
 * What the judge knows of a window: the counts of both revisions, and what else bears on them.
 *
 * Owns:  the type that callers fill in, what is the same for every gate, and the sums over cells that gates rest on.
 * Pure.
 */
import { equalLoadLn } from './constants.ts';
import type { NoiseHistory } from './noise.ts';
import { noHistory } from './noise.ts';
import type { PairedSeries } from './paired-series.ts';
import type { GatePlan, Span } from './plan.ts';
import {
  cellsInside,
  extentOf,
  requestsOf,
  type Cell,
  type Extent,
  type Measure,
  type Nodes,
  type Both,
  type Window,
} from './series.ts';

/** Of a step that says nothing else: 30 minutes. */
export const usualBlocks = 90;

export type Evidence = {
  readonly window: Window;
  /** Noise of stable before the window, by quantile (noise-history.ts, learnHistory); absent: none is known. */
  readonly history?: (quantile: number) => NoiseHistory;
  /**
   * Pods of the two revisions carry about the same load each. Where not, the requests of each pod in the window say
   * whose carry more: a slower answer under less load is the revision's, and so is a faster one under more.
   */
  readonly loadIsEqual: boolean;
  /** Where the pods run; Unlike where nothing is said. */
  readonly nodes?: Nodes;
  /**
   * Blocks that the step may last: how long a Pass waits for its own limit depends on it. 30 minutes where nothing is
   * said.
   */
  readonly maxBlocks?: number;
  /**
   * The candidate has all the traffic: its requests alone are counted. The plan then has limits only (plan.ts,
   * limitsOf).
   */
  readonly alone?: boolean;
  /** The same requests, asked of both revisions; absent: nobody asked for that, and live requests have all of α. */
  readonly paired?: PairedSeries;
};

/** Evidence as the questions of all gates need it. */
export type WindowFacts = {
  readonly plan: GatePlan;
  readonly span: Span;
  readonly extent: Extent;
  readonly cells: Both<readonly Cell[]>;
  readonly pods: Both<readonly Cell[]>;
  readonly firstBlock: number;
  readonly history: (quantile: number) => NoiseHistory;
  readonly load: Load;
  readonly nodes: Nodes;
  readonly paired: PairedSeries | undefined;
};

/** What a candidate's pod carries against one of stable's. Unknown: not equal, and its requests do not show how. */
export type Load = 'Equal' | 'Less' | 'More' | 'Unknown';

export function windowFactsOf(
  plan: GatePlan,
  { window, history, loadIsEqual, nodes = 'Unlike', maxBlocks = usualBlocks, paired }: Evidence,
): WindowFacts {
  const cells = cellsInside(window);
  const pods = window.pods ?? cells;
  const extent = extentOf(window);
  const span = { known: extent.known - 1, maxBlocks };
  return {
    plan,
    span,
    extent,
    cells,
    pods,
    firstBlock: window.firstBlock,
    history: history ?? (() => noHistory),
    load: loadIsEqual ? 'Equal' : loadOf(pods),
    nodes,
    paired,
  };
}

/** Whose pods carry more in a window. */
export function loadIn({ window, loadIsEqual }: Pick<Evidence, 'window' | 'loadIsEqual'>): Load {
  return loadIsEqual ? 'Equal' : loadOf(window.pods ?? cellsInside(window));
}

/** By the requests that a pod of each revision had in the window. */
function loadOf(pods: Both<readonly Cell[]>): Load {
  const [own, other] = [pods.candidate, pods.stable].map(
    (cells) => totalOf(cells, requestsOf) / Math.max(1, podCountOf(cells)),
  );
  if (own === undefined || other === undefined || own === 0 || other === 0) return 'Unknown';
  const ratio = Math.log(own / other);
  return Math.abs(ratio) <= equalLoadLn ? 'Unknown' : ratio < 0 ? 'Less' : 'More';
}

export function podCountOf(cells: readonly Cell[]): number {
  return new Set(cells.map((cell) => cell.pod)).size;
}

export function totalOf(cells: readonly Cell[], measure: Measure): number {
  let sum = 0;
  for (const cell of cells) sum += measure(cell);
  return sum;
}
