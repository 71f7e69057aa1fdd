/**
 * When a container that ended may start again, and when a missing image is looked up again.
 * Owns: the kubelet's doubling wait: the first restart is immediate, then 10 s, 20 s … 5 min after the end of the
 * previous run. A run or pause of twice the longest wait resets it.
 * Pure: times are passed in as milliseconds since the epoch.
 */

export type BackoffLimits = { readonly baseMs: number; readonly maxMs: number };

export const kubeletBackoff: BackoffLimits = { baseMs: 10_000, maxMs: 300_000 };

/** `waitMs`: the wait after the container's next end. `settledMs`: the time at which this wait was set. */
export type BackoffEntry = { readonly waitMs: number; readonly settledMs: number };

/**
 * @param endedMs when the last run ended
 * @returns when the next run may begin; `waitMs` is 0 when it may begin at once
 */
export function nextStart(
  entry: BackoffEntry | undefined,
  endedMs: number,
  limits: BackoffLimits,
): { readonly atMs: number; readonly waitMs: number } {
  if (entry === undefined || isOver(entry, endedMs, limits)) return { atMs: endedMs, waitMs: 0 };
  return { atMs: endedMs + entry.waitMs, waitMs: entry.waitMs };
}

/** The state after a run begins. The run before it ended at `endedMs`. */
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

/** As Go prints a duration of whole seconds: 10s, 2m40s, 5m0s. */
export function formatWait(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)}ms`;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
