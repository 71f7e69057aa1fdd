/**
 * Plans with a single gate, for windows that are simulated outside a rollout.
 * Owns: the gates and their limits.
 * Terms: a gate limits one measure of the candidate (the new revision). A plan is the list of gates with the error
 * probability that each verdict may have. A window is the period in which the candidate is judged.
 */
import { planOf, type GatePlan } from '../../operator/analysis/plan.ts';

export type Gate = 'latency' | 'errors' | 'quality';

/** A plan of one gate. The gate may use the complete error budget of a rollout, α = 0.05. */
export function planFor(gate: Gate): GatePlan {
  const none = { latency: [], errors: {} };
  const gates = {
    latency: { ...none, latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }] },
    errors: { ...none, errors: { maxIncrease: '0.5%' } },
    quality: { ...none, quality: { min: '0.98' } },
  }[gate];
  return planOf(gates, [{ analyze: { require: 'Pass' } }]);
}
