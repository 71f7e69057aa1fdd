/**
 * A cell of the bench: one judge in one scenario at one rate.
 *
 * Owns:  what describes a cell. Which cells there are is in cells.ts, what is told of one in rows.ts.
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
  /** The candidate's share in a single window; a rollout goes through its own weights. */
  readonly share: number;
  readonly historyMinutes: number;
  readonly what: 'rollout' | Gate;
  /** Of a rollout. */
  readonly router: Router;
  readonly replicas: number;
};
