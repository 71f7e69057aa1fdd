/**
 * Makes the conditions of a model's status. Pure.
 *
 * Owns: the types, the rule for `lastTransitionTime`, and the order of conditions. claimConditions returns the previous
 *       array when no condition changed, so that a caller can compare with `===`. `Reconciling`, `Stalled`, `Paused`
 *       and `ChildrenModified` are present only while True; kstatus expects this of `Reconciling` and `Stalled`.
 */

import { cut } from './text.ts';

export const conditionTypes = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Available',
  'Paused',
  'ArtifactReady',
  'ModelLoaded',
  'ProvidersActive',
  'RouteReady',
  'ChildrenModified',
] as const;
export type ConditionType = (typeof conditionTypes)[number];
export type ConditionStatus = 'True' | 'False' | 'Unknown';

export type Condition = {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
};

/** A condition without `lastTransitionTime` and `observedGeneration`; claimConditions adds these two fields. */
export type Claim<R extends string = string> = {
  readonly type: ConditionType;
  readonly status: ConditionStatus;
  /** In the operator, one of the reasons in api/reasons.ts. */
  readonly reason: R;
  readonly message: string;
};

/** Maximum length of a message in characters; a longer one is cut and ends in "…". Kubernetes allows 32768. */
const messageLimit = 1024;

/**
 * Replaces all conditions by the claimed conditions. A condition whose type has no claim is removed.
 *
 * @param at.now milliseconds since the epoch
 */
export function claimConditions(
  previous: readonly Condition[],
  claims: readonly Claim[],
  at: { readonly now: number; readonly generation: number },
): readonly Condition[] {
  const next = claims
    .map((claim) => conditionOf(previous, claim, at))
    .sort((a, b) => orderOf(a.type) - orderOf(b.type));
  const same = next.length === previous.length && next.every((condition, i) => sameCondition(condition, previous[i]));
  return same ? previous : next;
}

function conditionOf(
  previous: readonly Condition[],
  claim: Claim,
  at: { readonly now: number; readonly generation: number },
): Condition {
  const before = previous.find((condition) => condition.type === claim.type);
  const message = cut(claim.message, messageLimit);
  return {
    ...claim,
    message,
    observedGeneration: at.generation,
    lastTransitionTime: before?.status === claim.status ? before.lastTransitionTime : toApiTime(at.now),
  };
}

function sameCondition(a: Condition, b: Condition | undefined): boolean {
  return (
    b !== undefined &&
    a.type === b.type &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}

function orderOf(type: string): number {
  const index = (conditionTypes as readonly string[]).indexOf(type);
  return index < 0 ? conditionTypes.length : index;
}

/** Rounds down to seconds, as the API server does, so that a written time equals the time that is read back. */
export function toApiTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
