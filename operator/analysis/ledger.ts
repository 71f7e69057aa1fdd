/**
 * A ledger of the known blocks of every pod. It takes reports and returns cells for the judge.
 *
 * Terms: A block is 20 seconds, the unit of time in which a pod's sidecar counts requests. A boot is one run of the
 * pod's runtime; after a restart its counters begin at zero. seq increases with every change of a block's counts. A
 * cell is the counts of one block, of one tier and size of requests.
 * Owns: the rule that for one pod, boot and block the count with the largest seq is kept. The order, repetition, loss
 * and delay of reports do not matter while the sidecar still stores the block. The sidecar stores the latest blocks
 * only; a block that it drops before the operator reads it is lost.
 * Pure: a ledger is plain data that survives JSON; `fold` returns a new one. `forgetBefore` bounds its size.
 */
import { countsAgainstRevision } from '../../api/outcomes.ts';
import type { BlockCount, BlockTraffic } from '../../api/report.ts';
import { fromReport } from './log-histogram.ts';
import type { Cell } from './series.ts';

/** The blocks of one pod's report, from `since` to `until`. A block without an entry had no requests. */
export type BlockReport = {
  readonly pod: string;
  readonly bootId: string;
  readonly revision: string;
  readonly since: number;
  readonly until: number;
  readonly blocks: readonly BlockCount[];
};

export type Boot = {
  readonly pod: string;
  readonly revision: string;
  /** Reported block ranges, both ends included, in order, with gaps between them. */
  readonly heard: readonly (readonly [number, number])[];
  readonly blocks: Readonly<Record<string, BlockCount>>;
};

/** One entry for each boot of each pod, with the key `pod/bootId`. */
export type Ledger = Readonly<Record<string, Boot>>;

export const emptyLedger: Ledger = {};

/**
 * The ledger with a report's blocks added. The same reports give the same ledger, in any order and however often each
 * is added.
 */
export function fold(ledger: Ledger, report: BlockReport): Ledger {
  const key = `${report.pod}/${report.bootId}`;
  const known = ledger[key];
  const blocks: Record<string, BlockCount> = { ...known?.blocks };
  for (const block of report.blocks) {
    const before = blocks[block.index];
    if (before === undefined || before.seq < block.seq) blocks[block.index] = block;
  }
  const heard = joinRanges([...(known?.heard ?? []), [report.since, report.until]]);
  return { ...ledger, [key]: { pod: report.pod, revision: report.revision, heard, blocks } };
}

function joinRanges(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const joined: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

/**
 * Blocks in which a pod of the given revisions served but did not report. They are the gaps between reported ranges of
 * one boot. These blocks are left out for both revisions, so that a gap favours neither revision.
 */
export function lostBlocks(ledger: Ledger, revisions: readonly string[]): readonly number[] {
  const lost = new Set<number>();
  for (const boot of Object.values(ledger)) {
    if (!revisions.includes(boot.revision)) continue;
    boot.heard.slice(1).forEach(([from], i) => {
      for (let block = (boot.heard[i]?.[1] ?? from) + 1; block < from; block++) lost.add(block);
    });
  }
  return [...lost].toSorted((a, b) => a - b);
}

/** A revision's cells, in an order that does not depend on the order of reports. */
export function cellsOf(ledger: Ledger, revision: string): readonly Cell[] {
  return Object.keys(ledger)
    .toSorted()
    .flatMap((key) => bootCells(ledger[key], key, revision));
}

/** A restarted pod counts as another pod: its caches are cold and its node may be new. */
function bootCells(boot: Boot | undefined, key: string, revision: string): Cell[] {
  if (boot?.revision !== revision) return [];
  return Object.values(boot.blocks).flatMap((block) => cellsOfBlock(key, block));
}

/** The counts of one pod in one block: a cell for each tier and size class. */
export function cellsOfBlock(pod: string, { index, traffic }: BlockCount): readonly Cell[] {
  return traffic.filter(isTraffic).map((row) => cellOf(pod, index, row));
}

/**
 * Whether a row has live requests. A row is the counts of a block for one tier and size. Pairs (service times of the
 * same request on both revisions) are not live traffic: a row with only pairs gives no cell.
 */
function isTraffic({ ok, errors, compared, paired }: BlockTraffic): boolean {
  return paired === undefined || ok > 0 || compared !== undefined || Object.keys(errors).length > 0;
}

function cellOf(pod: string, block: number, traffic: BlockTraffic): Cell {
  const failures = Object.entries(traffic.errors).reduce(
    (sum, [kind, count]) => (countsAgainstRevision(kind) ? sum + count : sum),
    0,
  );
  return {
    pod,
    block,
    tier: traffic.tier,
    sizeClass: traffic.sizeClass,
    latency: fromReport(traffic.latency),
    requests: traffic.ok + failures,
    failures,
    compared: traffic.compared ?? 0,
    disagreed: traffic.disagreed ?? 0,
  };
}

/** The ledger without blocks before `block`, and without boots that have no blocks left. */
export function forgetBefore(ledger: Ledger, block: number): Ledger {
  const kept = Object.entries(ledger).flatMap(([key, boot]): [string, Boot][] => {
    const heard = boot.heard.flatMap(([from, to]): [number, number][] =>
      to < block ? [] : [[Math.max(from, block), to]],
    );
    const blocks = Object.fromEntries(Object.entries(boot.blocks).filter(([, count]) => count.index >= block));
    return heard.length === 0 ? [] : [[key, { ...boot, heard, blocks }]];
  });
  return Object.fromEntries(kept);
}
