/**
 * Outcomes of pulls, and their metrics. A pull is one request to a pod for its report.
 * Owns: names and meanings of the outcomes and metrics.
 */
import { counter, sampledGauge, type Registry } from '../../lib/metrics.ts';
import type { Pulled } from './report-client.ts';

/**
 * Report: the pod sent a valid report. Timeout: the deadline passed. Unreachable: the connection failed or broke.
 * Unusable: any other answer.
 */
export type PullOutcome = 'Report' | 'Timeout' | 'Unreachable' | 'Unusable';

const outcomes: readonly PullOutcome[] = ['Report', 'Timeout', 'Unreachable', 'Unusable'];

type PullFacts = {
  readonly watched: () => number;
  readonly silent: () => number;
  readonly lagSeconds: () => number;
};

/** @param registry if undefined, pulls are not counted @returns a function that counts a finished pull */
export function measurePulls(
  registry: Registry | undefined,
  { watched, silent, lagSeconds }: PullFacts,
): (outcome: PullOutcome) => void {
  if (registry === undefined) return () => {};
  const pulls = counter(registry, {
    name: 'onnx_operator_report_pulls_total',
    help: 'Requests for reports of pods, by outcome',
    labels: ['outcome'],
  });
  for (const outcome of outcomes) pulls.inc({ outcome }, 0);
  sampledGauge(registry, { name: 'onnx_operator_report_pods', help: 'Pods whose reports are pulled' }, {}, watched);
  sampledGauge(
    registry,
    { name: 'onnx_operator_report_silent_pods', help: 'Pods whose last pull gave no report' },
    {},
    silent,
  );
  sampledGauge(
    registry,
    {
      name: 'onnx_operator_report_lag_seconds',
      help: 'Time since the most overdue pull was due',
    },
    {},
    lagSeconds,
  );
  return (outcome) => pulls.inc({ outcome });
}

/** @param isLate whether the deadline passed */
export function pullOutcomeOf(pulled: Pulled, isLate: boolean): PullOutcome {
  if (pulled.kind === 'report') return 'Report';
  if (isLate) return 'Timeout';
  return pulled.isUnreachable === true ? 'Unreachable' : 'Unusable';
}
