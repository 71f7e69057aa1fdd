/**
 * Computes the status after a pass from the decision and the observed facts.
 *
 * Terms: A child is an object that the operator makes for a model. Gates judge a candidate under traffic. A record is
 * what the operator stores of a revision.
 * Owns: every field of `status`; no other code writes it. Values are rounded, so that a small change gives an equal
 * status and the caller can skip the write.
 * Pure.
 */
import { claimConditions, type Condition } from '../../api/conditions.ts';
import { labels } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import type { FailingPod, OnnxModelStatus, RevisionStatus } from '../../api/onnxmodel.ts';
import type { Report } from '../../api/report.ts';
import { cut } from '../../api/text.ts';
import { formatBytes } from '../../api/units.ts';
import { claimsOf } from './conditions.ts';
import { gatesOfOutcome, gatesShown } from '../gates/gate-status.ts';
import type { Shown } from '../gates/gatekeeper.ts';
import { writeState } from '../see/stored-state.ts';
import { isReady, type Pod } from '../../kube/kinds.ts';
import type { Reports, Seen, Settings } from '../see/seen.ts';
import { troubleOf } from '../see/pod-trouble.ts';
import { memoryPeakStep } from '../reports/kept-report.ts';
import { historyAfter } from './rollout-history.ts';
import { lastKnownOf } from '../rollout/last-words.ts';
import type { RevisionRecord } from '../resources/objects.ts';
import { stepsOf } from '../rollout/decisions.ts';
import { candidateOf, stableOf, type Decision, type Revision, type Trouble } from '../rollout/state.ts';

const failingPodsShown = 5;

export type ModelStatusInputs = {
  readonly seen: Seen;
  readonly decision: Decision;
  readonly reports: Reports;
  readonly settings: Settings;
  readonly failure?: Trouble;
  /** Fields of children that differ from the manifests and stay as they are, one sentence each. */
  readonly told?: readonly string[];
  /** The verdicts of the gates, refreshed at a limited rate. */
  readonly shown?: Shown;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

export function modelStatusOf(inputs: ModelStatusInputs): OnnxModelStatus {
  const { seen, decision, now } = inputs;
  const { model } = seen;
  const previous = model.status;
  const stable = stableOf(decision.next);
  const candidate = candidateOf(decision.next);
  const all = [...seen.pods.values()].flat();
  const message = cut(decision.message, 2000);
  const history = historyAfter(seen.memory, decision, {
    before: previous,
    now,
    ...gatesOfOutcome(seen.memory, inputs.shown, previous),
  });
  return {
    observedGeneration: model.metadata.generation,
    phase: 'heldAt' in decision.next ? 'Paused' : decision.next.phase,
    message,
    ...(seen.url === undefined ? {} : { address: { url: seen.url } }),
    replicas: all.length,
    readyReplicas: all.filter(isReady).length,
    ready: `${all.filter(isReady).length}/${wantedPods(inputs)}`,
    selector: `${labels.model}=${model.metadata.name}`,
    ...(stable === null
      ? {}
      : { stable: { ...revisionStatus(stable, inputs, previous?.stable), ...provenanceOf(stable, inputs) } }),
    ...(candidate === null ? {} : { candidate: revisionStatus(candidate, inputs, previous?.candidate) }),
    rollout: { ...writeState(decision), ...weights(inputs), ...gatesShown(decision.next, inputs.shown, previous) },
    ...(history.length === 0 ? {} : { history }),
    conditions: conditions(inputs, previous?.conditions ?? []),
  };
}

/**
 * The number of wanted pods of all revisions, but at least spec.replicas, because a new revision starts with one pod.
 */
function wantedPods({ seen: { plan }, decision: { run } }: ModelStatusInputs): number {
  return Math.max(
    plan.replicas,
    run.reduce((sum, { replicas }) => sum + replicas, 0),
  );
}

/** How the stable revision became stable: by this decision, or by an earlier decision that the status has recorded. */
function provenanceOf(
  stable: Revision,
  { seen: { model, rollout }, decision: { became } }: ModelStatusInputs,
): Pick<RevisionStatus, 'provenance'> {
  if (became?.revision === stable) return { provenance: became.provenance };
  return present({
    provenance:
      rollout.provenance?.[stable] ??
      lastKnownOf(model.status).provenance[stable] ??
      (model.status?.stable?.revision === stable ? 'Unrecorded' : undefined),
  });
}

/** The fields for the number of steps and for the candidate's actual weight (its share of the traffic). */
function weights({
  seen: { rollout, plan },
  decision: { next },
}: ModelStatusInputs): Pick<NonNullable<OnnxModelStatus['rollout']>, 'steps' | 'actualWeight'> {
  if (!('step' in next)) return {};
  const { shares } = rollout.traffic ?? {};
  return {
    steps: stepsOf(next.candidate, { seen: rollout, plan }).length,
    ...(shares === undefined ? {} : { actualWeight: Math.round(shares[next.candidate] ?? 0) }),
  };
}

function conditions(inputs: ModelStatusInputs, previous: readonly Condition[]): readonly Condition[] {
  const { seen, decision, reports, failure, told, now } = inputs;
  const revision = candidateOf(decision.next) ?? stableOf(decision.next);
  const claims = claimsOf({
    decision,
    seen: seen.rollout,
    plan: seen.plan,
    record: revision === null ? undefined : seen.records.get(revision),
    reports: reportsOf(revision === null ? [] : (seen.pods.get(revision) ?? []), reports),
    ...present({ failure, told }),
  });
  return claimConditions(previous, claims, { now, generation: seen.model.metadata.generation });
}

function revisionStatus(
  revision: Revision,
  inputs: ModelStatusInputs,
  previous: RevisionStatus | undefined,
): RevisionStatus {
  const pods = inputs.seen.pods.get(revision) ?? [];
  const reports = reportsOf(pods, inputs.reports);
  const record = inputs.seen.records.get(revision);
  const before = previous?.revision === revision ? previous : undefined;
  const made = record === undefined ? {} : madeOf(record, reports);
  return {
    revision,
    ...made,
    replicas: pods.length,
    ready: pods.filter(isReady).length,
    memory: { ...memoryOf(record), ...peak(reports, before) },
    ...failing(pods, before),
  };
}

/** What the first pod of a revision found in the model's files, and the provider that the revision's pods report. */
function madeOf(record: RevisionRecord, reports: readonly Report[]): Partial<RevisionStatus> {
  const { generation, spec, resolved } = record;
  const provider = reports.map(mainProvider).find((name) => name !== undefined) ?? resolved?.provider;
  return {
    generation,
    precision: resolved?.precision ?? spec.execution.precision,
    ...present({ digest: resolved?.served ?? resolved?.digest, sourceDigest: resolved?.digest, provider }),
  };
}

function memoryOf(record: RevisionRecord | undefined): { limit?: string; estimate?: string } {
  const estimateBytes = record?.resolved?.memoryEstimateBytes ?? 0;
  return present({
    limit: record?.spec.memory.limit,
    estimate: estimateBytes === 0 ? undefined : formatBytes(estimateBytes),
  });
}

function reportsOf(pods: readonly Pod[], reports: Reports): readonly Report[] {
  return pods
    .map((pod) => (pod.metadata.uid === undefined ? undefined : reports(pod.metadata.uid)))
    .filter((report) => report !== undefined);
}

function mainProvider(report: Report): string | undefined {
  return [...(report.providers?.actual ?? [])].sort((a, b) => b.nodes - a.nodes)[0]?.provider;
}

/** Keeps the previous peak while reports are missing. */
function peak(reports: readonly Report[], before: RevisionStatus | undefined): { peak?: string } {
  const steps = reports.map(memoryPeakStep).filter((step) => step !== undefined);
  if (steps.length === 0) return before?.memory?.peak === undefined ? {} : { peak: before.memory.peak };
  return { peak: formatBytes(Math.max(...steps)) };
}

/** Keeps the last messages of the pods of a failed candidate after the pods were deleted. */
function failing(pods: readonly Pod[], before: RevisionStatus | undefined): { pods?: readonly FailingPod[] } {
  if (pods.length === 0) return before?.pods === undefined ? {} : { pods: before.pods };
  const troubled = pods.map((pod) => ({ pod, trouble: troubleOf(pod) })).filter(({ trouble }) => trouble !== undefined);
  if (troubled.length === 0) return {};
  return {
    pods: troubled.slice(0, failingPodsShown).map(({ pod, trouble }) => ({
      name: pod.metadata.name,
      reason: trouble?.reason ?? '',
      lastWords: cut(trouble?.message ?? '', 1000),
    })),
  };
}
