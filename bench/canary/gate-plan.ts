/**
 * Plans with a single gate, for windows that are simulated outside a rollout.
 * Owns: the gates and their limits.
 */
import { planOf, type GatePlan } from '../../operator/analysis/plan.ts';

export type Gate = 'latency' | 'errors' | 'quality';

/** A plan of one gate that has the complete error budget, α = 0.05. */
export function planFor(gate: Gate): GatePlan {
  const none = { latency: [], errors: {} };
  const gates = {
    latency: { ...none, latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }] },
    errors: { ...none, errors: { maxIncrease: '0.5%' } },
    quality: { ...none, quality: { min: '0.98' } },
  }[gate];
  return planOf(gates, [{ analyze: { require: 'Pass' } }]);
}
