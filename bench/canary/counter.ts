/**
 * Aggregates simulated counts into blocks, as the sidecars' reports do.
 * Owns: adding the slices of the simulated service to the cells that the judge reads.
 * Terms: a block is 20 s of time, a slice five seconds of the simulation. A cell is what one pod counted in one block
 * for requests of one size class. A size class bounds the input size of a request.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { addCount, emptyHistogram, reportScale } from '../../operator/analysis/log-histogram.ts';
import type { Cell, Both, Window } from '../../operator/analysis/series.ts';
import { sliceSeconds, type PodSlice } from './world.ts';

const blockSlices = blockSeconds / sliceSeconds;

type Counting = { -readonly [K in keyof Cell]: Cell[K] };

export class Counter {
  readonly cells: Both<Counting[]> = { candidate: [], stable: [] };
  readonly #first: number;
  slices = 0;

  constructor(firstBlock: number) {
    this.#first = firstBlock;
  }

  get window(): Window {
    const blocks = Math.ceil(this.slices / blockSlices);
    return { ...this.cells, firstBlock: this.#first, lastBlock: this.#first + Math.max(0, blocks - 1) };
  }

  get candidateRequests(): number {
    return this.cells.candidate.reduce((sum, cell) => sum + cell.requests, 0);
  }

  /** Whether the last slice was the first slice of its block. All earlier blocks are then complete. */
  get isAtNewBlock(): boolean {
    return this.slices % blockSlices === 1;
  }

  add(slice: Both<readonly PodSlice[]>): void {
    const block = this.#first + Math.floor(this.slices / blockSlices);
    this.slices += 1;
    for (const side of ['candidate', 'stable'] as const) {
      for (const one of slice[side]) count(this.cells[side], { block, pod: `${side}-${one.pod}` }, one);
    }
  }
}

function count(cells: Counting[], { block, pod }: { block: number; pod: string }, slice: PodSlice): void {
  const { sizeClass } = slice;
  const recent = lastOf(cells, (one) => one.block === block && one.pod === pod && one.sizeClass === sizeClass, block);
  const cell = recent ?? { ...nothing, pod, block, sizeClass, latency: emptyHistogram(reportScale) };
  if (recent === undefined) cells.push(cell);
  for (const bucket of slice.buckets) addCount(cell.latency, bucket, 1);
  cell.requests += slice.requests;
  cell.failures += slice.failures;
  cell.compared += slice.compared;
  cell.disagreed += slice.disagreed;
}

const nothing = { tier: 'interactive', requests: 0, failures: 0, compared: 0, disagreed: 0 } as const;

/**
 * Returns the newest cell of this block that fulfils the condition. Cells are in the order of their blocks, so the
 * search stops at the first cell of an older block.
 */
function lastOf(cells: readonly Counting[], is: (cell: Counting) => boolean, block: number): Counting | undefined {
  for (let i = cells.length - 1; i >= 0; i--) {
    const cell = cells[i];
    if (cell === undefined || cell.block < block) return undefined;
    if (is(cell)) return cell;
  }
  return undefined;
}
