/**
 * When a pod is asked again: by what it answered, and ever later while it does not answer.
 *
 * Pure.
 */
import type { Report } from '../../api/report.ts';
import { doubledMs } from '../../lib/retry.ts';

/** How often the pods of a model are asked: closely while a revision has to prove itself. */
export type PullPace = 'rollout' | 'rest';

export const paceMs = { rollout: 5_000, rest: 30_000 } as const satisfies Record<PullPace, number>;
/** How soon a ready pod is asked again while its golden run is under way in a rollout. */
const soonMs = 1_500;
/** How long a pod that says it is not ready is followed closely at rest. */
const closelyMs = 300_000;
/** The longest back-off of a ready pod whose model is in a rollout: its silence freezes the rollout. */
const rolloutBackoffMs = 30_000;
const restBackoffMs = 300_000;

export type PodPace = {
  readonly pace: PullPace;
  /** By its condition in the API. */
  readonly isReady: boolean;
  /** Pulls without an answer since the last answer or restart. */
  readonly misses: number;
  /** Since when it is watched or has restarted, in milliseconds. */
  readonly ageMs: number;
  /** What it answered last. */
  readonly report?: Pick<Report, 'ready' | 'golden'> | undefined;
};

/** Milliseconds until a pod is asked again. */
export function pauseMs({ pace, isReady, misses, ageMs, report }: PodPace): number {
  if (misses > 0)
    return doubledMs(
      { baseMs: paceMs.rollout, maxMs: pace === 'rollout' && isReady ? rolloutBackoffMs : restBackoffMs },
      misses,
    );
  // A pod that says it is not ready is about to say something new.
  if (report?.ready !== true) return ageMs < closelyMs ? paceMs.rollout : paceMs[pace];
  return pace === 'rollout' && isAnswering(report) ? soonMs : paceMs[pace];
}

/** Its golden run takes a second or two, and a rollout waits for nothing else. */
function isAnswering({ golden }: Pick<Report, 'golden'>): boolean {
  return golden?.state === 'Waiting' || golden?.state === 'Running';
}
