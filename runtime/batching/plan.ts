/**
 * Decides what the queue does next.
 *
 * Owns:  which requests run together, which are dropped, and when the queue should wait for more requests.
 * Order: planBatch first drops requests whose deadline has passed. Then it checks the groups, beginning with the group
 *        of the most urgent request (urgencyOf). It runs the first group that is full or has waited long enough. With
 *        `maxDelayMs` 0, this is always the group of the most urgent request. If there is no such group, the queue
 *        waits. Bulk requests run while no interactive request waits, or when they are due (bulkPatienceMs). They also
 *        join a run of interactive requests of their group when they hardly make it longer.
 * Turns: requests of several clients take turns (turns.ts).
 * Pure:  the caller passes the time as `nowMs`, and the cost of runs as functions.
 */

import type { Tier } from '../../api/tiers.ts';
import type { BatchShape } from './batch-shape.ts';
import { inTurns, type Turning } from './turns.ts';

/** One request in the queue. A queue lists its requests from the oldest to the newest. */
export type Waiting = Turning & {
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

/** The cost of runs. `elements` is the number of input elements of one row. */
export type BatchCosts = {
  readonly shapeOf: (elements: number) => BatchShape;
  /** Predicted milliseconds of a run; 0 when they are not known. */
  readonly msOf: (rows: number, elements: number) => number;
};

/** `take` and `drop` are ascending positions in the queue. */
export type BatchPlan =
  | { readonly kind: 'drop'; readonly drop: readonly number[] }
  | {
      readonly kind: 'run';
      readonly take: readonly number[];
      /**
       * The tier whose requests the run was planned for. A run for the tier interactive may contain bulk requests too.
       */
      readonly tier: Tier;
      readonly because: 'alone' | 'full' | 'aged';
    }
  /** Plan again after `forMs`, or when a request arrives. */
  | { readonly kind: 'wait'; readonly forMs: number }
  | { readonly kind: 'rest' };

/** The state of time and workers for which a plan is made. */
export type PlanState = {
  readonly nowMs: number;
  /** When the last run for bulk requests began; -Infinity before the first such run. */
  readonly bulkRanAtMs: number;
  /** Number of workers with a loaded model, busy or free; at least 1. */
  readonly workers: number;
};

/**
 * When bulk requests have not had a run for this many milliseconds, they get one run although interactive requests
 * wait. This way bulk requests do not starve, and interactive requests are delayed by at most one bulk run per
 * interval.
 */
export const bulkPatienceMs = 10_000;

/**
 * A request is treated as if its deadline were at most this long after its arrival. Otherwise requests with short
 * deadlines could overtake a request without a deadline forever.
 */
export const urgencyPatienceMs = 1000;

/** Bulk requests may join a run of interactive requests if the run takes at most this many times as long with them. */
const spareRowsCost = 1.1;

type Setting = { readonly limits: BatchLimits; readonly costs: BatchCosts; readonly state: PlanState };

export function planBatch(
  queue: readonly Waiting[],
  limits: BatchLimits,
  costs: BatchCosts,
  state: PlanState,
): BatchPlan {
  const { nowMs } = state;
  if (queue.length === 0) return { kind: 'rest' };
  const drop = expired(queue, nowMs);
  if (drop.length > 0) return { kind: 'drop', drop };

  const tier = tierNow(queue, state);
  let soonestMs = Infinity;
  for (const group of groupsOf(queue, tier)) {
    const { take, isFull } = fill(queue, group, { limits, costs, state });
    const run = (because: 'alone' | 'full' | 'aged'): BatchPlan => ({
      kind: 'run',
      take: [...take, ...spareRows(queue, take, tier, { limits, costs, state })].sort((a, b) => a - b),
      tier,
      because,
    });
    const first = queue[group[0] ?? 0];
    if (first?.group === undefined) return run('alone');
    if (isFull) return run('full');
    const leftMs = oldestOf(queue, group) + limits.maxDelayMs - nowMs;
    if (leftMs <= 0) return run('aged');
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

/** The time by which requests of one tier are ordered: the earliest runs first. */
export function urgencyOf({ deadlineMs = Infinity, enqueuedAtMs }: Waiting): number {
  return Math.min(deadlineMs, enqueuedAtMs + urgencyPatienceMs);
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
function tierNow(queue: readonly Waiting[], { nowMs, bulkRanAtMs }: PlanState): Tier {
  if (!queue.some(({ tier }) => tier === 'interactive')) return 'bulk';
  const oldest = queue.find(({ tier }) => tier === 'bulk');
  const sinceMs = Math.max(oldest?.enqueuedAtMs ?? Infinity, bulkRanAtMs);
  return nowMs - sinceMs >= bulkPatienceMs ? 'bulk' : 'interactive';
}

/**
 * The queue positions of a tier's requests, one list for each group, the most urgent request first. The group with the
 * most urgent request comes first. A request that runs alone is a group of its own; if it is the most urgent request of
 * the tier, it is the only group, because it runs next, and the others of a long queue cost more than a short run.
 */
function groupsOf(queue: readonly Waiting[], turn: Tier): readonly (readonly number[])[] {
  const urgent = mostUrgent(queue, turn);
  if (queue[urgent]?.group === undefined) return [[urgent]];
  const groups = new Map<string | number, number[]>();
  for (const position of byUrgency(queue, ({ tier }) => tier === turn)) {
    const key = queue[position]?.group ?? position;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [position]);
    else members.push(position);
  }
  return [...groups.values()];
}

/** Position of the most urgent request of a tier, the first of several equal ones. */
function mostUrgent(queue: readonly Waiting[], turn: Tier): number {
  let [best, bestMs] = [0, Infinity];
  for (const [position, waiting] of queue.entries()) {
    if (waiting.tier !== turn || urgencyOf(waiting) >= bestMs) continue;
    [best, bestMs] = [position, urgencyOf(waiting)];
  }
  return best;
}

function byUrgency(queue: readonly Waiting[], test: (waiting: Waiting) => boolean): readonly number[] {
  const urgency = (position: number): number => urgencyOf(queue[position] as Waiting);
  return inTurns(
    queue,
    positions(queue, test).toSorted((a, b) => urgency(a) - urgency(b) || a - b),
  );
}

/**
 * The most urgent requests of the group that fit into one run. When a request does not fit, no request behind it is
 * taken, even if a smaller request would fit.
 */
function fill(
  queue: readonly Waiting[],
  group: readonly number[],
  { limits, costs, state }: Setting,
): { readonly take: readonly number[]; readonly isFull: boolean } {
  const { rows: bestRows, pays } = costs.shapeOf(elementsOfRow(queue[group[0] ?? 0]));
  const most = Math.min(limits.maxRows, bestRows);
  const whole = prefix(queue, group, { ...limits, maxRows: most });
  const isFull = whole.length < group.length || rowsOf(queue, whole) >= most;
  // When joining rows gains little, leave the other workers their part of the rows. Otherwise one run costs less CPU
  // time.
  const share = pays ? most : Math.ceil(rowsOf(queue, group) / state.workers);
  return { take: share >= most ? whole : prefix(queue, group, { ...limits, maxRows: share }), isFull };
}

function prefix(queue: readonly Waiting[], group: readonly number[], limits: BatchLimits): readonly number[] {
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

/** Positions of bulk requests that join a run of interactive requests of the same group. */
function spareRows(
  queue: readonly Waiting[],
  take: readonly number[],
  turn: Tier,
  { limits, costs }: Setting,
): readonly number[] {
  const first = queue[take[0] ?? 0];
  if (turn === 'bulk' || first?.group === undefined) return [];
  const bulk = byUrgency(queue, ({ tier, group }) => tier === 'bulk' && group === first.group);
  if (bulk.length === 0) return [];
  const elements = elementsOfRow(first);
  const mostMs = costs.msOf(rowsOf(queue, take), elements) * spareRowsCost;
  const most = Math.min(limits.maxRows, costs.shapeOf(elements).rows);
  const spare = prefix(queue, [...take, ...bulk], { ...limits, maxRows: most }).slice(take.length);
  // Without a known cost (mostMs is 0), bulk requests do not join.
  while (spare.length > 0 && mostMs < costs.msOf(rowsOf(queue, [...take, ...spare]), elements)) spare.pop();
  return mostMs > 0 ? spare : [];
}

function elementsOfRow(waiting: Waiting | undefined): number {
  return (waiting?.elements ?? 0) / Math.max(1, waiting?.rows ?? 1);
}

function oldestOf(queue: readonly Waiting[], group: readonly number[]): number {
  return group.reduce((oldest, position) => Math.min(oldest, queue[position]?.enqueuedAtMs ?? Infinity), Infinity);
}

function rowsOf(queue: readonly Waiting[], take: readonly number[]): number {
  return take.reduce((rows, position) => rows + (queue[position]?.rows ?? 0), 0);
}

function positions(queue: readonly Waiting[], test: (waiting: Waiting) => boolean): number[] {
  const found: number[] = [];
  for (const [position, waiting] of queue.entries()) if (test(waiting)) found.push(position);
  return found;
}
