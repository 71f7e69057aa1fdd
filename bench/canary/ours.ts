/**
 * This project's judge in the made-up world: whole rollouts, and single windows.
 *
 * Owns: the loop that an operator runs: a report every five seconds, a look at every report, a new window at every
 *       weight. The verdicts are operator/analysis's own.
 */
import { verdicts, stepVerdict } from '../../operator/analysis/judge.ts';
import { addCount, emptyHistogram, reportScale, type LogHistogram } from '../../operator/analysis/log-histogram.ts';
import { learnHistory, type NoiseHistory } from '../../operator/analysis/noise.ts';
import type { Plan } from '../../operator/analysis/plan.ts';
import type { Cell, Pair, Window } from '../../operator/analysis/series.ts';
import { sliceSeconds, type PodSlice, type World } from './world.ts';

/** How a canary ended, and what it took. */
export type Outcome = { readonly rolledBack: boolean; readonly candidateRequests: number; readonly minutes: number };

export type Step = { readonly weight: number; readonly require: 'NoFail' | 'Pass'; readonly maxMinutes: number };
type Counting = { -readonly [K in keyof Cell]: Cell[K] };

const blockSlices = 20 / sliceSeconds;

/** Blocks of a window as the sidecars' reports build them up. */
class Counter {
  readonly cells: Pair<Counting[]> = { candidate: [], stable: [] };
  readonly #first: number;
  slices = 0;

  constructor(firstBlock: number) {
    this.#first = firstBlock;
  }

  get window(): Window {
    return { ...this.cells, firstBlock: this.#first, lastBlock: this.#first + Math.max(0, Math.ceil(this.slices / blockSlices) - 1) };
  }

  get candidateRequests(): number {
    return this.cells.candidate.reduce((sum, cell) => sum + cell.requests, 0);
  }

  add(slice: Pair<readonly PodSlice[]>): void {
    const block = this.#first + Math.floor(this.slices / blockSlices);
    this.slices += 1;
    for (const side of ['candidate', 'stable'] as const) {
      for (const one of slice[side]) count(this.cells[side], { block, pod: `${side}-${one.pod}` }, one);
    }
  }
}

function count(cells: Counting[], { block, pod }: { block: number; pod: string }, slice: PodSlice): void {
  const { sizeClass } = slice;
  const recent = cells.slice(-32).find((one) => one.block === block && one.pod === pod && one.sizeClass === sizeClass);
  const cell = recent ?? { pod, block, tier: 'interactive', sizeClass, latency: emptyHistogram(reportScale), requests: 0, failures: 0, compared: 0, disagreed: 0 };
  if (recent === undefined) cells.push(cell);
  for (const bucket of slice.buckets) addCount(cell.latency, bucket, 1);
  cell.requests += slice.requests;
  cell.failures += slice.failures;
  cell.compared += slice.compared;
  cell.disagreed += slice.disagreed;
}

/** A rollout through its steps; a step that is not decided in its time is taken as passed, so that the next can still go wrong. */
export function rollOut(world: World, plan: Plan, steps: readonly Step[]): Outcome {
  let requests = 0;
  for (const step of steps) {
    const counter = new Counter(Math.ceil(world.seconds / 20));
    while (world.seconds % 20 !== 0) world.next(step.weight);
    for (let slice = 0; slice < (step.maxMinutes * 60) / sliceSeconds; slice++) {
      counter.add(world.next(step.weight));
      const evidence = { window: counter.window, loadIsEqual: true };
      const gates = verdicts(plan, evidence);
      const verdict = stepVerdict(plan, evidence, gates, step.require);
      if (verdict === 'Fail') return { rolledBack: true, candidateRequests: requests + counter.candidateRequests, minutes: world.seconds / 60 };
      if (verdict === 'Done') break;
    }
    requests += counter.candidateRequests;
  }
  return { rolledBack: false, candidateRequests: requests, minutes: world.seconds / 60 };
}

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

function historyOf(world: World, minutes: number): (quantile: number) => NoiseHistory {
  const pods: LogHistogram[][] = [];
  for (let block = 0; block < minutes * 3; block++) {
    for (let slice = 0; slice < blockSlices; slice++) {
      world.next(0).stable.forEach((pod, i) => {
        const blocks = (pods[i] ??= []);
        const histogram = (blocks[block] ??= emptyHistogram(reportScale));
        for (const bucket of pod.buckets) addCount(histogram, bucket, 1);
      });
    }
  }
  const known = new Map<number, NoiseHistory>();
  return (quantile) => {
    const noise = known.get(quantile) ?? learnHistory(pods, quantile);
    known.set(quantile, noise);
    return noise;
  };
}
