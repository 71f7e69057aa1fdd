/**
 * This project's judge in single windows of the made-up world.
 *
 * Owns: the loop over one window: a report every five seconds, a look at every report. Whole rollouts are rollout.ts's.
 *       The verdicts are operator/analysis's own.
 */
import { historyBefore } from '../../operator/analysis/history.ts';
import { verdicts } from '../../operator/analysis/judge.ts';
import type { NoiseHistory } from '../../operator/analysis/noise.ts';
import type { Plan } from '../../operator/analysis/plan.ts';
import { Counter } from './counter.ts';
import { sliceSeconds, type World } from './world.ts';

/** How a canary in one window ended, and what it took. */
export type Outcome = { readonly rolledBack: boolean; readonly candidateRequests: number; readonly minutes: number };

/** One window until something fails. @param history minutes of stable before it that noise is learnt from */
export function watch(world: World, plan: Plan, window: { readonly weight: number; readonly minutes: number; readonly historyMinutes: number }): Outcome {
  const history = historyOf(world, window.historyMinutes);
  const began = world.seconds;
  const counter = new Counter(began / 20);
  for (let slice = 0; slice < (window.minutes * 60) / sliceSeconds; slice++) {
    counter.add(world.next(window.weight));
    const gates = verdicts(plan, { window: counter.window, loadIsEqual: true, history });
    const minutes = (world.seconds - began) / 60;
    if (gates.some((gate) => gate.verdict === 'Fail')) return { rolledBack: true, candidateRequests: counter.candidateRequests, minutes };
  }
  return { rolledBack: false, candidateRequests: counter.candidateRequests, minutes: window.minutes };
}

/** @param minutes of stable before the window */
function historyOf(world: World, minutes: number): (quantile: number) => NoiseHistory {
  const counter = new Counter(world.seconds / 20);
  for (let slice = 0; slice < (minutes * 60) / sliceSeconds; slice++) counter.add(world.next(0));
  return historyBefore(world.seconds / 20, counter.cells.stable);
}
