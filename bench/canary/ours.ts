/**
 * This project's judge in single windows of the simulated service.
 * Owns: the loop over one window. A report arrives every five seconds, and the judge evaluates the window after each
 * report. rollout.ts simulates complete rollouts. The verdicts come from operator/analysis.
 * Terms: a window is a period in which the candidate (the new revision) gets a constant share of the traffic and is
 * compared with stable (the serving revision). A gate limits one measure; it fails when the measure exceeds the limit.
 * Noise is the difference between minutes or pods of one revision.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { historyBefore } from '../../operator/analysis/history.ts';
import { verdicts } from '../../operator/analysis/judge.ts';
import type { NoiseHistory } from '../../operator/analysis/noise.ts';
import type { GatePlan } from '../../operator/analysis/plan.ts';
import { Counter } from './counter.ts';
import { sliceSeconds, type World } from './world.ts';

/**
 * The result of a canary in one window. `candidateRequests` is the number of the candidate's requests until the window
 * ended. `minutes` is the time until the window ended.
 */
export type Outcome = { readonly rolledBack: boolean; readonly candidateRequests: number; readonly minutes: number };

export type WindowSetting = { readonly weight: number; readonly minutes: number; readonly historyMinutes: number };

/**
 * Simulates one window until a gate fails or the time is over. In a scenario without permanent differences between
 * machines, `nodes` is `Shared`: one pod of each revision is then enough evidence for the judge.
 *
 * @param window `historyMinutes`: minutes with stable alone before the window, from which noise is estimated
 */
export function watch(world: World, plan: GatePlan, window: WindowSetting): Outcome {
  const history = historyOf(world, window.historyMinutes);
  const began = world.seconds;
  const counter = new Counter(began / blockSeconds);
  const nodes = world.scenario.lastingPodNoise === 0 ? 'Shared' : 'Unlike';
  const known = { loadIsEqual: true, history, nodes, maxBlocks: (window.minutes * 60) / blockSeconds } as const;
  for (let slice = 0; slice < (window.minutes * 60) / sliceSeconds; slice++) {
    counter.add(world.next(window.weight));
    const gates = verdicts(plan, { window: counter.window, ...known });
    const minutes = (world.seconds - began) / 60;
    const { candidateRequests } = counter;
    if (gates.some((gate) => gate.verdict === 'Fail')) return { rolledBack: true, candidateRequests, minutes };
  }
  return { rolledBack: false, candidateRequests: counter.candidateRequests, minutes: window.minutes };
}

/** Simulates stable alone and estimates its noise. @param minutes the length of this simulation */
export function historyOf(world: World, minutes: number): (quantile: number) => NoiseHistory {
  const counter = new Counter(world.seconds / blockSeconds);
  for (let slice = 0; slice < (minutes * 60) / sliceSeconds; slice++) counter.add(world.next(0));
  return historyBefore(world.seconds / blockSeconds, counter.cells.stable);
}
