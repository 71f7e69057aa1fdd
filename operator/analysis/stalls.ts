/**
 * Chooses the blocks to leave out, so that a verdict does not depend on a few stalls.
 *
 * Terms: A stall is a few seconds so slow, or with so many errors, that they alone could decide a verdict. A block is
 * 20 seconds; a position is the number of a block in the window that is judged.
 * Owns: the rule. The worst 40 s are always left out. Further ranges of 40 s are left out only while they are outliers
 * among the revision's own blocks. A lasting slowdown is not an outlier among its own blocks, so only 40 s of it are
 * left out. Short stalls are outliers and are left out, up to a maximum number of ranges.
 * Pure: a function of the counts by block.
 */
import { tuning } from './constants.ts';
import { total } from './rate-evidence.ts';

export type StallCounts = {
  /** The number of events (requests over a level, or errors), by position. */
  readonly events: readonly number[];
  /** The number of all requests, by position. */
  readonly trials: readonly number[];
  /** The number of positions whose blocks are known. */
  readonly known: number;
};

/** @returns positions to leave out; `windows` is the number of ranges of 40 s that were left out */
export function worstBlocks({ events, trials, known }: StallCounts): {
  readonly removed: ReadonlySet<number>;
  readonly windows: number;
} {
  const left = { events: [...events], trials: [...trials] };
  const removed = new Set<number>();
  const most = 2 + Math.floor(known / 10);
  let windows = 0;
  while (windows < most && removed.size < events.length) {
    const at = worstWindow(left.events);
    if (windows > 0 && !isOutlier(left, at)) break;
    for (const position of positionsOf(at, events.length)) {
      removed.add(position);
      left.events[position] = 0;
      left.trials[position] = 0;
    }
    windows += 1;
  }
  return { removed, windows };
}

function positionsOf(at: number, length: number): number[] {
  return Array.from({ length: Math.min(tuning.stallBlocks, length - at) }, (_, i) => at + i);
}

/**
 * The first position of the range of 40 s with the most events. If several ranges have equally many events, the
 * earliest range is taken.
 */
function worstWindow(events: readonly number[]): number {
  let best = 0;
  let most = -1;
  for (let at = 0; at <= Math.max(0, events.length - tuning.stallBlocks); at++) {
    const here = windowSum(events, at);
    if (here > most) {
      most = here;
      best = at;
    }
  }
  return best;
}

/**
 * Whether a range of 40 s has at least three times the events expected from the rate of the other blocks, and at least
 * three standard deviations more (Poisson).
 */
function isOutlier(
  left: { readonly events: readonly number[]; readonly trials: readonly number[] },
  at: number,
): boolean {
  const events = windowSum(left.events, at);
  const trials = windowSum(left.trials, at);
  const others = total(left.trials) - trials;
  if (others <= 0) return false;
  const expected = (trials * (total(left.events) - events)) / others;
  return events >= 3 * expected && events - expected >= 3 * Math.sqrt(expected + 1);
}

function windowSum(values: readonly number[], at: number): number {
  let sum = 0;
  for (let i = at; i < at + tuning.stallBlocks; i++) sum += values[i] ?? 0;
  return sum;
}
