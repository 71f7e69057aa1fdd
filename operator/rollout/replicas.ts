/**
 * How many pods each revision gets for a weight.
 *
 * Owns:  the arithmetic of capacity: what a weight needs, what a rollout may have on top, and how far the weight may
 *        move with the pods that are ready.
 * Rule:  stable keeps what its share of the traffic needs at every moment. Under Surge it keeps all it may, so that
 *        the traffic can come back at once; under Borrow the two share the number that was asked for.
 * Pure.
 */
export type RolloutCapacity = {
  readonly mode: 'Surge' | 'Borrow' | 'Recreate';
  /** Pods beyond `replicas` that a rollout may have; Surge only. */
  readonly surge: number;
};

export type Split = { readonly stable: number; readonly candidate: number };
/** `replicas`: pods that the model is to have at rest. */
export type Fleet = {
  readonly replicas: number;
  readonly capacity: RolloutCapacity;
  /** Shares are exact, whatever the numbers of pods (a route). Absent: each pod has the same share. */
  readonly isByWeight?: boolean;
};

/**
 * The numbers under which both revisions' pods carry about the same load, as near as the capacity allows: a batching
 * server's latency depends on its load, so unequal ones are not compared.
 *
 * Where a route gives each revision its share whatever its pods are, a candidate has two from the start if there is
 * room: a slow node under its only pod looks like a slow revision, and its slowness like a slow node
 * (operator/analysis/pod-spread.ts).
 *
 * @param weight percent of the candidate, 0 to 100; under 0 percent a candidate has one pod to be looked at
 */
export function splitFor(weight: number, fleet: Fleet): Split {
  const { replicas, capacity } = fleet;
  if (replicas === 0) return { stable: 0, candidate: 0 };
  if (weight >= 100)
    return { candidate: replicas, stable: capacity.mode === 'Surge' ? Math.min(replicas, capacity.surge) : 0 };
  const most = mostBeside(replicas, capacity);
  const least = Math.min(most, Math.max(fewestOf(weight, fleet), podsFor(weight, replicas)));
  let best: Split = { candidate: least, stable: stableBeside(least, { replicas, capacity }) };
  for (let candidate = least + 1; candidate <= most; candidate++) {
    const split = { candidate, stable: stableBeside(candidate, { replicas, capacity }) };
    if (split.stable < leastStable(weight, { replicas, capacity })) break;
    if (imbalance(split, weight) < imbalance(best, weight) - 1e-9) best = split;
  }
  return best;
}

/** Of a candidate with a share of the traffic. */
function fewestOf(weight: number, { capacity: { mode, surge }, isByWeight = false }: Fleet): number {
  return isByWeight && weight > 0 && mode === 'Surge' && surge > 1 ? 2 : 1;
}

/**
 * Pods for a share of the traffic. Weights are whole percents: what a third of three pods carries is 33 as well as 34,
 * so that up to a percent of the traffic, and less than a pod's, asks for no further pod.
 */
function podsFor(percent: number, replicas: number): number {
  return Math.max(0, Math.ceil((replicas * percent) / 100 - Math.min(1, replicas / 100) + 1e-9));
}

/**
 * Of the candidate while stable serves too. One pod cannot be shared: borrowing from a single one would leave nobody to
 * serve.
 */
function mostBeside(replicas: number, { mode }: RolloutCapacity): number {
  return mode === 'Borrow' ? Math.max(1, replicas - 1) : replicas;
}

function stableBeside(candidate: number, { replicas, capacity: { mode, surge } }: Fleet): number {
  return mode === 'Borrow' ? Math.max(1, replicas - candidate) : Math.min(replicas, replicas + surge - candidate);
}

/** What the rest of the traffic needs. Lent pods make it fewer, by what the next percent takes. */
function leastStable(weight: number, { replicas, capacity: { mode } }: Fleet): number {
  const needed = podsFor(100 - weight, replicas);
  return Math.max(1, mode === 'Borrow' ? needed - lentAhead(replicas) : needed);
}

/** One pod; with more than a hundred as many as carry one percent, the least that a weight moves by. */
export function lentAhead(replicas: number): number {
  return Math.max(1, Math.ceil(replicas / 100));
}

/**
 * |ln| of the ratio of the two revisions' loads per pod; 0 is equal.
 *
 * A candidate whose pods carry more than is comparable could not fail by latency (operator/analysis/judge.ts): anything
 * else is better, if it is less, for then it still can.
 */
function imbalance({ stable, candidate }: Split, weight: number): number {
  if (weight === 0) return candidate;
  const ln = Math.log((weight / candidate) * (stable / (100 - weight)));
  return ln > comparableLn ? worseThanAnyLess + ln : Math.abs(ln);
}

/**
 * ln of the ratio of loads per pod from which on latencies are not compared: that of the judge
 * (operator/analysis/constants.ts, equalLoadLn).
 */
export const comparableLn = 0.3;
/** A hundred percent on one of a thousand pods is ln 100,000. */
const worseThanAnyLess = 12;

/**
 * The numbers while the weight is on its way from one that was reached to another: as many of the candidate's as
 * fit beside what stable still needs.
 */
export function splitBetween(reached: number, asked: number, fleet: Fleet): Split {
  const { replicas, capacity } = fleet;
  const goal = splitFor(asked, fleet);
  if (reached >= 100 || replicas === 0) return goal;
  const needed = leastStable(reached, fleet);
  const limit = capacity.mode === 'Borrow' ? replicas : replicas + capacity.surge;
  const candidate = Math.max(1, Math.min(goal.candidate, limit - needed));
  return { candidate, stable: Math.max(needed, stableBeside(candidate, fleet)) };
}

/**
 * How far the weight may go now, at least what was reached: all the way once the candidate has the pods for it, else
 * as far as its ready pods carry. Under Borrow the last of stable's pods are lent only when they have nothing to do.
 */
export function carriedWeight(reached: number, asked: number, ready: number, fleet: Fleet): number {
  const { replicas, capacity } = fleet;
  const whole = splitFor(asked, fleet).candidate;
  const enough = capacity.mode === 'Borrow' && asked >= 100 ? Math.max(1, replicas - lentAhead(replicas)) : whole;
  if (ready >= enough) return asked;
  return Math.max(reached, Math.min(asked, Math.floor((100 * ready) / Math.max(1, replicas))));
}
