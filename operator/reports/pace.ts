/**
 * Computes the time until the next pull (request) of a pod's report. The time doubles with each pull that gets no
 * answer.
 * Pure.
 */
import type { Report } from '../../api/report.ts';
import { doubledMs } from '../../lib/retry.ts';

/** How often the pods of a model are pulled: more often during a rollout. */
export type PullPace = 'rollout' | 'rest';

export const paceMs = { rollout: 5_000, rest: 30_000 } as const satisfies Record<PullPace, number>;
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

/** Milliseconds until the next pull. */
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
