/**
 * Counts the results of a probe until a threshold is reached.
 * Owns: thresholds and timing of startup, readiness and liveness probes.
 * Pure: prober.ts runs the probes and keeps the time.
 */
import type { Probe } from './pod.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

/**
 * The state after the latest results. `passing` is true at first for a liveness probe, and false at first for other
 * probes. It changes when a threshold is reached.
 */
export type ProbeState = { readonly passing: boolean; readonly successes: number; readonly failures: number };

export function initialProbeState(kind: ProbeKind): ProbeState {
  return { passing: kind === 'liveness', successes: 0, failures: 0 };
}

export type ProbeTiming = {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
};

/**
 * The timing of a probe, with the API's defaults for absent fields. Startup and liveness probes pass at their first
 * success.
 */
export function timingOf(kind: ProbeKind, probe: Probe): ProbeTiming {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
    timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
    successThreshold: kind === 'readiness' ? Math.max(1, probe.successThreshold ?? 1) : 1,
    failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
  };
}

/**
 * Adds one result.
 *
 * @returns the next state. `gaveUp` means that a startup or liveness probe reached its failure threshold, so the
 * container must be stopped; the count of failures then starts at 0
 */
export function countAnswer(
  kind: ProbeKind,
  state: ProbeState,
  passed: boolean,
  timing: ProbeTiming,
): ProbeState & { readonly gaveUp: boolean } {
  const successes = passed ? state.successes + 1 : 0;
  const failures = passed ? 0 : state.failures + 1;
  if (passed)
    return { passing: state.passing || successes >= timing.successThreshold, successes, failures, gaveUp: false };
  if (failures < timing.failureThreshold) return { passing: state.passing, successes, failures, gaveUp: false };
  return { passing: false, successes, failures: kind === 'readiness' ? failures : 0, gaveUp: kind !== 'readiness' };
}

/** Milliseconds until the first probe, for a container that has already run for some time. */
export function firstProbeInMs(timing: ProbeTiming, runningForMs: number): number {
  return Math.max(0, timing.initialDelayMs - runningForMs);
}
