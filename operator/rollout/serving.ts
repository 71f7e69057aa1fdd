/**
 * Computes the traffic and the numbers of pods from a state and the observed cluster.
 *
 * Terms: The weight is the candidate's share of the traffic in percent. The surge is the number of additional pods that
 * a rollout may have.
 * Owns: `trafficFor`, which shares the traffic between stable and a candidate. It never gives traffic to a revision
 * without ready pods while the other revision has ready pods.
 * Pure.
 */
import { ownValue } from '../../api/record.ts';
import { carriedWeight, splitBetween, type Fleet, type Split } from './replicas.ts';
import { sharingOf } from './sharing.ts';
import type { At, CanaryState, Decision, Observation, Revision, RevisionPods, RolloutPlan } from './state.ts';

export type TrafficAndPods = Pick<Decision, 'serve' | 'canary' | 'run'>;

const nothing: RevisionPods = { ready: 0, present: 0, deployed: false, resolved: false };

export function podsOf(seen: Observation, revision: Revision): RevisionPods {
  return ownValue(seen.pods, revision) ?? nothing;
}

/**
 * Whether the rollout is paused because another client writes the weights. During this pause, the operator does not
 * move the weights.
 */
export function isFought(state: CanaryState): boolean {
  return state.phase === 'Paused' && state.why === 'WeightConflict';
}

/**
 * Whether the rollout is in a pause that does not belong to a step. After such a pause, the weight moves to its target
 * again.
 */
export function isOffSteps(state: CanaryState): boolean {
  return state.phase === 'Paused' && (state.why === 'StableUnhealthy' || state.why === 'WeightConflict');
}

/**
 * During a rollout an autoscaler may add pods but not remove any: otherwise the verdicts would compare different loads.
 * If the surge covers all replicas of the plan, it is raised to the higher number of replicas, too.
 */
export function fleetOf({ floor }: { readonly floor: number }, plan: RolloutPlan): Fleet {
  const { replicas, capacity } = plan;
  const whole = Math.max(replicas, floor);
  return {
    replicas: whole,
    isByWeight: sharingOf(plan).isByWeight,
    capacity: capacity.surge < replicas ? capacity : { ...capacity, surge: Math.max(capacity.surge, whole) },
  };
}

/**
 * The candidate's weight now, in percent. While the weight moves, it is the weight that the ready pods can carry. While
 * spec.rollout.paused holds the rollout, it is the weight that was reached.
 */
export function weightNow(state: CanaryState, { seen, plan }: Pick<At, 'seen' | 'plan'>): number {
  if (state.phase !== 'Shifting') return state.weight;
  if (state.heldAt !== undefined) return state.set;
  return carriedWeight(state.set, state.weight, podsOf(seen, state.candidate).ready, fleetOf(state, plan));
}

/** The traffic when the candidate has a weight of `weight` percent. */
export function trafficFor(
  { stable, candidate }: { readonly stable: Revision; readonly candidate: Revision },
  weight: number,
  seen: Observation,
): Omit<TrafficAndPods, 'run'> {
  if (podsOf(seen, candidate).ready === 0) return { serve: stable };
  if (podsOf(seen, stable).ready === 0 || weight >= 100) return { serve: candidate };
  return weight <= 0 ? { serve: stable } : { serve: stable, canary: { revision: candidate, weight } };
}

/**
 * Allows one pod until the first pod of a revision has reported its digests, so that later pods serve the same bytes.
 */
export function withPods(revision: Revision, replicas: number, seen: Observation): Decision['run'][number] {
  const { resolved, ready } = podsOf(seen, revision);
  return { revision, replicas: resolved || ready > 0 ? replicas : Math.min(1, replicas) };
}

/**
 * Traffic and pods while a candidate goes through its steps. The number of stable's pods follows the weight that the
 * traffic has reached, not the target, because a route may take time to apply a weight.
 */
export function servingBoth(state: CanaryState, at: Pick<At, 'seen' | 'plan'>): TrafficAndPods {
  const { stable, candidate } = state;
  const split = splitNow(state, at);
  return {
    ...trafficFor(state, weightNow(state, at), at.seen),
    run: [withPods(stable, split.stable, at.seen), withPods(candidate, split.candidate, at.seen)],
  };
}

function splitNow(state: CanaryState, at: Pick<At, 'seen' | 'plan'>): Split {
  const fleet = fleetOf(state, at.plan);
  const { ready, present } = podsOf(at.seen, state.candidate);
  // Without a ready pod the candidate has no traffic, so its reached weight is 0.
  if (ready === 0) return splitBetween(0, state.weight, fleet);
  const reached = state.phase === 'Shifting' ? state.set : state.weight;
  if (podsOf(at.seen, state.stable).ready === 0)
    return carryingAll(splitBetween(reached, state.weight, fleet), present, fleet);
  const { stable, candidate } = splitBetween(reached, state.weight, fleet);
  return {
    stable,
    candidate: mayHaveMore(state.candidate, reached, at)
      ? Math.max(candidate, Math.min(fleet.replicas, present))
      : candidate,
  };
}

/**
 * Whether the candidate's share of the traffic may be above the weight that it has reached: the share is larger, or it
 * is unknown.
 */
function mayHaveMore(candidate: Revision, reached: number, { seen, plan }: Pick<At, 'seen' | 'plan'>): boolean {
  const shares = seen.traffic?.shares;
  return shares === undefined || sharingOf(plan).isAbove(shares[candidate] ?? 0, reached);
}

/** While stable has no ready pod, the candidate keeps its pods and gets as many more as the limit allows. */
function carryingAll({ stable, candidate }: Split, present: number, { replicas, capacity }: Fleet): Split {
  const room = capacity.mode === 'Borrow' ? replicas - stable : replicas + capacity.surge - stable;
  return { stable, candidate: Math.max(candidate, Math.min(replicas, Math.max(room, present))) };
}

/**
 * `stable` gets all the traffic. The retiring revision (the old stable one) keeps all its pods until the traffic has
 * left it. After that, it keeps as many pods as the capacity allows.
 */
export function servingOne(
  stable: Revision,
  retiring: { readonly revision: Revision | null; readonly isDrained: boolean },
  { seen, plan }: Pick<At, 'seen' | 'plan'>,
): TrafficAndPods {
  const { replicas, capacity } = plan;
  if (retiring.revision === null) return { serve: stable, run: [withPods(stable, replicas, seen)] };
  const allowed = capacity.mode === 'Surge' ? Math.min(replicas, capacity.surge) : 0;
  const kept = retiring.isDrained
    ? allowed
    : Math.max(allowed, Math.min(replicas, podsOf(seen, retiring.revision).present));
  const own =
    capacity.mode === 'Borrow'
      ? Math.min(replicas, Math.max(1, replicas - kept, podsOf(seen, stable).present))
      : replicas;
  return { serve: stable, run: [withPods(stable, own, seen), withPods(retiring.revision, kept, seen)] };
}

/** Whether the traffic is shared as `trafficFor` decides for this weight. */
export function hasTaken(
  state: Pick<CanaryState, 'stable' | 'candidate'>,
  weight: number,
  { seen, plan }: Pick<At, 'seen' | 'plan'>,
): boolean {
  const shares = seen.traffic?.shares;
  if (shares === undefined) return weight === 0;
  const share = shares[state.candidate] ?? 0;
  const { serve, canary } = trafficFor(state, weight, seen);
  if (canary === undefined) return Math.abs(share - (serve === state.candidate ? 100 : 0)) < 0.5;
  const ready = { candidate: podsOf(seen, state.candidate).ready, stable: podsOf(seen, state.stable).ready };
  return sharingOf(plan).isTaken({ share, weight: canary.weight, ready });
}
