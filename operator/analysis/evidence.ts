/**
 * The facts that the judge gets about a window: the counts of both revisions, their load, nodes and pairs.
 *
 * Terms: A block is 20 seconds; a window is the blocks by which a step of the rollout is judged. A cell is what one pod
 * counted in one block, of one tier and size of requests. A pair is the service times of the same request on stable and
 * on the candidate. Noise is random variation between minutes or pods of one revision. α is the accepted probability of
 * a wrong verdict.
 * Owns: the type that callers fill in, the facts that all gates share, and the sums over cells.
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

/** The number of blocks that a step without maxDuration may last: 30 minutes. */
export const usualBlocks = 90;

export type Evidence = {
  readonly window: Window;
  /** Noise of stable before the window, by quantile (noise-history.ts, learnHistory). Absent if it is unknown. */
  readonly history?: (quantile: number) => NoiseHistory;
  /**
   * True: pods of the two revisions carry about the same load. False: their loads may differ, and the requests of each
   * pod in the window show which revision's pods carry more. If a revision is slower under less load, or faster under
   * more load, the revision itself is the cause.
   */
  readonly loadIsEqual: boolean;
  /** Whether the revisions run on the same nodes. If absent, Unlike is assumed. */
  readonly nodes?: Nodes;
  /**
   * The number of blocks that the step may last. The longer a step may last, the later a Pass may show a weaker bound
   * than the gate's limit (plan.ts, toShow). If absent, 30 minutes are assumed.
   */
  readonly maxBlocks?: number;
  /**
   * True: the candidate has all the traffic. Only the candidate's requests are counted, and the plan contains only
   * gates with absolute limits (plan.ts, limitsOf).
   */
  readonly alone?: boolean;
  /** The pairs of the window. Absent if there are no pairs; live requests are then judged with all of α. */
  readonly paired?: PairedSeries;
};

/** Facts about the evidence that all gates share. */
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

/**
 * The load of a candidate's pod relative to stable's. Unknown: the loads may differ, and the requests do not show which
 * load is larger.
 */
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

/** The load of the candidate's pods relative to stable's in a window. */
export function loadIn({ window, loadIsEqual }: Pick<Evidence, 'window' | 'loadIsEqual'>): Load {
  return loadIsEqual ? 'Equal' : loadOf(window.pods ?? cellsInside(window));
}

/** Compares the requests per pod of both revisions in the window. */
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
