/**
 * Computes when a container that ended may start again.
 * Owns: the kubelet's wait, which doubles. The first restart is immediate. Later restarts come 10 s, 20 s … 5 min after
 * the end of the previous run. The wait is reset when a run lasted more than twice the longest wait (10 min).
 * Pure: times are passed in as milliseconds since the epoch.
 */

export type BackoffLimits = { readonly baseMs: number; readonly maxMs: number };

export const kubeletBackoff: BackoffLimits = { baseMs: 10_000, maxMs: 300_000 };

/**
 * The back-off of a container. `waitMs` is the wait after the next end of the container. `settledMs` is the time at
 * which this wait was set: the start of the current run.
 */
export type BackoffEntry = { readonly waitMs: number; readonly settledMs: number };

/**
 * @param endedMs when the last run ended
 * @returns when the next run may begin; `waitMs` is 0 when the run may begin at once
 */
export function nextStart(
  entry: BackoffEntry | undefined,
  endedMs: number,
  limits: BackoffLimits,
): { readonly atMs: number; readonly waitMs: number } {
  if (entry === undefined || isOver(entry, endedMs, limits)) return { atMs: endedMs, waitMs: 0 };
  return { atMs: endedMs + entry.waitMs, waitMs: entry.waitMs };
}

/** The back-off after a run has begun. @param endedMs when the previous run ended */
export function afterRestart(
  entry: BackoffEntry | undefined,
  endedMs: number,
  nowMs: number,
  limits: BackoffLimits,
): BackoffEntry {
  const fresh = entry === undefined || isOver(entry, endedMs, limits);
  return { waitMs: fresh ? limits.baseMs : Math.min(entry.waitMs * 2, limits.maxMs), settledMs: nowMs };
}

function isOver(entry: BackoffEntry, endedMs: number, limits: BackoffLimits): boolean {
  return endedMs - entry.settledMs > 2 * limits.maxMs;
}

/** A wait as Go prints a duration of whole seconds: 10s, 2m40s, 5m0s. */
export function formatWait(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)}ms`;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
