/**
 * Computes when a pod's report is pulled (requested) next, and when the operator's pass for a model follows the
 * reports.
 *
 * Owns: the moments of a model. During a rollout all pods of a model are pulled at the same moments, every 5 s since
 * the first pull of the model, so that one pass judges all of them soon after.
 * Limits: the pause doubles with each pull that gets no answer, and such a pod leaves the moments until it answers.
 * Pure.
 */
import type { Report } from '../../api/report.ts';
import { doubledMs } from '../../lib/retry.ts';

/** How often the pods of a model are pulled: more often during a rollout. */
export type PullPace = 'rollout' | 'rest';

export const paceMs = { rollout: 5_000, rest: 30_000 } as const satisfies Record<PullPace, number>;
/** How long after a moment the pass begins. Pulls of a healthy pod take a few milliseconds. */
const gatherMs = 500;
/**
 * A pass that would only count more requests follows every second moment. Its evidence waits at most 5.5 s, which
 * leaves 4.5 s for the pass itself until two intervals of reports are over.
 */
const countsMs = 2 * paceMs.rollout;
/** The time until the next pull, during a rollout, of a ready pod that has to answer test inputs (isAnswering). */
const soonMs = 1_500;
/** At rest, a pod that is not ready is pulled at the pace of a rollout for this long. */
const closelyMs = 300_000;
/**
 * The longest back-off of a ready pod during a rollout. It is short, because the rollout makes no progress while
 * reports are missing.
 */
const rolloutBackoffMs = 30_000;
const restBackoffMs = 300_000;

export type PodPace = {
  readonly pace: PullPace;
  /** Whether the pod's condition Ready is True in the API. */
  readonly isReady: boolean;
  /** Number of pulls without an answer since the last answer or restart. */
  readonly misses: number;
  /** Milliseconds since the pod was first watched or last restarted. */
  readonly ageMs: number;
  /** The last report. */
  readonly report?: Pick<Report, 'ready' | 'golden'> | undefined;
};

/**
 * When the pod is pulled next: at a moment of its model if the pod reports regularly during a rollout, which is 2.5 to
 * 7.5 s later.
 * @param firstMs when the first pod of the model was first pulled; monotonic milliseconds, as `nowMs` and the result
 */
export function nextPullMs(firstMs: number, pod: PodPace, nowMs: number): number {
  const pause = pauseMs(pod);
  const isRegular = pod.pace === 'rollout' && pod.misses === 0 && pause === paceMs.rollout;
  return isRegular ? momentFrom(firstMs, nowMs + pause / 2, paceMs.rollout) : nowMs + pause;
}

/**
 * Milliseconds from a report during a rollout to the pass that judges it.
 * @param firstMs when the first pod of the model was first pulled; monotonic milliseconds, as `nowMs`
 * @param isUrgent the report has failures of the candidate, or facts that the status shows
 */
export function gatheringMs(firstMs: number, nowMs: number, isUrgent: boolean): number {
  if (isUrgent) return gatherMs;
  return momentFrom(firstMs, nowMs - gatherMs, countsMs) + gatherMs - nowMs;
}

/** The first time `firstMs + k * everyMs` that is not before `fromMs`. */
function momentFrom(firstMs: number, fromMs: number, everyMs: number): number {
  return firstMs + Math.ceil((fromMs - firstMs) / everyMs) * everyMs;
}

/** Milliseconds until the next pull of a pod whose pulls are not tied to the moments of its model. */
export function pauseMs({ pace, isReady, misses, ageMs, report }: PodPace): number {
  if (misses > 0)
    return doubledMs(
      { baseMs: paceMs.rollout, maxMs: pace === 'rollout' && isReady ? rolloutBackoffMs : restBackoffMs },
      misses,
    );
  // A pod that is not ready, or has not reported yet, is expected to change soon.
  if (report?.ready !== true) return ageMs < closelyMs ? paceMs.rollout : paceMs[pace];
  return pace === 'rollout' && isAnswering(report) ? soonMs : paceMs[pace];
}

/**
 * Whether a golden run waits or is in progress. In a golden run, the pod answers test inputs; it takes one or two
 * seconds, and the rollout waits for the result.
 */
function isAnswering({ golden }: Pick<Report, 'golden'>): boolean {
  return golden?.state === 'Waiting' || golden?.state === 'Running';
}
