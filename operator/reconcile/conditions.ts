/**
 * Computes the conditions after a pass.
 *
 * Terms: A claim is a condition as one pass asserts it, before its times are filled in. A share is the part of the
 * traffic that a revision gets. A record is what the operator stores of a revision: its spec, and what its first pod
 * found.
 * Owns: which facts determine which condition. The reasons come from the decision. kstatus reads Ready, Reconciling and
 * Stalled; Reconciling and Stalled exist only while True, and never at the same time.
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
  /** The record of the revision that the conditions describe: the candidate while one exists, otherwise stable. */
  readonly record: RevisionRecord | undefined;
  readonly reports: readonly Report[];
  /** The problem of an object that could not be written in the previous pass. */
  readonly failure?: Trouble;
  /** Fields of the operator's objects that differ from the manifests and stay as they are, one sentence each. */
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

/** True when the revision of the current spec serves and all its pods are ready. */
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

/**
 * The condition Reconciling. It is not set when only the pods of an old revision still have to drain: all pods of the
 * spec's revision serve, so `kubectl wait` does not have to wait.
 */
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
      serve === null ? 'no revision exists yet' : `no pod of revision ${serve} is ready`,
    );
  const problem = routerOf(facts.plan).outage(seen.traffic);
  if (problem !== undefined)
    return claim(
      'Available',
      'False',
      'NotSelected',
      `clients cannot reach the ${plural(pods, 'ready pod')} of revision ${serve}: ${problem}`,
    );
  return claim('Available', 'True', 'Serving', `revision ${serve} serves with ${plural(pods, 'ready pod')}`);
}

/** The condition Paused. A pause is not a failure, so Reconciling stays True during a pause. */
function paused({ decision }: Facts): Claim<Reason> | undefined {
  const { next, reason, message } = decision;
  return next.phase === 'Paused' || 'heldAt' in next ? claim('Paused', 'True', reason, message) : undefined;
}

function artifactReady({ decision, seen, record }: Facts): Claim<Reason> {
  const trouble = artifactTrouble(decision, seen);
  if (record?.resolved !== undefined) {
    const { digest, served = digest, leftOut } = record.resolved;
    const without =
      leftOut === undefined ? '' : `; outputs left out of answers because they are not tensors: ${leftOut}`;
    return claim('ArtifactReady', 'True', 'Resolved', `revision ${record.revision} serves ${served}${without}`);
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
    return claim(
      'ModelLoaded',
      'True',
      'Warm',
      `revision ${revision} is loaded and warmed up${passedChecks(seen, revision)}`,
    );
  if (decision.next.phase === 'Failed') return claim('ModelLoaded', 'False', decision.next.cause, decision.next.detail);
  return claim('ModelLoaded', 'Unknown', 'NotReady', `no pod of revision ${revision} is ready yet`);
}

/** The result of the checks that a candidate passed before it got traffic. */
function passedChecks(seen: Observation, revision: string): string {
  const checks = seen.pods[revision]?.checks;
  return checks?.verdict === 'Pass' ? `; ${checks.message}` : '';
}

/** The condition ProvidersActive: whether the pods report the execution provider that is first in the spec. */
function providersActive({ record, reports }: Facts): Claim<Reason> {
  const wanted = record?.spec.execution.providers[0]?.name;
  const actual = reports.flatMap((report) => report.providers?.actual ?? []);
  const known = actual.length > 0 ? actual.map((use) => use.provider) : provenBy(record);
  const others = [...new Set(known.filter((provider) => provider !== wanted))];
  if (wanted === undefined || known.length === 0)
    return claim('ProvidersActive', 'Unknown', 'NotReported', 'no pod has reported which execution provider it uses');
  if (others.length === 0) return claim('ProvidersActive', 'True', 'AsAsked', `${wanted} runs the whole graph`);
  return claim(
    'ProvidersActive',
    'False',
    'Fallback',
    `part of the graph runs on ${others.join(' and ')} instead of ${wanted}`,
  );
}

/**
 * The providers that are known without a report. They are known only with fallbackPolicy Forbid, because `prepare` then
 * refuses a graph that needs another provider.
 */
function provenBy(record: RevisionRecord | undefined): readonly string[] {
  return record?.resolved !== undefined && record.spec.execution.fallbackPolicy === 'Forbid'
    ? [record.resolved.provider]
    : [];
}

/**
 * The condition RouteReady. It is True when the observed shares match the decision. With router Service, every share of
 * the candidate above 0 matches its weight (rollout/sharing.ts, isNear).
 */
function routeReady({ decision, seen, plan }: Facts): Claim<Reason> {
  const { shares, reason, problem } = seen.traffic ?? {};
  if (shares === undefined)
    return claim('RouteReady', 'False', reason ?? 'RouteMoving', problem ?? 'the entry Service does not exist yet');
  const now = Object.entries(shares)
    .map(([revision, share]) => `${Math.round(share)}% to ${revision}`)
    .join(', ');
  if (!isAsDecided(shares, decision, plan))
    return claim('RouteReady', 'False', 'RouteMoving', `traffic is moving to the decided shares; currently: ${now}`);
  return claim(
    'RouteReady',
    'True',
    decision.canary === undefined ? 'Selected' : 'Shared',
    `${routerOf(plan).subject} sends ${now}`,
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

/**
 * Reports fields of children that other writers, the API server or a webhook have set, because these fields can explain
 * the behaviour of a pod.
 */
function childrenModified({ told = [] }: Facts): Claim<Reason> | undefined {
  if (told.length === 0) return undefined;
  return claim(
    'ChildrenModified',
    'True',
    'ForeignFields',
    `these fields differ from the operator's manifests and are left unchanged: ${told.join('; ')}`,
  );
}

/** The compiler refuses a reason that api/reasons.ts does not list for the condition. */
function claim<T extends ConditionType>(
  type: T,
  status: ConditionStatus,
  reason: ReasonIn<T>,
  message: string,
): Claim<Reason> {
  return { type, status, reason, message };
}
