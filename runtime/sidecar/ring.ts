/**
 * The runtime's counts of the last half hour, in blocks of 20 s of wall-clock time.
 *
 * Owns:   the assignment of differences between readings to blocks. Blocks from `since` on are complete; a difference
 *         that may belong to several blocks moves `since` to the first block after them.
 * Limits: `maxBlocks` blocks, `ringLimitBytes` of JSON; the oldest blocks are dropped first. Pure.
 * Terms:  a reading is one answer of the runtime with its counters, about once a second. Stable is the revision that
 *         serves. A class of a block has the counts of one tier and one input size.
 */
import { maxBlockClasses } from '../../api/report.ts';
import {
  blockAt,
  blockSeconds,
  pairSources,
  ratioBucketOf,
  ratioBuckets,
  reportLimitBytes,
  type BlockCount,
  type Blocks,
  type BlockTraffic,
  type Histogram,
  type PairedRatios,
  type Report,
  type Traffic,
} from '../../api/report.ts';
import type { Pair } from '../sampling/pair-counts.ts';
import { base, growth } from '../../api/histogram.ts';
import { present } from '../../api/present.ts';
import { ownValue } from '../../api/record.ts';

/** The time of a reading, by the wall clock and by the monotonic clock. */
export type ReadAt = { readonly wallMs: number; readonly monotonicMs: number };

type Held = {
  readonly count: BlockCount;
  /** Size of `count` as JSON, including the comma after it. */ readonly sizeBytes: number;
};

export type Ring = {
  readonly bootId: string;
  /** The runtime's counts at the last reading. */
  readonly counted: readonly Traffic[];
  /** The index of the block of the last reading. */
  readonly readBlock: number;
  /** Monotonic time of the last reading, in milliseconds. */
  readonly readAtMs: number;
  /** The index of the first complete block. It is greater than `readBlock` until the first complete block begins. */
  readonly since: number;
  /**
   * Number of the latest change. It is not reset when `since` moves, so that a reader that has two counts of the same
   * block knows which count is later.
   */
  readonly seq: number;
  readonly held: readonly Held[];
};

/**
 * Thirty minutes. Before the operator compares two revisions, it computes from this much history how much stable
 * differs between minutes and pods. The operator may also be down for this long without losing counts.
 */
export const maxBlocks = 90;
/** Three quarters of a report; the last quarter is reserved for the report's other fields. */
export const ringLimitBytes = (reportLimitBytes * 3) / 4;
/**
 * If two readings are in adjacent blocks and at most this many milliseconds apart, their difference is assigned to the
 * later block. This is half a block, so most of the counts in a block were made during that block.
 */
export const attributableMs = (blockSeconds * 1000) / 2;

/** Adds a reading of the runtime's counters to the ring. */
export function nextRing(
  before: Ring | undefined,
  { bootId, traffic = [] }: Pick<Report, 'bootId' | 'traffic'>,
  at: ReadAt,
): Ring {
  const now = { bootId, counted: traffic, readBlock: blockAt(at.wallMs), readAtMs: at.monotonicMs };
  // It is unknown when the counts in a first reading were made, so the first complete block is the next one. If the
  // runtime has not counted a request yet, the current block is known to be empty so far, so it is complete.
  if (before?.bootId !== bootId)
    return { ...now, since: traffic.some(isSomething) ? now.readBlock + 1 : now.readBlock, seq: 0, held: [] };
  const change = differenceOf(before.counted, traffic);
  const block = change === undefined ? undefined : attributedTo(before, now, change);
  if (change === undefined || block === undefined)
    return { ...now, since: now.readBlock + 1, seq: before.seq, held: [] };
  const read = { ...before, counted: traffic, readBlock: block, readAtMs: now.readAtMs };
  return trimmed(change.length === 0 || block < before.since ? read : withChange(read, block, change));
}

/**
 * The block to which a change between two readings is assigned; undefined when it may belong to several blocks.
 *
 * If nothing was counted between the readings, all blocks between them are known to be empty, so the change belongs to
 * the latest block. If the wall clock was set back by one block, the ring stays in its current block until the clock
 * reaches that block again. If the clock was set back further, the block of the change is unknown.
 */
function attributedTo(
  before: Ring,
  now: Pick<Ring, 'readBlock' | 'readAtMs'>,
  change: readonly BlockTraffic[],
): number | undefined {
  const ahead = now.readBlock - before.readBlock;
  if (ahead === 0) return now.readBlock;
  if (ahead < 0) return ahead === -1 ? before.readBlock : undefined;
  if (change.length === 0) return now.readBlock;
  return ahead === 1 && now.readAtMs - before.readAtMs <= attributableMs ? now.readBlock : undefined;
}

/**
 * Adds a comparison of an answer with stable's answer to the block of the last reading. The comparison is ignored until
 * the ring's first complete block begins.
 */
export function withComparison(
  ring: Ring,
  { tier, sizeClass, agrees }: { readonly tier: string; readonly sizeClass: number; readonly agrees: boolean },
): Ring {
  return withCount(ring, { ...nothingOf(tier, sizeClass), compared: 1, disagreed: agrees ? 0 : 1 });
}

/** Adds a pair of service times to the block of the last reading, without counting a request. */
export function withPair(ring: Ring, { tier, sizeClass, source, ratio }: Pair): Ring {
  const histogram = {
    base: ratioBuckets.base,
    growth: ratioBuckets.growth,
    counts: { [String(ratioBucketOf(ratio))]: 1 },
  };
  return withCount(ring, { ...nothingOf(tier, sizeClass), paired: { [source]: histogram } });
}

function nothingOf(tier: string, sizeClass: number): BlockTraffic {
  return { tier, sizeClass, latency: { base, growth, counts: {} }, ok: 0, errors: {} };
}

function withCount(ring: Ring, one: BlockTraffic): Ring {
  return ring.readBlock < ring.since ? ring : trimmed(withChange(ring, ring.readBlock, [one]));
}

/**
 * The blocks for a report.
 *
 * @param from index of the first block
 * @param limitBytes maximum size of the blocks as JSON; if not all blocks fit, only the newest blocks are returned, and
 * `since` is later accordingly
 * @returns undefined when no block is complete
 */
export function blocksOf(ring: Ring | undefined, from = 0, limitBytes = ringLimitBytes): Blocks | undefined {
  if (ring === undefined) return undefined;
  const asked = Math.max(from, ring.since);
  const kept: BlockCount[] = [];
  let sizeBytes = '{"since":1234567890,"until":1234567890,"counts":[]}'.length;
  let since = asked;
  for (const { count, sizeBytes: more } of ring.held.toReversed()) {
    if (count.index < asked) break;
    sizeBytes += more;
    if (sizeBytes > limitBytes) {
      since = count.index + 1;
      break;
    }
    kept.push(count);
  }
  return since > ring.readBlock ? undefined : { since, until: ring.readBlock, counts: kept.toReversed() };
}

function isSomething({ latency, ok, errors }: Pick<BlockTraffic, 'latency' | 'ok' | 'errors'>): boolean {
  return ok > 0 || Object.values(errors).some((n) => n > 0) || Object.values(latency.counts).some((n) => n > 0);
}

/** @returns undefined when a count has decreased, because the counters were then reset */
function differenceOf(before: readonly Traffic[], after: readonly Traffic[]): readonly BlockTraffic[] | undefined {
  const earlier = new Map(before.map((traffic) => [keyOf(traffic), traffic]));
  const changes: BlockTraffic[] = [];
  for (const traffic of after) {
    const change = changeOf(earlier.get(keyOf(traffic)), traffic);
    if (change === undefined) return undefined;
    earlier.delete(keyOf(traffic));
    if (isSomething(change)) changes.push(change);
  }
  return earlier.size === 0 ? changes : undefined;
}

function keyOf({ tier, sizeClass }: Pick<BlockTraffic, 'tier' | 'sizeClass'>): string {
  return `${sizeClass} ${tier}`;
}

function changeOf(
  before: Traffic | undefined,
  { tier, sizeClass, latency, ok, errors }: Traffic,
): BlockTraffic | undefined {
  if (before === undefined) return { tier, sizeClass, latency, ok, errors };
  if (before.latency.base !== latency.base || before.latency.growth !== latency.growth || ok < before.ok)
    return undefined;
  const counts = lessCounts(latency.counts, before.latency.counts);
  const failures = lessCounts(errors, before.errors);
  if (counts === undefined || failures === undefined) return undefined;
  return {
    tier,
    sizeClass,
    latency: { base: latency.base, growth: latency.growth, counts },
    ok: ok - before.ok,
    errors: failures,
  };
}

type Counts = Readonly<Record<string, number>>;

/** `after` minus `before`, without zeros; undefined when a difference is below 0. */
function lessCounts(after: Counts, before: Counts): Counts | undefined {
  for (const [key, count] of Object.entries(before)) if ((ownValue(after, key) ?? 0) < count) return undefined;
  return Object.fromEntries(
    Object.entries(after).flatMap(([key, count]) =>
      count === (ownValue(before, key) ?? 0) ? [] : [[key, count - (ownValue(before, key) ?? 0)]],
    ),
  );
}

function withChange(ring: Ring, block: number, change: readonly BlockTraffic[]): Ring {
  const known = ring.held.find(({ count }) => count.index === block)?.count.traffic ?? [];
  const merged = new Map(known.map((traffic) => [keyOf(traffic), traffic]));
  for (const more of change) {
    const there = merged.get(keyOf(more));
    merged.set(keyOf(more), there === undefined ? more : sumOf(there, more));
  }
  // When the block has more classes than a report may carry, drop all counts, and begin again with the next block.
  if (merged.size > maxBlockClasses) return { ...ring, since: block + 1, held: [] };
  const seq = ring.seq + 1;
  const count: BlockCount = { index: block, seq, traffic: [...merged.values()] };
  const others = ring.held.filter((held) => held.count.index !== block);
  return { ...ring, seq, held: [...others, { count, sizeBytes: JSON.stringify(count).length + 1 }] };
}

function sumOf(a: BlockTraffic, b: BlockTraffic): BlockTraffic {
  const compared = (a.compared ?? 0) + (b.compared ?? 0);
  return {
    tier: a.tier,
    sizeClass: a.sizeClass,
    latency: sumOfHistograms(a.latency, b.latency),
    ok: a.ok + b.ok,
    errors: moreCounts(a.errors, b.errors),
    ...(compared === 0 ? {} : { compared, disagreed: (a.disagreed ?? 0) + (b.disagreed ?? 0) }),
    ...present({ paired: sumOfRatios(a.paired, b.paired) }),
  };
}

function sumOfRatios(a: PairedRatios | undefined, b: PairedRatios | undefined): PairedRatios | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return present(
    Object.fromEntries(
      pairSources.map((source) => {
        const [one, other] = [a[source], b[source]];
        return [source, one === undefined || other === undefined ? (one ?? other) : sumOfHistograms(one, other)];
      }),
    ),
  );
}

function sumOfHistograms({ base, growth, counts }: Histogram, more: Histogram): Histogram {
  return { base, growth, counts: moreCounts(counts, more.counts) };
}

function moreCounts(a: Counts, b: Counts): Counts {
  const sum: Record<string, number> = { ...a };
  for (const [key, count] of Object.entries(b)) sum[key] = (ownValue(sum, key) ?? 0) + count;
  return sum;
}

/** Drops the oldest blocks above the limits, and moves `since` accordingly. */
function trimmed(ring: Ring): Ring {
  let since = Math.max(ring.since, Math.min(ring.readBlock, ring.readBlock - maxBlocks + 1));
  let sizeBytes = ring.held.reduce((sum, held) => sum + held.sizeBytes, 0);
  const held = ring.held.filter(({ count, sizeBytes: own }) => {
    if (count.index >= since && sizeBytes <= ringLimitBytes) return true;
    sizeBytes -= own;
    since = Math.max(since, count.index + 1);
    return false;
  });
  return since === ring.since ? ring : { ...ring, since, held };
}
