/**
 * A cell of the bench: one judge in one scenario at one rate.
 * Owns: the fields of a cell. cells.ts lists the cells, rows.ts makes their results.
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
  /** Only for a rollout. */
  readonly router: Router;
  readonly replicas: number;
};
