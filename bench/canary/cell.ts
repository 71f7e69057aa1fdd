/**
 * A cell of the bench: one judge in one scenario at one rate.
 * Owns: the fields of a cell. The cells are listed in cells.ts; rows.ts computes their results.
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
  /** The candidate's share in a single window; a rollout uses its own weights. */
  readonly share: number;
  readonly historyMinutes: number;
  readonly what: 'rollout' | Gate;
  /** Set only for a cell that simulates a whole rollout. */
  readonly router: Router;
  readonly replicas: number;
};
