/**
 * Decides what the queue does next.
 *
 * Owns:  which requests run together, which are dropped, and when the queue should wait for more requests.
 * Order: planBatch first drops requests whose deadline has passed. Then it checks the groups, beginning with the group
 *        of the oldest request. It runs the first group that is full or has waited long enough. With `maxDelayMs` 0,
 *        this is always the group of the oldest request. If there is no such group, the queue waits. Bulk requests run
 *        while no interactive request waits, or when they are due (bulkPatienceMs). A bulk request never shares a run
 *        with an interactive request.
 * Pure:  the caller passes the time as `nowMs`.
 */

import type { Tier } from '../../api/tiers.ts';

/** One request in the queue. A queue lists its requests from the oldest to the newest. */
export type Waiting = {
  readonly tier: Tier;
  /** The group of the request: requests of one group may share a run. Undefined when the request must run alone. */
  readonly group: string | undefined;
  readonly rows: number;
  readonly elements: number;
  /** Memory that the request needs in a run. A run needs the sum of the memory of its requests. */
  readonly bytes: number;
  readonly enqueuedAtMs: number;
  readonly deadlineMs: number | undefined;
};

export type BatchLimits = {
  /** Maximum number of rows in one run. */
  readonly maxRows: number;
  /** Maximum number of input elements in one run. */
  readonly maxElements: number;
  /** Maximum memory of one run. */
  readonly maxBytes: number;
  /** How long the oldest request of a group may wait for other requests; 0 when it does not wait. */
  readonly maxDelayMs: number;
};

/** `take` and `drop` are ascending positions in the queue. */
export type BatchPlan =
  | { readonly kind: 'drop'; readonly drop: readonly number[] }
  | { readonly kind: 'run'; readonly take: readonly number[]; readonly because: 'alone' | 'full' | 'aged' }
  /** Plan again after `forMs`, or when a request arrives. */
  | { readonly kind: 'wait'; readonly forMs: number }
  | { readonly kind: 'rest' };

/** The time at which a plan is made, and the time of the last bulk run. */
export type PlanTime = {
  readonly nowMs: number;
  /** When the last run of bulk requests began; -Infinity before the first such run. */
  readonly bulkRanAtMs: number;
};

/**
 * When bulk requests have not had a run for this many milliseconds, they get one run although interactive requests
 * wait. This way bulk requests do not starve, and interactive requests are delayed by at most one bulk run per
 * interval.
 */
export const bulkPatienceMs = 10_000;

export function planBatch(queue: readonly Waiting[], limits: BatchLimits, time: PlanTime): BatchPlan {
  const { nowMs } = time;
  if (queue.length === 0) return { kind: 'rest' };
  const drop = expired(queue, nowMs);
  if (drop.length > 0) return { kind: 'drop', drop };

  let soonestMs = Infinity;
  for (const group of groupsOf(queue, tierNow(queue, time))) {
    const take = fill(queue, group, limits);
    const oldest = queue[group[0] ?? 0];
    if (oldest?.group === undefined) return { kind: 'run', take, because: 'alone' };
    if (take.length < group.length || rowsOf(queue, take) >= limits.maxRows)
      return { kind: 'run', take, because: 'full' };
    const leftMs = oldest.enqueuedAtMs + limits.maxDelayMs - nowMs;
    if (leftMs <= 0) return { kind: 'run', take, because: 'aged' };
    soonestMs = Math.min(soonestMs, leftMs, timeLeft(queue, nowMs));
  }
  return { kind: 'wait', forMs: soonestMs };
}

/** The plan while every slot is in use: only deadlines matter until the engine reports a free slot. */
export function planWhileBusy(queue: readonly Waiting[], nowMs: number): Exclude<BatchPlan, { kind: 'run' }> {
  if (queue.length === 0) return { kind: 'rest' };
  const drop = expired(queue, nowMs);
  return drop.length > 0 ? { kind: 'drop', drop } : { kind: 'wait', forMs: timeLeft(queue, nowMs) };
}

/** Positions of the requests whose deadline has passed. */
function expired(queue: readonly Waiting[], nowMs: number): readonly number[] {
  return positions(queue, ({ deadlineMs }) => deadlineMs !== undefined && deadlineMs <= nowMs);
}

/** Milliseconds until the next deadline in the queue; Infinity without deadlines. */
function timeLeft(queue: readonly Waiting[], nowMs: number): number {
  return queue.reduce((least, { deadlineMs }) => Math.min(least, (deadlineMs ?? Infinity) - nowMs), Infinity);
}

/**
 * The tier of the next run: bulk only while no interactive request waits, or when bulk requests are due
 * (bulkPatienceMs).
 */
function tierNow(queue: readonly Waiting[], { nowMs, bulkRanAtMs }: PlanTime): Tier {
  if (!queue.some(({ tier }) => tier === 'interactive')) return 'bulk';
  const oldest = queue.find(({ tier }) => tier === 'bulk');
  const sinceMs = Math.max(oldest?.enqueuedAtMs ?? Infinity, bulkRanAtMs);
  return nowMs - sinceMs >= bulkPatienceMs ? 'bulk' : 'interactive';
}

/**
 * The queue positions of a tier's requests, one list for each group. The group with the oldest request comes first. A
 * request that runs alone is a group of its own.
 */
function groupsOf(queue: readonly Waiting[], turn: Tier): readonly (readonly number[])[] {
  const groups = new Map<string | number, number[]>();
  queue.forEach(({ group, tier }, position) => {
    if (tier !== turn) return;
    const members = groups.get(group ?? position);
    if (members === undefined) groups.set(group ?? position, [position]);
    else members.push(position);
  });
  return [...groups.values()];
}

/**
 * The oldest requests of the group that fit into one run. When a request does not fit, no request behind it is taken,
 * even if a smaller request would fit.
 */
function fill(queue: readonly Waiting[], group: readonly number[], limits: BatchLimits): readonly number[] {
  const sum = { rows: 0, elements: 0, bytes: 0 };
  let count = 0;
  for (const position of group) {
    const { rows, elements, bytes } = queue[position] ?? { rows: 0, elements: 0, bytes: 0 };
    sum.rows += rows;
    sum.elements += elements;
    sum.bytes += bytes;
    // The first request always runs, even above the limits; otherwise it would wait forever.
    if (count > 0 && (sum.rows > limits.maxRows || sum.elements > limits.maxElements || sum.bytes > limits.maxBytes))
      break;
    count += 1;
  }
  return group.slice(0, count);
}

function rowsOf(queue: readonly Waiting[], take: readonly number[]): number {
  return take.reduce((rows, position) => rows + (queue[position]?.rows ?? 0), 0);
}

function positions(queue: readonly Waiting[], test: (waiting: Waiting) => boolean): readonly number[] {
  return queue.flatMap((waiting, position) => (test(waiting) ? [position] : []));
}
