/**
 * A cell of the bench: one judge in one scenario at one rate.
 * Owns: the fields of a cell. The cells are listed in cells.ts; rows.ts computes their results.
 * Terms: a judge is a rule that decides whether to roll back. A rollout gives the candidate (the new revision) its
 * traffic in steps; a window is one period in which the candidate's share is constant and the judge compares it with
 * stable (the serving revision). A gate limits one measure: latency, errors or disagreement of answers.
 */
import type { BaselineName } from './baselines.ts';
import type { Gate } from './gate-plan.ts';
import type { Router } from './rollout.ts';
import type { Scenario } from './scenarios.ts';

export type JudgeName = 'ours' | BaselineName;

export type Cell = {
  readonly judge: JudgeName;
  readonly scenario: Scenario;
  readonly requestsPerMinute: number;
  /** The candidate's share of the traffic when the cell simulates one window. A rollout uses its own weights. */
  readonly share: number;
  readonly historyMinutes: number;
  /** A complete rollout, or the gate of a single window. */
  readonly what: 'rollout' | Gate;
  /** How traffic is split in a rollout. A single window does not use this field. */
  readonly router: Router;
  /** Stable's number of pods at the start of a rollout. A single window does not use this field. */
  readonly replicas: number;
};
