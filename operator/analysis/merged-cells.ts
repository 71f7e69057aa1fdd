/**
 * Sums a ledger's cells by block and by pod. The gates use only these sums.
 *
 * Terms: A cell is what one pod counted in one block of 20 seconds, of one tier and size of requests. The ledger has
 * the blocks of each boot of each pod; a boot is one run of the pod's runtime. A window is the blocks by which a step
 * of the rollout is judged.
 * Why: a window of hours with many pods has tens of thousands of cells, but only about two thousand blocks and twenty
 * pods. Counts are whole numbers, so summing them does not change any verdict.
 * Pure: except for a cache for each block's counts. The counts never change once they are in a ledger.
 */
import type { BlockCount } from '../../api/report.ts';
import { cellsOfBlock, type Boot, type Ledger } from './ledger.ts';
import { emptyHistogram, reportScale, type LatencyCounts } from './log-histogram.ts';
import type { Cell } from './series.ts';

export type MergedCells = {
  /** One cell for each block, tier and size class. The pod of these cells is ''. */
  readonly blocks: readonly Cell[];
  /** One cell for each pod, tier and size class. The block of these cells is the span's first block. */
  readonly pods: readonly Cell[];
};

/** A range of blocks, both ends included. The blocks in `lost` are left out. */
export type BlockSpan = { readonly first: number; readonly last: number; readonly lost?: readonly number[] };

/** A cell with its histogram reduced to the buckets that have counts. */
type Packed = Omit<Cell, 'latency'> & {
  readonly classKey: string;
  readonly firstBucket: number;
  readonly counts: Uint32Array;
};
type Sum = { -readonly [K in keyof Cell]: Cell[K] };

const packedOf = new WeakMap<BlockCount, readonly Packed[]>();

type Sums = Map<string, Sum>;

/** @returns `blocks` sorted by block and class; `pods` sorted by pod, then by the first block of each class */
export function mergedCells(ledger: Ledger, revision: string, span: BlockSpan): MergedCells {
  const blocks = new Map<number, Sums>();
  const pods: Sum[] = [];
  for (const key of Object.keys(ledger).toSorted()) {
    const boot = ledger[key];
    if (boot?.revision !== revision) continue;
    const own: Sums = new Map();
    for (const count of countsInside(boot, span)) {
      const all = blocks.get(count.index) ?? new Map<string, Sum>();
      blocks.set(count.index, all);
      for (const part of packed(count)) {
        addPart(all, { pod: '', block: count.index }, part);
        addPart(own, { pod: key, block: span.first }, part);
      }
    }
    pods.push(...own.values());
  }
  return { blocks: [...blocks.values()].flatMap((sums) => [...sums.values()]).toSorted(inOrder), pods };
}

function countsInside({ blocks }: Boot, { first, last, lost = [] }: BlockSpan): readonly BlockCount[] {
  const gone = new Set(lost);
  return Object.values(blocks).filter(({ index }) => index >= first && index <= last && !gone.has(index));
}

function packed(count: BlockCount): readonly Packed[] {
  const known = packedOf.get(count);
  if (known !== undefined) return known;
  const made = cellsOfBlock('', count).map(({ latency, ...rest }): Packed => {
    const { first, last, counts } = latency;
    return {
      ...rest,
      classKey: `${rest.sizeClass} ${rest.tier}`,
      firstBucket: first,
      counts: last < first ? new Uint32Array(0) : Uint32Array.from(counts.subarray(first, last + 1)),
    };
  });
  packedOf.set(count, made);
  return made;
}

function addPart(sums: Sums, place: Pick<Cell, 'pod' | 'block'>, part: Packed): void {
  let sum = sums.get(part.classKey);
  if (sum === undefined) {
    sum = {
      ...place,
      tier: part.tier,
      sizeClass: part.sizeClass,
      latency: emptyHistogram(reportScale),
      requests: 0,
      failures: 0,
      compared: 0,
      disagreed: 0,
    };
    sums.set(part.classKey, sum);
  }
  addPacked(sum.latency, part);
  sum.requests += part.requests;
  sum.failures += part.failures;
  sum.compared += part.compared;
  sum.disagreed += part.disagreed;
}

function addPacked(into: LatencyCounts, { firstBucket, counts }: Packed): void {
  if (counts.length === 0) return;
  let total = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] ?? 0;
    into.counts[firstBucket + i] = (into.counts[firstBucket + i] ?? 0) + count;
    total += count;
  }
  into.first = Math.min(into.first, firstBucket);
  into.last = Math.max(into.last, firstBucket + counts.length - 1);
  into.total += total;
}

function inOrder(a: Cell, b: Cell): number {
  return a.block - b.block || (a.tier < b.tier ? -1 : a.tier > b.tier ? 1 : 0) || a.sizeClass - b.sizeClass;
}

/** The histogram of every block without requests; it is never changed. */
const noCounts = emptyHistogram(reportScale);

/**
 * A revision's blocks for each pod, in order and without gaps. The noise (random variation between minutes and pods) is
 * learnt from them. Pods without requests are left out.
 */
export function blocksByPod(ledger: Ledger, revision: string, span: BlockSpan): readonly (readonly LatencyCounts[])[] {
  return Object.keys(ledger)
    .toSorted()
    .flatMap((key) => {
      const boot = ledger[key];
      if (boot?.revision !== revision) return [];
      const blocks = Array.from({ length: span.last - span.first + 1 }, () => noCounts);
      let any = false;
      for (const count of Object.values(boot.blocks)) {
        const at = count.index - span.first;
        if (at < 0 || at >= blocks.length) continue;
        any = true;
        const into = emptyHistogram(reportScale);
        for (const part of packed(count)) addPacked(into, part);
        blocks[at] = into;
      }
      return any ? [blocks] : [];
    });
}
