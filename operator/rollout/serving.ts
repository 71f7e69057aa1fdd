/**
 * Who gets the traffic and who has how many pods, in a state and in view of the cluster.
 *
 * Owns:  the one place where traffic is shared out (`trafficFor`), so that no rule can give any to a revision
 *        without ready pods while another has some.
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

/** While somebody else writes the weights none is moved. */
export function isFought(state: CanaryState): boolean {
  return state.phase === 'Paused' && state.why === 'WeightConflict';
}

/** A pause of its own is no step; when it ends the weight is set anew, by the steps as they are then. */
export function isOffSteps(state: CanaryState): boolean {
  return state.phase === 'Paused' && (state.why === 'StableUnhealthy' || state.why === 'WeightConflict');
}

/**
 * An autoscaler may add pods during a rollout, not take any: verdicts would rest on another load. Room for both in full
 * stays that.
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
 * Percent that the candidate is to have at this moment. On its way to more that is what its ready pods carry; held,
 * what was reached.
 */
export function weightNow(state: CanaryState, { seen, plan }: Pick<At, 'seen' | 'plan'>): number {
  if (state.phase !== 'Shifting') return state.weight;
  if (state.heldAt !== undefined) return state.set;
  return carriedWeight(state.set, state.weight, podsOf(seen, state.candidate).ready, fleetOf(state, plan));
}

/** Who gets traffic when the candidate is to have `weight` percent of it. */
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
 * Until the first pod of a revision has said what it is made of, there is one: later ones are to serve the same bytes.
 */
export function withPods(revision: Revision, replicas: number, seen: Observation): Decision['run'][number] {
  const { resolved, ready } = podsOf(seen, revision);
  return { revision, replicas: resolved || ready > 0 ? replicas : Math.min(1, replicas) };
}

/**
 * Traffic and pods of a candidate that has its place among the steps. Stable's pods follow the share that it was seen
 * to have, never one that is only asked for: a route may be slow to take it.
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
  // Without a ready pod the candidate has no share.
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

/** Whether a candidate may have more of the traffic than it has reached: on its way up, or back. */
function mayHaveMore(candidate: Revision, reached: number, { seen, plan }: Pick<At, 'seen' | 'plan'>): boolean {
  const shares = seen.traffic?.shares;
  return shares === undefined || sharingOf(plan).isAbove(shares[candidate] ?? 0, reached);
}

/** Stable has no ready pod: the candidate gets what there is room for, and keeps what it has. */
function carryingAll({ stable, candidate }: Split, present: number, { replicas, capacity }: Fleet): Split {
  const room = capacity.mode === 'Borrow' ? replicas - stable : replicas + capacity.surge - stable;
  return { stable, candidate: Math.max(candidate, Math.min(replicas, Math.max(room, present))) };
}

/**
 * `stable` gets all the traffic. Until that has left the retiring one for sure it keeps the pods that it has, and after
 * that what the capacity allows.
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

/** Whether traffic is shared out as it is to be. */
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
