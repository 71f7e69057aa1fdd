/**
 * The cells that the bench measures (judge × scenario × rate), and how one cell is run.
 * Owns: the list of cells and the row of each. A row has the results of a cell.
 * Terms: a judge is a rule that decides whether to roll back. A rollout gives the candidate (the new revision) its
 * traffic in steps. A single window has one constant share of the traffic. The history is the time before, in which
 * only stable (the serving revision) gets traffic.
 * Rule: run i of a cell has the seed (seed, number of the cell, i), so a cell gives the same row whether it runs alone
 * or with other cells.
 */
import { setImmediate } from 'node:timers/promises';
import type { Cell, JudgeName } from './cell.ts';
import { planFor, type Gate } from './gate-plan.ts';
import { watch, type Outcome } from './ours.ts';
import { watchWith, type BaselineName } from './baselines.ts';
import { rollOutWith } from './baseline-rollouts.ts';
import { rollOut, type RolloutRun, type RolloutSetting, type Router } from './rollout.ts';
import { rowOfRollouts, rowOfWindows, type Row } from './rows.ts';
import * as seen from './scenarios.ts';
import { shapes, type Scenario } from './scenarios.ts';
import * as unseen from './unseen.ts';
import { World } from './world.ts';

const rates = [20, 100, 1000, 10000] as const;
/** Requests per minute for the slower candidates of `slowerServices`. */
const serviceRates = [100, 1000, 10000] as const;
/** Requests per minute of rollouts in the scenarios of unseen.ts. */
const unseenRates = [100, 1000] as const;
const routers = ['HTTPRoute', 'Service'] as const;
const baselines: readonly BaselineName[] = ['argo-rollouts', 'flagger', 'kayenta'];

const window = { router: 'HTTPRoute', replicas: 1 } as const;

/** A cell that simulates a rollout with default settings after half an hour with stable alone. */
function wholly(scenario: Scenario, requestsPerMinute: number, router: Router, judge: JudgeName = 'ours'): Cell {
  const alone = unseen.machines.some((one) => scenario.name.startsWith(one.name));
  const replicas = alone ? 1 : Math.max(2, scenario.pods);
  return { judge, scenario, requestsPerMinute, share: 0.5, historyMinutes: 30, what: 'rollout', router, replicas };
}

type LatencyCell = { readonly rate: number; readonly share: number; readonly noisy: boolean; readonly history: number };

/**
 * For each cell in the documentation's table of slowdowns: requests per minute, the candidate's share of the traffic,
 * whether there is noise, and minutes of history.
 */
const latencyCells: readonly LatencyCell[] = [
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

/**
 * Default number of runs of a cell. Harmless scenarios have more runs, because a small rate of false rollbacks must be
 * distinguished from 0.
 */
export function usualRuns({ scenario }: Cell): number {
  return harmless.has(scenario) ? 400 : 200;
}

/**
 * Scenarios in which the candidate is within its limits, so every rollback is false. Some candidates are exactly at
 * their limit.
 */
export const harmless: ReadonlySet<Scenario> = new Set([...seen.harmless, ...unseen.unseenSame]);

export function allCells(): readonly Cell[] {
  const { disagreeing, failing, identical, slower, slowerServices } = seen;
  const rollouts = identical.flatMap((scenario) => rates.map((rate) => wholly(scenario, rate, 'HTTPRoute')));
  const slow = slower.flatMap((scenario) =>
    latencyCells
      .filter(({ noisy }) => noisy === scenario.revisionNoise > 0)
      .map(({ rate, share, history }): Cell => {
        return { ...windowOf('ours', scenario, rate, 'latency'), share, historyMinutes: history };
      }),
  );
  const unlike = slowerServices.flatMap((scenario) =>
    serviceRates.map((rate) => windowOf('ours', scenario, rate, 'latency')),
  );
  const rateGates = (
    [
      ['errors', failing],
      ['quality', disagreeing],
    ] as const
  ).flatMap(([what, scenarios]) =>
    scenarios.flatMap((scenario) => rates.map((rate) => windowOf('ours', scenario, rate, what))),
  );
  const latency = [...identical, ...slower, ...slowerServices];
  const side = baselines.flatMap((judge) =>
    (
      [
        ['latency', latency],
        ['errors', failing],
      ] as const
    ).flatMap(([what, scenarios]) =>
      scenarios.flatMap((scenario) => rates.map((rate) => windowOf(judge, scenario, rate, what))),
    ),
  );
  // Add new cells at the end of the returned list: a cell's position in the list is part of its seed.
  const { nearTheLimit, passingStorms, passingStormsSlower } = unseen;
  const later = [...nearTheLimit, ...passingStorms, ...passingStormsSlower].map((scenario) =>
    wholly(scenario, 1000, 'HTTPRoute'),
  );
  return [...slow, ...rateGates, ...rollouts, ...unlike, ...side, ...wholeCells(), ...baselineRollouts(), ...later];
}

function windowOf(judge: JudgeName, scenario: Scenario, requestsPerMinute: number, what: Gate): Cell {
  return { ...window, judge, scenario, requestsPerMinute, share: 0.5, historyMinutes: 0, what };
}

/**
 * Cells with our judge: single windows in the scenarios of `oneToFour`, and rollouts in the other scenarios. The
 * function allCells has more rollouts with our judge in its lists `rollouts` and `later`.
 */
function wholeCells(): readonly Cell[] {
  const { cold, lasting, longCold, machines, mixed, oneToFour, queues, storms, unseenSlower } = unseen;
  const { failing, identical, quiet, slower } = seen;
  const both = (scenarios: readonly Scenario[], at: readonly number[]): Cell[] =>
    scenarios.flatMap((scenario) => routers.flatMap((router) => at.map((rate) => wholly(scenario, rate, router))));
  const byService = [quiet, ...identical.filter(({ name }) => ['noise10', 'noise20'].includes(name))];
  return [
    wholly(quiet, 55, 'HTTPRoute'),
    ...byService.flatMap((scenario) => [20, 55, ...rates.slice(1)].map((rate) => wholly(scenario, rate, 'Service'))),
    ...both([lasting, cold, longCold, queues, storms, machines, mixed].flat(), unseenRates),
    ...both([...slower, ...failing], unseenRates),
    ...unseenSlower.map((scenario) => wholly(scenario, 1000, 'HTTPRoute')),
    ...oneToFour.map((scenario): Cell => {
      return { ...windowOf('ours', scenario, 1000, 'latency'), share: 0.2, historyMinutes: 30 };
    }),
  ];
}

/** Rollouts of the other tools, configured as in their documentation, in scenarios that our rollouts also use. */
function baselineRollouts(): readonly Cell[] {
  const { failing, identical, quiet, slower } = seen;
  const tried = [quiet, ...identical.filter(({ name }) => name === 'noise10'), ...slower, ...failing];
  return baselines.flatMap((judge) =>
    tried.flatMap((scenario) => rates.map((rate) => wholly(scenario, rate, 'HTTPRoute', judge))),
  );
}

export type RunOptions = {
  readonly runs: number;
  readonly seed: number;
  /** The cell's position in allCells, for the seed. */
  readonly number: number;
} & Partial<Pick<RolloutSetting, 'everyReport' | 'podsEach'>>;

/**
 * Runs a cell.
 * @param stop checked between runs
 */
export async function runCell(cell: Cell, options: RunOptions, stop: AbortSignal): Promise<Row> {
  const { runs, seed, number } = options;
  const windows: Outcome[] = [];
  const rollouts: RolloutRun[] = [];
  for (let i = 0; i < runs && !stop.aborted; i++) {
    const { what } = cell;
    if (what === 'rollout') rollouts.push(runRollout(cell, [seed, number, i], options));
    else windows.push(runWindow({ ...cell, what }, [seed, number, i]));
    await setImmediate();
  }
  const isHarmless = harmless.has(cell.scenario);
  if (cell.what !== 'rollout') return rowOfWindows(cell, windows, isHarmless);
  return rowOfRollouts({ ...cell, podsEach: options.podsEach ?? false }, rollouts, isHarmless);
}

function runRollout(cell: Cell, seeds: readonly number[], options: RunOptions): RolloutRun {
  const { everyReport = false, podsEach = false } = options;
  const { judge, requestsPerMinute, router, replicas, historyMinutes } = cell;
  const scenario = { ...cell.scenario, pods: replicas };
  const world = new World({ scenario, requestsPerMinute, sampleRate: 0.05 }, ...seeds);
  if (judge !== 'ours') return rollOutWith(judge, world, stableOf(scenario));
  return rollOut(world, { scenario, replicas, router, historyMinutes, everyReport, podsEach });
}

function stableOf({ baseMs, shape, stableErrors }: Scenario): { readonly p95Ms: number; readonly errors: number } {
  return { p95Ms: baseMs * Math.exp(shapes[shape](0.95)), errors: stableErrors };
}

function runWindow(cell: Cell & { readonly what: Gate }, seeds: readonly number[]): Outcome {
  const { scenario, requestsPerMinute, share, what } = cell;
  const world = new World({ scenario, requestsPerMinute, sampleRate: 0.05 }, ...seeds);
  if (cell.judge !== 'ours') {
    const metric = what === 'errors' ? 'errors' : 'latency';
    return watchWith(cell.judge, world, { weight: share, minutes: 30, stable: stableOf(scenario), metric });
  }
  return watch(world, planFor(what), { weight: share, minutes: 60, historyMinutes: cell.historyMinutes });
}
