/**
 * What the conditions say after a pass.
 *
 * Owns:  which facts feed which condition, with the same reasons as the decision. kstatus reads Ready,
 *        Reconciling and Stalled (present only while True, never both).
 * Pure.
 */
import type { Claim, ConditionStatus, ConditionType } from '../../api/conditions.ts';
import { isReasonOf, type DecisionReason, type Reason, type ReasonIn } from '../../api/reasons.ts';
import type { Report } from '../../api/report.ts';
import { plural } from '../../api/text.ts';
import type { RevisionRecord } from '../resources/objects.ts';
import { sharingOf } from '../rollout/sharing.ts';
import { routerOf } from '../traffic/router.ts';
import {
  candidateOf,
  stableOf,
  type Decision,
  type Observation,
  type RolloutPlan,
  type Trouble,
} from '../rollout/state.ts';

export type Facts = {
  readonly decision: Decision;
  readonly seen: Observation;
  readonly plan: RolloutPlan;
  /** The revision that conditions speak of: the candidate while there is one, else stable. */
  readonly record: RevisionRecord | undefined;
  readonly reports: readonly Report[];
  /** An object that could not be written in the pass before. */
  readonly failure?: Trouble;
  /** What in the children is not as wanted and stays, a sentence each. */
  readonly told?: readonly string[];
};

export function claimsOf(facts: Facts): readonly Claim<Reason>[] {
  const speakers = [
    ready,
    reconciling,
    stalled,
    available,
    paused,
    artifactReady,
    modelLoaded,
    providersActive,
    routeReady,
    childrenModified,
  ];
  return speakers.map((speak) => speak(facts)).filter((claim) => claim !== undefined);
}

/** The spec as it is now is the one that serves, with all its pods. */
function isServedInFull(facts: Facts): boolean {
  const { decision, seen, plan, failure } = facts;
  const { phase } = decision.next;
  if (plan.pinRevision !== undefined) return false;
  return (
    (phase === 'Stable' || phase === 'Settling') &&
    seen.target === stableOf(decision.next) &&
    failure === undefined &&
    isFullyReady(facts)
  );
}

function ready(facts: Facts): Claim<Reason> {
  const { reason, message } = troubleOrDecision(facts);
  return claim('Ready', isServedInFull(facts) ? 'True' : 'False', reason, message);
}

function isFullyReady({ decision, seen, plan }: Facts): boolean {
  const stable = stableOf(decision.next);
  return stable !== null && (seen.pods[stable]?.ready ?? 0) >= plan.replicas;
}

/** Draining alone is not "in progress" for a waiter: the spec is served in full. */
function reconciling(facts: Facts): Claim<Reason> | undefined {
  if (isStalled(facts) || isServedInFull(facts)) return undefined;
  const { reason, message } = troubleOrDecision(facts);
  return claim('Reconciling', 'True', reason, message);
}

function stalled(facts: Facts): Claim<Reason> | undefined {
  if (!isStalled(facts)) return undefined;
  const { reason, message } = troubleOrDecision(facts);
  return claim('Stalled', 'True', reason, message);
}

function isStalled({ decision, failure }: Facts): boolean {
  return decision.next.phase === 'Failed' || (failure?.fatal ?? false);
}

function troubleOrDecision({ decision, failure }: Facts): Told<DecisionReason> {
  if (failure === undefined || decision.next.phase === 'Failed') return decision;
  return failure;
}

function available(facts: Facts): Claim<Reason> {
  const {
    decision: { serve },
    seen,
  } = facts;
  const pods = serve === null ? 0 : (seen.pods[serve]?.ready ?? 0);
  if (serve === null || pods === 0)
    return claim(
      'Available',
      'False',
      'NoReadyPods',
      serve === null ? 'no revision exists yet' : `no pod of ${serve} is ready`,
    );
  const problem = routerOf(facts.plan).outage(seen.traffic);
  if (problem !== undefined)
    return claim(
      'Available',
      'False',
      'NotSelected',
      `${plural(pods, 'ready pod')} of ${serve} cannot be reached: ${problem}`,
    );
  return claim('Available', 'True', 'Serving', `${serve} serves with ${plural(pods, 'ready pod')}`);
}

/** A pause is expected, and no fault: Reconciling stays. */
function paused({ decision }: Facts): Claim<Reason> | undefined {
  const { next, reason, message } = decision;
  return next.phase === 'Paused' || 'heldAt' in next ? claim('Paused', 'True', reason, message) : undefined;
}

function artifactReady({ decision, seen, record }: Facts): Claim<Reason> {
  const trouble = artifactTrouble(decision, seen);
  if (record?.resolved !== undefined) {
    const { digest, served = digest, leftOut } = record.resolved;
    const without =
      leftOut === undefined ? '' : `; its answers do not have the outputs ${leftOut}, which are not tensors`;
    return claim('ArtifactReady', 'True', 'Resolved', `${record.revision} serves ${served}${without}`);
  }
  return trouble === undefined
    ? claim('ArtifactReady', 'Unknown', 'Preparing', 'no pod has fetched and checked the model yet')
    : claim('ArtifactReady', 'False', trouble.reason, trouble.message);
}

type Told<R> = { readonly reason: R; readonly message: string };

function artifactTrouble(decision: Decision, seen: Observation): Told<ReasonIn<'ArtifactReady'>> | undefined {
  const { next } = decision;
  const cause = next.phase === 'Failed' ? { reason: next.cause, message: next.detail } : undefined;
  if (cause !== undefined && isAboutArtifact(cause)) return cause;
  const revision = candidateOf(next) ?? stableOf(next);
  const trouble = revision === null ? undefined : seen.pods[revision]?.trouble;
  return trouble !== undefined && isAboutArtifact(trouble) ? trouble : undefined;
}

function isAboutArtifact(told: Told<string>): told is Told<ReasonIn<'ArtifactReady'>> {
  return isReasonOf('ArtifactReady', told.reason);
}

function modelLoaded({ decision, seen, record }: Facts): Claim<Reason> {
  const revision = record?.revision ?? '';
  if ((seen.pods[revision]?.ready ?? 0) > 0)
    return claim('ModelLoaded', 'True', 'Warm', `${revision} is loaded and warmed${passedChecks(seen, revision)}`);
  if (decision.next.phase === 'Failed') return claim('ModelLoaded', 'False', decision.next.cause, decision.next.detail);
  return claim('ModelLoaded', 'Unknown', 'NotReady', `no pod of ${revision} is ready yet`);
}

/** What a candidate has shown before its traffic. */
function passedChecks(seen: Observation, revision: string): string {
  const checks = seen.pods[revision]?.checks;
  return checks?.verdict === 'Pass' ? `; ${checks.message}` : '';
}

/** The provider that pods say they run on, against the first that was asked for. */
function providersActive({ record, reports }: Facts): Claim<Reason> {
  const wanted = record?.spec.execution.providers[0]?.name;
  const actual = reports.flatMap((report) => report.providers?.actual ?? []);
  const known = actual.length > 0 ? actual.map((use) => use.provider) : provenBy(record);
  const others = [...new Set(known.filter((provider) => provider !== wanted))];
  if (wanted === undefined || known.length === 0)
    return claim('ProvidersActive', 'Unknown', 'NotReported', 'no pod has said which execution provider it uses');
  if (others.length === 0) return claim('ProvidersActive', 'True', 'AsAsked', `${wanted} runs the whole graph`);
  return claim('ProvidersActive', 'False', 'Fallback', `${wanted} was asked for, ${others.join(' and ')} is used too`);
}

/** Without a report only this is known: under Forbid `prepare` has refused a graph that needs another provider. */
function provenBy(record: RevisionRecord | undefined): readonly string[] {
  return record?.resolved !== undefined && record.spec.execution.fallbackPolicy === 'Forbid'
    ? [record.resolved.provider]
    : [];
}

/** Whoever is to get traffic gets it, and a route has taken the very weights. */
function routeReady({ decision, seen, plan }: Facts): Claim<Reason> {
  const { shares, reason, problem } = seen.traffic ?? {};
  if (shares === undefined)
    return claim('RouteReady', 'False', reason ?? 'RouteMoving', problem ?? 'there is no entry Service yet');
  const now = Object.entries(shares)
    .map(([revision, share]) => `${revision} ${Math.round(share)}%`)
    .join(', ');
  if (!isAsDecided(shares, decision, plan))
    return claim('RouteReady', 'False', 'RouteMoving', `traffic is on its way; now: ${now}`);
  return claim(
    'RouteReady',
    'True',
    decision.canary === undefined ? 'Selected' : 'Shared',
    `${routerOf(plan).subject} gives ${now}`,
  );
}

function isAsDecided(
  shares: Readonly<Record<string, number>>,
  { serve, canary }: Decision,
  plan: RolloutPlan,
): boolean {
  if (canary === undefined) return serve !== null && shares[serve] === 100;
  return sharingOf(plan).isNear(shares[canary.revision] ?? 0, canary.weight);
}

/** Others' containers, variables, volumes, ports and files stay; whoever wonders about a pod has to know of them. */
function childrenModified({ told = [] }: Facts): Claim<Reason> | undefined {
  if (told.length === 0) return undefined;
  return claim(
    'ChildrenModified',
    'True',
    'ForeignFields',
    `not as the operator wants it, and left so: ${told.join('; ')}`,
  );
}

/** A word that the table does not give the condition does not compile. */
function claim<T extends ConditionType>(
  type: T,
  status: ConditionStatus,
  reason: ReasonIn<T>,
  message: string,
): Claim<Reason> {
  return { type, status, reason, message };
}
