/**
 * How a weight is told: what is asked for and what is there are two numbers, and are named so where they differ.
 *
 * Pure.
 */
import type { Observation, Revision, RolloutPlan } from './state.ts';

/**
 * "34 % of the traffic" where the candidate gets what it is to get, else "target 5 %, actual 33 % of the traffic".
 *
 * @param weight percent that is asked for, 0 to 100
 */
export function shareWords(candidate: Revision, weight: number, { traffic }: Pick<Observation, 'traffic'>): string {
  if (traffic?.shares === undefined) return `target ${weight} %, actual share of the traffic unknown`;
  const actual = Math.round(traffic.shares[candidate] ?? 0);
  return actual === weight ? `${weight} % of the traffic` : `target ${weight} %, actual ${actual} % of the traffic`;
}

/** What a candidate without any weight has in a shadow step. */
export const shadowWords = "it answers copies of stable's requests, and no user";

/** "a serves", or that it is stable without a pod that could. */
export function servesWords(revision: Revision, { pods }: Pick<Observation, 'pods'>): string {
  return (pods[revision]?.ready ?? 0) > 0 ? `${revision} serves` : `${revision} is stable and has no ready pod`;
}

/** Why a revision is wanted: the spec is its, or a pin names it whatever the spec says. */
export function wantedWords(revision: Revision, { pinRevision }: Pick<RolloutPlan, 'pinRevision'>): string {
  return pinRevision === revision ? `spec.rollout.pinRevision names ${revision}` : `the spec is that of ${revision}`;
}

/** Whole seconds, as in "for 600 s". */
export function secondsWords(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
