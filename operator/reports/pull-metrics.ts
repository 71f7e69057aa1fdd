/**
 * Report pulling as metrics: how pulls end, how many pods are silent, how late the schedule is.
 *
 * Owns: the onnx_operator_report_* series. No label names a pod, a model or a namespace. docs/metrics.md lists them.
 */
import type { Pulled } from './report-client.ts';
import { counter, sampledGauge, type Registry } from '../../lib/metrics.ts';

/**
 * Report: one that could be read. Timeout: not within the deadline. Unreachable: no connection. Unusable: any other
 * answer.
 */
export type PullOutcome = 'Report' | 'Timeout' | 'Unreachable' | 'Unusable';

const outcomes: readonly PullOutcome[] = ['Report', 'Timeout', 'Unreachable', 'Unusable'];

export type PullFacts = {
  readonly watched: () => number;
  readonly silent: () => number;
  readonly lagSeconds: () => number;
};

/** @param registry absent: nothing is measured. @returns counts a pull that ended */
export function measurePulls(
  registry: Registry | undefined,
  { watched, silent, lagSeconds }: PullFacts,
): (outcome: PullOutcome) => void {
  if (registry === undefined) return () => {};
  const pulls = counter(registry, {
    name: 'onnx_operator_report_pulls_total',
    help: 'Requests for reports of pods, by how they ended',
    labels: ['outcome'],
  });
  for (const outcome of outcomes) pulls.inc({ outcome }, 0);
  sampledGauge(registry, { name: 'onnx_operator_report_pods', help: 'Pods that are asked for reports' }, {}, watched);
  sampledGauge(
    registry,
    { name: 'onnx_operator_report_silent_pods', help: 'Pods that gave no report when they were asked last' },
    {},
    silent,
  );
  sampledGauge(
    registry,
    {
      name: 'onnx_operator_report_lag_seconds',
      help: 'How long the pod that has waited longest for its turn has been due',
    },
    {},
    lagSeconds,
  );
  return (outcome) => pulls.inc({ outcome });
}

/** @param isLate the deadline had passed */
export function pullOutcomeOf(pulled: Pulled, isLate: boolean): PullOutcome {
  if (pulled.kind === 'report') return 'Report';
  if (isLate) return 'Timeout';
  return pulled.isUnreachable === true ? 'Unreachable' : 'Unusable';
}
