/**
 * How messages state a weight. The target and the actual share are two numbers; both are named when they differ.
 *
 * Pure.
 */
import type { Observation, Revision, RolloutPlan } from './state.ts';

/**
 * "34 % of the traffic" if the candidate gets its weight, else "target 5 %, actual 33 % of the traffic".
 *
 * @param weight the target in percent, 0 to 100
 */
export function shareWords(candidate: Revision, weight: number, { traffic }: Pick<Observation, 'traffic'>): string {
  if (traffic?.shares === undefined) return `target ${weight} %, actual share of the traffic unknown`;
  const actual = Math.round(traffic.shares[candidate] ?? 0);
  return actual === weight ? `${weight} % of the traffic` : `target ${weight} %, actual ${actual} % of the traffic`;
}

/** Describes a candidate in a shadow step, which has no weight. */
export const shadowWords = "it answers copies of stable's requests, and no user gets its answers";

/** "v1 serves"; for a revision without a ready pod, "v1 is stable and has no ready pod". */
export function servesWords(revision: Revision, { pods }: Pick<Observation, 'pods'>): string {
  return (pods[revision]?.ready ?? 0) > 0 ? `${revision} serves` : `${revision} is stable and has no ready pod`;
}

/** Why a revision is the target: the spec describes it, or a pin names it. */
export function wantedWords(revision: Revision, { pinRevision }: Pick<RolloutPlan, 'pinRevision'>): string {
  return pinRevision === revision ? `spec.rollout.pinRevision names ${revision}` : `the spec describes ${revision}`;
}

/** Whole seconds, as in "for 600 s". */
export function secondsWords(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
