/**
 * How many pods each revision gets for a weight.
 *
 * Owns:  the arithmetic of capacity: what a weight needs, what a rollout may have on top, and how far the weight may
 *        move with the pods that are ready.
 * Rule:  stable keeps what its share of the traffic needs at every moment. Under Surge it keeps all it may, so that
 *        the traffic can come back at once; under Borrow the two share the number that was asked for.
 * Pure.
 */
import type { Capacity } from './plan.ts';

export type Split = { readonly stable: number; readonly candidate: number };
/** `replicas`: pods that the model is to have at rest. */
export type Fleet = { readonly replicas: number; readonly capacity: Capacity };

/**
 * The numbers under which both revisions' pods carry about the same load, as near as the capacity allows: a batching
 * server's latency depends on its load, so unequal ones are not compared.
 *
 * @param weight percent of the candidate, 0 to 100; under 0 percent a candidate has one pod to be looked at
 */
export function splitFor(weight: number, { replicas, capacity }: Fleet): Split {
  if (weight >= 100) return { candidate: replicas, stable: Math.min(replicas, roomFor(replicas, capacity)) };
  const share = weight / 100;
  const least = Math.max(1, Math.ceil(replicas * share - 1e-9));
  let best: Split | undefined;
  for (let candidate = least; candidate <= Math.max(1, replicas); candidate++) {
    const split = { candidate, stable: stableBeside(candidate, replicas, capacity) };
    if (split.stable < leastStable(weight, replicas, capacity)) break;
    if (best === undefined || imbalance(split, share) < imbalance(best, share) - 1e-9) best = split;
  }
  return best ?? { candidate: least, stable: leastStable(weight, replicas, capacity) };
}

/** Beside a candidate with all the pods that are asked for. */
function roomFor(replicas: number, { mode, surge }: Capacity): number {
  return mode === 'Surge' ? Math.min(surge, replicas) : 0;
}

function stableBeside(candidate: number, replicas: number, { mode, surge }: Capacity): number {
  const room = mode === 'Borrow' ? replicas - candidate : replicas + surge - candidate;
  // One pod cannot be shared: borrowing from a single one would leave nobody to serve.
  return Math.min(replicas, mode === 'Borrow' ? Math.max(1, room) : room);
}

/** What the rest of the traffic needs; lent pods may make it one fewer. */
function leastStable(weight: number, replicas: number, { mode }: Capacity): number {
  const needed = (replicas * (100 - weight)) / 100;
  return Math.max(1, mode === 'Borrow' ? Math.floor(needed + 1e-9) : Math.ceil(needed - 1e-9));
}

/** |ln| of the ratio of the two revisions' loads per pod; 0 is equal. */
function imbalance({ stable, candidate }: Split, share: number): number {
  if (share === 0) return candidate;
  return Math.abs(Math.log((share / candidate) * (stable / (1 - share))));
}

/**
 * The numbers while the weight is on its way from one that was reached to another: as many of the candidate's as
 * fit beside what stable still needs.
 */
export function splitBetween(reached: number, asked: number, fleet: Fleet): Split {
  const { replicas, capacity } = fleet;
  const goal = splitFor(asked, fleet);
  const limit = capacity.mode === 'Borrow' ? replicas : replicas + capacity.surge;
  const needed = reached >= 100 ? 0 : leastStable(reached, replicas, capacity);
  const candidate = Math.max(1, Math.min(goal.candidate, limit - needed));
  const stable = reached >= 100 ? goal.stable : Math.max(needed, stableBeside(candidate, replicas, capacity));
  return { candidate, stable };
}

/**
 * How far the weight may go now, at least what was reached: all the way once the candidate has the pods for it, else
 * as far as its ready pods carry. Under Borrow one pod may be missing: it is stable's until the weight has moved.
 */
export function carriedWeight(reached: number, asked: number, ready: number, fleet: Fleet): number {
  const { replicas, capacity } = fleet;
  if (ready >= splitFor(asked, fleet).candidate) return asked;
  const carrying = ready === 0 ? 0 : ready + (capacity.mode === 'Borrow' ? 1 : 0);
  const carried = Math.floor((100 * carrying) / Math.max(1, replicas));
  return Math.max(reached, Math.min(asked, carried));
}
