/**
 * How many pods each revision gets for a weight.
 *
 * Terms: The weight is the candidate's share of the traffic in percent. Under Surge a rollout may have additional pods;
 * under Borrow the candidate's pods replace pods of stable; under Recreate they start after stable's pods ended. The
 * judge compares the latencies of the two revisions.
 * Owns: the arithmetic of capacity: the pods that a weight needs, the maximum number of pods during a rollout, and the
 * weight that the ready pods can carry.
 * Rule: stable always keeps the pods that its share needs. Under Surge it keeps as many pods as the limit allows, for a
 * fast rollback. Under Borrow both revisions together have `replicas` pods.
 * Pure.
 */
export type RolloutCapacity = {
  readonly mode: 'Surge' | 'Borrow' | 'Recreate';
  /** Pods beyond `replicas` that a rollout may have; Surge only. */
  readonly surge: number;
};

export type Split = { readonly stable: number; readonly candidate: number };
export type Fleet = {
  /** The number of pods when no rollout is in progress. */
  readonly replicas: number;
  readonly capacity: RolloutCapacity;
  /**
   * True: a route makes exact shares that do not depend on the numbers of pods. If absent, each pod gets the same share
   * of the traffic.
   */
  readonly isByWeight?: boolean;
};

/**
 * Splits the pods so that the loads per pod of both revisions are as equal as the capacity allows. The latency of a
 * batching server depends on its load, so the judge does not compare latencies under unequal loads.
 *
 * With a route, a candidate has two pods from the start if the limit allows it. With one pod, a slow node looks the
 * same as a slow revision (operator/analysis/pod-spread.ts).
 *
 * @param weight percent of the candidate, 0 to 100; at 0 percent a candidate has one pod
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

/**
 * The minimum number of pods of a candidate at this weight, even if its share needs fewer: two with a route and room
 * for two surge pods, otherwise one.
 */
function fewestOf(weight: number, { capacity: { mode, surge }, isByWeight = false }: Fleet): number {
  return isByWeight && weight > 0 && mode === 'Surge' && surge > 1 ? 2 : 1;
}

/**
 * Pods for a share of the traffic. Weights are whole percents, so one pod of three must carry 34 % as well as 33 %. An
 * excess of up to one percent of the traffic does not need another pod, if one percent is less than a pod carries.
 */
function podsFor(percent: number, replicas: number): number {
  return Math.max(0, Math.ceil((replicas * percent) / 100 - Math.min(1, replicas / 100) + 1e-9));
}

/**
 * The maximum number of pods for the candidate while stable still has traffic. Under Borrow with one replica, stable
 * would have no pod left, so the candidate gets an additional pod.
 */
function mostBeside(replicas: number, { mode }: RolloutCapacity): number {
  return mode === 'Borrow' ? Math.max(1, replicas - 1) : replicas;
}

function stableBeside(candidate: number, { replicas, capacity: { mode, surge } }: Fleet): number {
  return mode === 'Borrow' ? Math.max(1, replicas - candidate) : Math.min(replicas, replicas + surge - candidate);
}

/**
 * The minimum number of pods for stable. Under Borrow it is lower by `lentAhead`, the number of pods that stable lends
 * early for the next percent.
 */
function leastStable(weight: number, { replicas, capacity: { mode } }: Fleet): number {
  const needed = podsFor(100 - weight, replicas);
  return Math.max(1, mode === 'Borrow' ? needed - lentAhead(replicas) : needed);
}

/**
 * The number of pods for one percent of the traffic, which is the smallest change of a weight. It is one pod for up to
 * a hundred replicas.
 */
export function lentAhead(replicas: number): number {
  return Math.max(1, Math.ceil(replicas / 100));
}

/**
 * |ln| of the ratio of the two revisions' loads per pod; 0 is equal.
 *
 * If the candidate's pods carry so much more load that the judge does not compare latencies, the candidate's latency
 * gates cannot fail (operator/analysis/judge.ts). Such a split ranks after every split in which the candidate's pods
 * carry less load.
 */
function imbalance({ stable, candidate }: Split, weight: number): number {
  if (weight === 0) return candidate;
  const ln = Math.log((weight / candidate) * (stable / (100 - weight)));
  return ln > comparableLn ? worseThanAnyLess + ln : Math.abs(ln);
}

/**
 * If |ln| of the ratio of the two revisions' loads per pod is larger than this, the judge does not compare latencies
 * (operator/analysis/constants.ts, equalLoadLn).
 */
export const comparableLn = 0.3;
/**
 * Larger than any |ln| that occurs: with 99 % of the traffic on one pod and 1 % on a thousand pods, it is ln 99,000 =
 * 11.5.
 */
const worseThanAnyLess = 12;

/**
 * The split while the weight moves from `reached` to `asked`. Stable keeps the pods that it still needs. The candidate
 * gets the pods for `asked`, but only as many as the limit allows in addition to those of stable.
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
 * The weight that the candidate may get now, at least `reached`. It is `asked` once the candidate has enough pods, else
 * the weight that its ready pods can carry. Under Borrow, stable gives its last pods to the candidate only when stable
 * has no traffic, so the candidate needs only the other pods for 100 %.
 */
export function carriedWeight(reached: number, asked: number, ready: number, fleet: Fleet): number {
  const { replicas, capacity } = fleet;
  const whole = splitFor(asked, fleet).candidate;
  const enough = capacity.mode === 'Borrow' && asked >= 100 ? Math.max(1, replicas - lentAhead(replicas)) : whole;
  if (ready >= enough) return asked;
  return Math.max(reached, Math.min(asked, Math.floor((100 * ready) / Math.max(1, replicas))));
}
