/**
 * The last half hour of what the runtime counted, in blocks of 20 s of wall-clock time.
 *
 * Owns:   which block a difference of two readings belongs to, and from which block on everything is known. What cannot
 *         be attributed is not guessed at: the claim (`since`) begins anew behind it.
 * Pure:   a ring is plain data; the time comes in. Adding up all blocks gives what the runtime counted since the ring
 *         began.
 * Limits: `maxBlocks` blocks, `ringLimitBytes` of JSON; the oldest go first.
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

/** When a reading came: by the clock that people share, and by the one that only grows. */
export type ReadAt = { readonly wallMs: number; readonly monotonicMs: number };

type Held = { readonly count: BlockCount; /** Of its JSON, with the comma behind it. */ readonly sizeBytes: number };

export type Ring = {
  readonly bootId: string;
  /** What the runtime had counted at the last reading. */
  readonly counted: readonly Traffic[];
  /** Block and time of the last reading. */
  readonly readBlock: number;
  readonly readAtMs: number;
  /** The first block of which everything is known; above `readBlock` while that one has not begun. */
  readonly since: number;
  /** The last number given to a change. It goes on when the claim begins anew, so that what is counted later wins. */
  readonly seq: number;
  readonly held: readonly Held[];
};

/** Thirty minutes: history before a window, and the operator may be away for as long. */
export const maxBlocks = 90;
/** A report has other things to say, too. */
export const ringLimitBytes = (reportLimitBytes * 3) / 4;
/**
 * How long after the reading before it a reading may come whose difference still counts for the block it was read in:
 * half a block, so that what is attributed to a block is mostly its own.
 */
export const attributableMs = (blockSeconds * 1000) / 2;

/** The ring with one more reading of the runtime's counters in it. */
export function nextRing(
  before: Ring | undefined,
  { bootId, traffic = [] }: Pick<Report, 'bootId' | 'traffic'>,
  at: ReadAt,
): Ring {
  const now = { bootId, counted: traffic, readBlock: blockAt(at.wallMs), readAtMs: at.monotonicMs };
  // When those were counted that were there before us, nobody knows; of a runtime that has counted nothing we know
  // that.
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
 * The block for a change between two readings; undefined when it may belong to several.
 *
 * A change of nothing is the same in every block. The clock may have been set: back by a moment, the ring stays in its
 * block until the clock is there again; by more, or ahead, nothing can be said.
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
 * The ring with a comparison of an answer with stable's in it, in the block of the last reading.
 * A ring whose first block has not begun takes none.
 */
export function withComparison(
  ring: Ring,
  { tier, sizeClass, agrees }: { readonly tier: string; readonly sizeClass: number; readonly agrees: boolean },
): Ring {
  return withCount(ring, { ...nothingOf(tier, sizeClass), compared: 1, disagreed: agrees ? 0 : 1 });
}

/** The same with a pair of service times, which is no traffic. */
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
 * What a report says of the blocks.
 *
 * @param from only blocks from this one on
 * @param limitBytes of their JSON; when not all fit, the claim begins at the oldest of the newest that do
 * @returns undefined when there is nothing to claim
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

// ── what changed between two readings ──

function isSomething({ latency, ok, errors }: Pick<BlockTraffic, 'latency' | 'ok' | 'errors'>): boolean {
  return ok > 0 || Object.values(errors).some((n) => n > 0) || Object.values(latency.counts).some((n) => n > 0);
}

/** @returns undefined when something is less than it was: these are not the same counters any more */
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

/** `after` less `before`, without what did not change; undefined when anything would be below 0. */
function lessCounts(after: Counts, before: Counts): Counts | undefined {
  for (const [key, count] of Object.entries(before)) if ((ownValue(after, key) ?? 0) < count) return undefined;
  return Object.fromEntries(
    Object.entries(after).flatMap(([key, count]) =>
      count === (ownValue(before, key) ?? 0) ? [] : [[key, count - (ownValue(before, key) ?? 0)]],
    ),
  );
}

// ── adding it to its block ──

function withChange(ring: Ring, block: number, change: readonly BlockTraffic[]): Ring {
  const known = ring.held.find(({ count }) => count.index === block)?.count.traffic ?? [];
  const merged = new Map(known.map((traffic) => [keyOf(traffic), traffic]));
  for (const more of change) {
    const there = merged.get(keyOf(more));
    merged.set(keyOf(more), there === undefined ? more : sumOf(there, more));
  }
  // More than a report may carry: the block cannot be told, and is not claimed.
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

/** Within the limits, and the claim with it. */
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
