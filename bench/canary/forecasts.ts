/**
 * How accurate the forecasts are. A forecast is the number of requests that a verdict still needs.
 * Owns: the cells, and windows of one gate with the whole of α. After some minutes a window gives its forecast; it is
 * then simulated until its gate is decided.
 * Why: people plan by a forecast, so its range must contain the actual number about as often as it claims.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { judge, verdicts } from '../../operator/analysis/judge.ts';
import type { GatePlan } from '../../operator/analysis/plan.ts';
import { Counter } from './counter.ts';
import { planFor, type Gate } from './gate-plan.ts';
import { historyOf } from './ours.ts';
import { failing, identical, quiet, slower, type Scenario } from './scenarios.ts';
import { sliceSeconds, World } from './world.ts';

/** Minutes of a window after which an undecided gate gives its forecast. */
export const askedAfterMinutes = [3, 5, 10] as const;

export type Forecast = {
  readonly minutes: number;
  /**
   * The forecast of the candidate's requests until the verdict, with its range; null when the gate cannot give a
   * number.
   */
  readonly low: number | null;
  readonly own: number | null;
  readonly high: number | null;
  /** The actual number of the candidate's requests until the verdict; null when the window was not decided in time. */
  readonly taken: number | null;
};

export type ForecastCell = { readonly scenario: Scenario; readonly requestsPerMinute: number; readonly gate: Gate };

/** Identical revisions, noisy revisions, slower candidates, and error rates at and below the limit. */
export function forecastCells(): readonly ForecastCell[] {
  const called = (names: readonly string[], scenarios: readonly Scenario[]): readonly Scenario[] =>
    scenarios.filter(({ name }) => names.includes(name));
  const latency = [quiet, ...called(['noise10'], identical), ...called(['slower1.3', 'slower1.5'], slower)];
  const errors = called(['errors0.1%', 'errors0.2%', 'errors2%'], failing);
  const of = (gate: Gate, scenarios: readonly Scenario[]): ForecastCell[] =>
    scenarios.flatMap((scenario) =>
      [100, 1000].map((requestsPerMinute): ForecastCell => ({ scenario, requestsPerMinute, gate })),
    );
  return [...of('latency', latency), ...of('errors', errors)];
}

/** Windows of two hours, with half an hour of stable before them. */
export function calibrate(
  { scenario, requestsPerMinute, gate }: ForecastCell,
  { runs, seed, number }: { readonly runs: number; readonly seed: number; readonly number: number },
): readonly Calibration[] {
  const forecasts = Array.from({ length: runs }, (_, i) => {
    const world = new World({ scenario, requestsPerMinute, sampleRate: 0.05 }, seed, number, i);
    return forecastsIn(world, planFor(gate), { minutes: 120, historyMinutes: 30 });
  }).flat();
  return askedAfterMinutes.flatMap((minutes) => calibrationOf(forecasts, minutes) ?? []);
}

/**
 * @param setting minutes: when an undecided window ends; historyMinutes: minutes with stable alone before the window
 */
export function forecastsIn(
  world: World,
  plan: GatePlan,
  setting: { readonly minutes: number; readonly historyMinutes: number },
): readonly Forecast[] {
  const history = historyOf(world, setting.historyMinutes);
  const counter = new Counter(world.seconds / blockSeconds);
  const began = world.seconds;
  const maxBlocks = (setting.minutes * 60) / blockSeconds;
  const known = { loadIsEqual: true, history, nodes: 'Shared', maxBlocks } as const;
  const asked: { readonly at: number; readonly forecast: Omit<Forecast, 'taken'> }[] = [];
  const ended = (taken: (at: number) => number | null): Forecast[] =>
    asked.map(({ at, forecast }) => ({ ...forecast, taken: taken(at) }));
  for (let slice = 0; slice < (setting.minutes * 60) / sliceSeconds; slice++) {
    counter.add(world.next(0.5));
    const evidence = { window: counter.window, ...known };
    const { candidateRequests } = counter;
    if (verdicts(plan, evidence)[0]?.verdict !== 'Undecided') return ended((at) => candidateRequests - at);
    const minutes = askedAfterMinutes.find((each) => world.seconds - began === each * 60);
    if (minutes === undefined) continue;
    const { requestsStillNeeded: own = null, neededRange = [own, own] } = judge(plan, evidence)[0] ?? {};
    asked.push({ at: candidateRequests, forecast: { minutes, low: neededRange[0], own, high: neededRange[1] } });
  }
  return ended(() => null);
}

/** The forecasts were made after this many minutes. */
export type Calibration = {
  readonly minutes: number;
  readonly asked: number;
  /**
   * The share of forecasts with the actual number in the range, and the share with the actual number below the range.
   */
  readonly within: number;
  readonly sooner: number;
  /** The actual number divided by the forecast, where both exist: the 10th, 50th and 90th percentile. */
  readonly ratios: readonly [number, number, number] | undefined;
};

/** The actual number of an undecided window counts as above every finite range. */
export function calibrationOf(forecasts: readonly Forecast[], minutes: number): Calibration | undefined {
  const asked = forecasts.filter((each) => each.minutes === minutes);
  if (asked.length === 0) return undefined;
  const share = (is: (forecast: Forecast) => boolean): number => asked.filter(is).length / asked.length;
  const isSooner = ({ low, taken }: Forecast): boolean => taken !== null && taken < (low ?? Infinity);
  const isLater = ({ high, taken }: Forecast): boolean => (taken ?? Infinity) > (high ?? Infinity);
  const ratios = asked
    .flatMap(({ own, taken }) => (own === null || taken === null ? [] : [taken / own]))
    .toSorted((a, b) => a - b);
  const at = (part: number): number => ratios[Math.floor(part * ratios.length)] ?? NaN;
  return {
    minutes,
    asked: asked.length,
    within: share((each) => !isSooner(each) && !isLater(each)),
    sooner: share(isSooner),
    ratios: ratios.length === 0 ? undefined : [at(0.1), at(0.5), at(0.9)],
  };
}
