/**
 * What the bench measures: judge × scenario × rate, and how one such cell is run.
 *
 * Owns:  the list of cells and the row that each becomes.
 * Rule:  run i of a cell has the seed (seed, cell's number, i): a cell gives the same row alone or among others.
 */
import { setImmediate } from 'node:timers/promises';
import { planOf, type Plan } from '../../operator/analysis/plan.ts';
import { rollOut, watch, type Outcome, type Step } from './ours.ts';
import { watchWith, type BaselineName } from './baselines.ts';
import { disagreeing, failing, harmless, identical, isCorrelated, same, shapes, slower, slowerServices, type Scenario } from './scenarios.ts';
import { World } from './world.ts';

export type JudgeName = 'ours' | BaselineName;
/** What is gated in a single window. */
type Gate = 'latency' | 'errors' | 'quality';

export type Cell = {
  readonly judge: JudgeName;
  readonly scenario: Scenario;
  readonly requestsPerMinute: number;
  /** The candidate's share in a single window; a rollout goes through its own weights. */
  readonly share: number;
  readonly historyMinutes: number;
  readonly what: 'rollout' | Gate;
};

export type Row = {
  readonly judge: JudgeName;
  readonly scenario: string;
  readonly identical: boolean;
  readonly correlatedNoise: boolean;
  readonly requestsPerMinute: number;
  readonly runs: number;
  /** Share of runs that went back though nothing was wrong, or all within the limits; null where something was. */
  readonly falseRollbackRate: number | null;
  /** Share of runs that found what was wrong, and the median of the candidate's requests and minutes it took them; null where nothing was. */
  readonly detectedRate: number | null;
  readonly medianRequestsToDetect: number | null;
  readonly medianMinutesToDetect: number | null;
  readonly candidateShare: number | null;
  readonly historyMinutes: number;
};

const rates = [20, 100, 1000, 10000] as const;
/** Rates at which slower candidates of the other services are tried. */
const serviceRates = [100, 1000, 10000] as const;
const baselines: readonly BaselineName[] = ['argo-rollouts', 'flagger', 'kayenta'];

/** Rollouts of identical revisions go through the weights that the API's example has. */
const steps: readonly Step[] = [
  { weight: 0.05, require: 'NoFail', maxMinutes: 30 },
  { weight: 0.5, require: 'Pass', maxMinutes: 30 },
];

/** Rates, shares and history of the table that slowdowns are held against. */
const latencyCells: readonly { readonly rate: number; readonly share: number; readonly noisy: boolean; readonly history: number }[] = [
  { rate: 20, share: 0.5, noisy: false, history: 0 },
  { rate: 100, share: 0.05, noisy: false, history: 0 },
  { rate: 100, share: 0.5, noisy: false, history: 0 },
  { rate: 100, share: 0.5, noisy: true, history: 0 },
  { rate: 1000, share: 0.05, noisy: false, history: 0 },
  { rate: 1000, share: 0.05, noisy: false, history: 30 },
  { rate: 1000, share: 0.05, noisy: true, history: 30 },
  { rate: 1000, share: 0.5, noisy: false, history: 0 },
  { rate: 1000, share: 0.5, noisy: false, history: 30 },
  { rate: 1000, share: 0.5, noisy: true, history: 30 },
  { rate: 10000, share: 0.05, noisy: false, history: 30 },
  { rate: 10000, share: 0.5, noisy: false, history: 30 },
];

/** Runs of a cell unless told: more where a small rate of false rollbacks has to be told from none. */
export function usualRuns({ scenario }: Cell): number {
  return harmless.has(scenario) ? 400 : 200;
}

export function allCells(): readonly Cell[] {
  const rollouts = identical.flatMap((scenario) => rates.map((requestsPerMinute): Cell => ({ judge: 'ours', scenario, requestsPerMinute, share: 0.5, historyMinutes: 0, what: 'rollout' })));
  const slow = slower.flatMap((scenario) =>
    latencyCells
      .filter(({ noisy }) => noisy === scenario.revisionNoise > 0)
      .map(({ rate, share, history }): Cell => ({ judge: 'ours', scenario, requestsPerMinute: rate, share, historyMinutes: history, what: 'latency' })));
  const unlike = slowerServices.flatMap((scenario) => serviceRates.map((requestsPerMinute): Cell => ({ judge: 'ours', scenario, requestsPerMinute, share: 0.5, historyMinutes: 0, what: 'latency' })));
  const rateGates = ([['errors', failing], ['quality', disagreeing]] as const).flatMap(([what, scenarios]) =>
    scenarios.flatMap((scenario) => rates.map((requestsPerMinute): Cell => ({ judge: 'ours', scenario, requestsPerMinute, share: 0.5, historyMinutes: 0, what }))));
  const side = baselines.flatMap((judge) =>
    ([['latency', [...identical, ...slower, ...slowerServices]], ['errors', failing]] as const).flatMap(([what, scenarios]) =>
      scenarios.flatMap((scenario) => rates.map((requestsPerMinute): Cell => ({ judge, scenario, requestsPerMinute, share: 0.5, historyMinutes: 0, what })))));
  return [...slow, ...rateGates, ...rollouts, ...unlike, ...side];
}

/** Runs a cell. @param stop is looked at between runs @param number of options: the cell's place in allCells, for the seed */
export async function runCell(cell: Cell, { runs, seed, number }: { readonly runs: number; readonly seed: number; readonly number: number }, stop: AbortSignal): Promise<Row> {
  const outcomes: Outcome[] = [];
  for (let i = 0; i < runs && !stop.aborted; i++) {
    outcomes.push(runOnce(cell, [seed, number, i]));
    await setImmediate();
  }
  return rowOf(cell, outcomes);
}

function rowOf(cell: Cell, outcomes: readonly Outcome[]): Row {
  const runs = outcomes.length;
  const found = outcomes.filter((outcome) => outcome.rolledBack);
  const { scenario } = cell;
  const isFalse = harmless.has(scenario);
  return {
    judge: cell.judge,
    scenario: scenario.name,
    identical: same.has(scenario),
    correlatedNoise: isCorrelated(scenario),
    requestsPerMinute: cell.requestsPerMinute,
    runs,
    falseRollbackRate: isFalse ? found.length / runs : null,
    detectedRate: isFalse ? null : found.length / runs,
    medianRequestsToDetect: isFalse || found.length === 0 ? null : median(found.map((outcome) => outcome.candidateRequests)),
    medianMinutesToDetect: isFalse || found.length === 0 ? null : median(found.map((outcome) => outcome.minutes)),
    candidateShare: cell.what === 'rollout' ? null : cell.share,
    historyMinutes: cell.historyMinutes,
  };
}

function runOnce(cell: Cell, seeds: readonly number[]): Outcome {
  const { scenario, requestsPerMinute, share, what } = cell;
  const world = new World({ scenario, requestsPerMinute, sampleRate: 0.05 }, ...seeds);
  if (cell.judge !== 'ours') {
    const stable = { p95Ms: scenario.baseMs * Math.exp(shapes[scenario.shape](0.95)), errors: scenario.stableErrors };
    return watchWith(cell.judge, world, { weight: share, minutes: 30, stable, metric: what === 'errors' ? 'errors' : 'latency' });
  }
  if (what === 'rollout') return rollOut(world, planOf(), steps);
  return watch(world, planFor(what), { weight: share, minutes: 60, historyMinutes: cell.historyMinutes });
}

/** One gate with the whole of α = 0.05. */
function planFor(gate: Gate): Plan {
  const none = { latency: [], errors: {} };
  const gates = { latency: { ...none, latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }] }, errors: { ...none, errors: { maxIncrease: '0.5%' } }, quality: { ...none, quality: { min: '0.98' } } }[gate];
  return planOf(gates, [{ analyze: { require: 'Pass' } }]);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2 : (sorted[Math.floor(middle)] ?? 0);
}
