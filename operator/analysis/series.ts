/**
 * The counts of both revisions in a window, block by block, weighted to the same mix of classes.
 *
 * Terms: A block is 20 seconds, the unit of time in which pods count requests. A window is the blocks by which a step
 * of a rollout is judged, and a look is one evaluation of it. A class is the requests of one tier (interactive or bulk)
 * and one size.
 * Owns: converting the counts of pods to the counts that the gates use. The conversion only adds counts, so the order
 * of the reports and the number of looks do not matter.
 * Units: a position is a block's index minus the index of the window's first block.
 * Pure: no state between calls.
 */
import { addInto, emptyHistogram, type LatencyCounts, type Scale } from './log-histogram.ts';

export type Both<T> = { readonly candidate: T; readonly stable: T };

/** What one pod counted in one block, of requests of one tier and size class. */
export type Cell = {
  readonly pod: string;
  /** The index of the block: floor(unix seconds / 20), by the clock of the pod's sidecar at the end of the request. */
  readonly block: number;
  readonly tier: string;
  readonly sizeClass: number;
  /** Latencies of answered requests. */
  readonly latency: LatencyCounts;
  /** The number of requests that count for the error rate. */
  readonly requests: number;
  /** How many of `requests` failed. */
  readonly failures: number;
  /** The number of sampled requests whose answers were compared with stable's. */
  readonly compared: number;
  /** How many of `compared` disagreed with stable's answers. */
  readonly disagreed: number;
};

export type Window = Both<readonly Cell[]> & {
  /** The first block that began after the traffic was seen to match the weight of the step. */
  readonly firstBlock: number;
  /** The last block that both revisions have reported (look.ts, lastBlockOf). */
  readonly lastBlock: number;
  /** Blocks with requests whose counts are lost. They are left out for both revisions. */
  readonly lostBlocks?: readonly number[];
  /**
   * The same requests summed by pod (merged-cells.ts), without requests outside the window or in a lost block. Required
   * if the cells are summed by block.
   */
  readonly pods?: Both<readonly Cell[]>;
};

/**
 * Shared: both revisions have pods on exactly the same nodes. Unlike: their nodes differ or are unknown. Nodes of one
 * kind differ in speed by some percent, and one pod cannot show whether the node or the revision is slow.
 */
export type Nodes = 'Shared' | 'Unlike';

/** Events (such as failures) and trials (such as requests), by position. */
export type Counts = { readonly events: readonly number[]; readonly trials: readonly number[] };

/** One revision's latencies by position. */
export type LatencySeries = {
  readonly blocks: readonly LatencyCounts[];
  readonly total: LatencyCounts;
  /** Totals of each pod, in an order that does not depend on the order of reports. */
  readonly pods: readonly LatencyCounts[];
};

/** `positions` is the number of blocks of a window; `known` is how many of these blocks are not lost. */
export type Extent = { readonly positions: number; readonly known: number };

export function extentOf(window: Window): Extent {
  const positions = Math.max(0, window.lastBlock - window.firstBlock + 1);
  const lost = new Set(window.lostBlocks ?? []);
  const lostInside = [...lost].filter((block) => block >= window.firstBlock && block <= window.lastBlock).length;
  return { positions, known: positions - lostInside };
}

/**
 * The cells that count: those inside the window, not in a lost block, and of the given tier (of all tiers if `tier` is
 * undefined).
 */
export function cellsInside(window: Window, tier?: string): Both<readonly Cell[]> {
  const lost = new Set(window.lostBlocks ?? []);
  const counts = (cell: Cell): boolean =>
    cell.block >= window.firstBlock &&
    cell.block <= window.lastBlock &&
    !lost.has(cell.block) &&
    (tier === undefined || cell.tier === tier);
  return { candidate: window.candidate.filter(counts), stable: window.stable.filter(counts) };
}

export type Measure = (cell: Cell) => number;
export const requestsOf: Measure = (cell) => cell.requests;
export const failuresOf: Measure = (cell) => cell.failures;
export const answeredOf: Measure = (cell) => cell.latency.total;
export const comparedOf: Measure = (cell) => cell.compared;
export const disagreedOf: Measure = (cell) => cell.disagreed;
type Weights = ReadonlyMap<string, number>;

/**
 * Weights that give both revisions the same mix of classes (tier and size class).
 *
 * Direct standardisation: class k gets the share w_k ∝ n_ck n_sk / (n_ck + n_sk), which makes the comparison most
 * precise; n_ck and n_sk are the candidate's and stable's requests in class k. Revision r then counts as
 * 1 / Σ(w_k² / n_rk) requests, its effective number (Kish, Survey Sampling, 1965, 11.7). With one class, or equal
 * mixes, every weight is 1. A class with requests of only one revision has weight 0.
 * @returns an object without weights if there is a single class: every request then counts once
 */
export function classWeights(cells: Both<readonly Cell[]>, measure: Measure): Partial<Both<Weights>> {
  if (areOfOneClass(cells)) return {};
  const candidate = perClass(cells.candidate, measure);
  const stable = perClass(cells.stable, measure);
  const overlap = new Map<string, number>();
  let sum = 0;
  for (const [key, n] of candidate) {
    const other = stable.get(key) ?? 0;
    const share = n > 0 && other > 0 ? (n * other) / (n + other) : 0;
    overlap.set(key, share);
    sum += share;
  }
  const weigh = (counts: ReadonlyMap<string, number>): Weights => {
    const shares = [...counts].map(([key, n]) => ({ key, n, share: sum > 0 ? (overlap.get(key) ?? 0) / sum : 0 }));
    const spread = shares.reduce((total, { n, share }) => total + (share > 0 ? (share * share) / n : 0), 0);
    return new Map(shares.map(({ key, n, share }) => [key, share > 0 ? share / n / spread : 0]));
  };
  return { candidate: weigh(candidate), stable: weigh(stable) };
}

function areOfOneClass({ candidate, stable }: Both<readonly Cell[]>): boolean {
  const first = candidate[0] ?? stable[0];
  const same = (cell: Cell): boolean => cell.tier === first?.tier && cell.sizeClass === first.sizeClass;
  return candidate.every(same) && stable.every(same);
}

function perClass(cells: readonly Cell[], measure: Measure): Map<string, number> {
  const counts = new Map<string, number>();
  for (const cell of cells) {
    const key = classOf(cell);
    counts.set(key, (counts.get(key) ?? 0) + measure(cell));
  }
  // Weights are sums of fractions over classes. A fixed order makes the weights independent of the order of arrival.
  return new Map([...counts].toSorted(([one], [other]) => compareText(one, other)));
}

function classOf(cell: Cell): string {
  return `${cell.tier}/${cell.sizeClass}`;
}

type Span = { readonly firstBlock: number; readonly positions: number; readonly scale: Scale };

/** @param weights from classWeights; if absent, every request counts once */
export function latencySeries(
  { blocks: cells, pods: podCells }: BothWays,
  span: Span,
  weights?: Weights,
): LatencySeries {
  const blocks = Array.from({ length: span.positions }, (): Gathered => new Gathered(span.scale));
  const pods = new Map<string, Gathered>();
  const total = new Gathered(span.scale);
  for (const cell of inFixedOrder(cells)) {
    const weight = weightOf(cell, weights);
    if (weight > 0 && cell.latency.total > 0) blocks[cell.block - span.firstBlock]?.add(cell.latency, weight);
  }
  for (const cell of inFixedOrder(podCells)) {
    const weight = weightOf(cell, weights);
    if (weight === 0 || cell.latency.total === 0) continue;
    let pod = pods.get(cell.pod);
    if (pod === undefined) pods.set(cell.pod, (pod = new Gathered(span.scale)));
    pod.add(cell.latency, weight);
  }
  const perPod = [...pods.values()].map((pod) => pod.histogram);
  for (const pod of perPod) total.add(pod, 1);
  return { blocks: blocks.map((block) => block.histogram), total: total.histogram, pods: perPod };
}

/**
 * One revision's cells: `blocks` for the sums by block, `pods` for the sums by pod. The two lists contain the same
 * cells, unless the cells are already summed by block and by pod (merged-cells.ts).
 */
export type BothWays = { readonly blocks: readonly Cell[]; readonly pods: readonly Cell[] };

function weightOf(cell: Cell, weights: Weights | undefined): number {
  return weights === undefined ? 1 : (weights.get(classOf(cell)) ?? 0);
}

/**
 * A sum of histograms. It makes a copy only when a second histogram is added, because most blocks have one pod of one
 * class.
 */
class Gathered {
  #sum: LatencyCounts;
  #owned = false;

  constructor(scale: Scale) {
    this.#sum = nothing(scale);
  }

  get histogram(): LatencyCounts {
    return this.#sum;
  }

  add(part: LatencyCounts, weight: number): void {
    if (this.#sum.total === 0 && weight === 1) {
      this.#sum = part;
      return;
    }
    if (!this.#owned) {
      const copy = emptyHistogram(part.scale);
      addInto(copy, this.#sum);
      this.#sum = copy;
      this.#owned = true;
    }
    addInto(this.#sum, part, weight);
  }
}

const empties = new WeakMap<Scale, LatencyCounts>();

/** The shared empty histogram of a scale; it is never changed. */
function nothing(scale: Scale): LatencyCounts {
  const known = empties.get(scale);
  if (known !== undefined) return known;
  const made = emptyHistogram(scale);
  empties.set(scale, made);
  return made;
}

/** @param weights from classWeights; if absent, every trial counts once */
export function countSeries(
  cells: readonly Cell[],
  span: Omit<Span, 'scale'>,
  what: { readonly events: Measure; readonly trials: Measure; readonly weights?: Weights | undefined },
): Counts {
  const events = Array.from({ length: span.positions }, () => 0);
  const trials = Array.from({ length: span.positions }, () => 0);
  for (const cell of inFixedOrder(cells)) {
    const weight = weightOf(cell, what.weights);
    const at = cell.block - span.firstBlock;
    events[at] = (events[at] ?? 0) + what.events(cell) * weight;
    trials[at] = (trials[at] ?? 0) + what.trials(cell) * weight;
  }
  return { events, trials };
}

/** Orders cells by content, not by arrival, because the last digit of a sum of fractions depends on the order. */
function inFixedOrder(cells: readonly Cell[]): readonly Cell[] {
  for (let i = 1; i < cells.length; i++) {
    const [one, next] = [cells[i - 1], cells[i]];
    if (one !== undefined && next !== undefined && before(one, next) > 0) return cells.toSorted(before);
  }
  return cells;
}

function before(a: Cell, b: Cell): number {
  return a.block - b.block || compareText(a.pod, b.pod) || compareText(a.tier, b.tier) || a.sizeClass - b.sizeClass;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
