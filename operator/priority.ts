/**
 * Decides how urgent a pass of a model is, by the model's stored status and by the event that caused the pass.
 *
 * Terms: A pass observes, decides and writes for one model. A report is what the operator reads from a pod: counts in
 * blocks of 20 seconds, with the change number `seq`, and facts such as memory.
 * Owns: the priority of each source of work. A rollback comes before a promotion, and a promotion comes before
 * housekeeping, such as resyncs, the status of models at rest, and the deletion of old revisions.
 * Limits: whether a report fails a gate is known only after the pass. A report counts as urgent when it has failed
 * requests or disagreements. A report that shows only a higher latency leaves the model at the priority of a promotion.
 * Pure.
 */
import type { OnnxModel } from '../api/onnxmodel.ts';
import { countsAgainstRevision } from '../api/outcomes.ts';
import type { BlockCount, Report } from '../api/report.ts';
import type { Change } from '../kube/cache/cache.ts';
import type { Priority } from '../kube/controller/fair-queue.ts';
import { isReady, type Pod } from '../kube/kinds.ts';
import { gatheringMs } from './reports/pace.ts';

type Rollout = NonNullable<NonNullable<OnnxModel['status']>['rollout']>;

/** Phases in which two revisions may share the traffic. */
const sharing: ReadonlySet<string | undefined> = new Set(['Shifting', 'Analyzing', 'Paused', 'Promoting', 'Aborting']);
/** Phases in which passes only maintain the current state. Passes of a model with zero replicas do the same. */
const resting: ReadonlySet<string | undefined> = new Set(['Stable', 'Failed', 'Settling']);

/** @param model the model in the cache; undefined when the model was deleted */
export function modelPriority(model: OnnxModel | undefined): Priority {
  if (model === undefined) return 'low';
  const { rollout } = model.status ?? {};
  if (rollout?.phase === 'Aborting' || hasLostPods(rollout)) return 'urgent';
  // While revisions share the traffic, a changed spec is urgent: it may abort the rollout.
  if (isNewSpec(model)) return isSharing(model) ? 'urgent' : 'normal';
  return isAtRest(model) ? 'low' : 'normal';
}

/**
 * The priority of a pass for a change of a pod. It is urgent when a pod lost its readiness while revisions share the
 * traffic, because it may be the candidate's last ready pod.
 */
export function podPriority(change: Change<Pod>, model: OnnxModel | undefined): Priority {
  const wasReady = 'before' in change && isReady(change.before);
  const isLost = wasReady && !('now' in change && isReady(change.now));
  return isLost && isSharing(model) ? 'urgent' : 'low';
}

/**
 * The minimum priority of the pass after a report: urgent if the candidate has new failures or disagreements.
 * @param afterSeq the highest `seq` of the blocks in earlier reports; only blocks with a higher `seq` are new
 */
export function reportPriority({ revision, blocks }: Report, model: OnnxModel | undefined, afterSeq: number): Priority {
  const isOfCandidate = isSharing(model) && model?.status?.candidate?.revision === revision;
  if (!isOfCandidate || blocks === undefined) return 'low';
  return blocks.counts.some((block) => block.seq > afterSeq && isBad(block)) ? 'urgent' : 'low';
}

function isBad({ traffic }: BlockCount): boolean {
  return traffic.some(
    ({ errors, disagreed }) =>
      (disagreed ?? 0) > 0 || Object.entries(errors).some(([kind, count]) => count > 0 && countsAgainstRevision(kind)),
  );
}

/**
 * Milliseconds from a report to its pass. While a rollout shares traffic, one pass judges the reports of all pods
 * (`gatheringMs`), because evidence is counted in blocks of 20 s.
 * @param at.firstPullMs when the first pod of the model was first pulled; monotonic milliseconds, as `nowMs`
 * @param at.isUrgent the report has failures of the candidate, or facts that the status shows
 */
export function reportDelayMs(
  model: OnnxModel | undefined,
  at: { readonly firstPullMs: number; readonly nowMs: number; readonly isUrgent: boolean },
): number {
  return isSharing(model) ? gatheringMs(at.firstPullMs, at.nowMs, at.isUrgent) : 0;
}

function isAtRest({ spec, status }: OnnxModel): boolean {
  return spec.replicas === 0 || resting.has(status?.rollout?.phase);
}

function isSharing(model: OnnxModel | undefined): boolean {
  return sharing.has(model?.status?.rollout?.phase);
}

function isNewSpec({ metadata, status }: OnnxModel): boolean {
  return status?.observedGeneration !== metadata.generation;
}

function hasLostPods(rollout: Rollout | undefined): boolean {
  return rollout?.lostAt !== undefined || rollout?.stableLostAt !== undefined;
}
