/**
 * How accurate the forecasts are. A forecast is the number of requests that a verdict still needs.
 * Owns: the measured cells, and simulated windows. After some minutes the judge makes a forecast for a window; the
 * window is then simulated until its gate has a verdict.
 * Why: people plan by a forecast, so the actual number must be in the forecast's range about as often as the range
 * claims.
 * Terms: a window is a period in which the judge compares the candidate (the new revision) with stable (the serving
 * revision). A gate limits one measure; its verdict is Pass, Fail or Undecided. Each window has one gate, which may
 * use the complete error budget α. A cell is one scenario at one rate of requests.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { judge, verdicts } from '../../operator/analysis/judge.ts';
import type { GatePlan } from '../../operator/analysis/plan.ts';
import { Counter } from './counter.ts';
import { planFor, type Gate } from './gate-plan.ts';
import { historyOf } from './ours.ts';
import { failing, identical, quiet, slower, type Scenario } from './scenarios.ts';
import { sliceSeconds, World } from './world.ts';

/** A forecast is made after each of these numbers of minutes while the gate of the window is still undecided. */
export const askedAfterMinutes = [3, 5, 10] as const;

export type Forecast = {
  /** When the forecast was given: minutes since the start of the window. */
  readonly minutes: number;
  /** The lower end of the forecast's range; null when the gate cannot give a number. */
  readonly low: number | null;
  /**
   * The forecast: how many more requests the candidate needs until the verdict; null when the gate cannot give a
   * number.
   */
  readonly own: number | null;
  /** The upper end of the forecast's range; null when the gate cannot give a number. */
  readonly high: number | null;
  /**
   * The number of requests that the candidate really needed after the forecast; null when the window ended undecided.
   */
  readonly taken: number | null;
};

export type ForecastCell = { readonly scenario: Scenario; readonly requestsPerMinute: number; readonly gate: Gate };

/**
 * The scenarios and rates whose forecasts are measured: identical revisions, noisy revisions, slower candidates, and
 * error rates below and above the limit.
 */
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

/** Simulates windows of two hours, with half an hour of stable alone before each window. */
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
 * @param setting `minutes`: the length of the window when its gate stays undecided; `historyMinutes`: minutes with
 * stable alone before the window
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

/** How accurate the forecasts were that were made at one time of the window. */
export type Calibration = {
  /** When the forecasts were made: minutes since the start of the window. */
  readonly minutes: number;
  /** The number of forecasts. */
  readonly asked: number;
  /** The share of forecasts whose range contained the number of requests that was really needed. */
  readonly within: number;
  /** The share of forecasts that were too high: the number that was really needed is below their range. */
  readonly sooner: number;
  /**
   * The 10th, 50th and 90th percentile of the actual number divided by the forecast. A forecast is left out when one of
   * the two numbers is null.
   */
  readonly ratios: readonly [number, number, number] | undefined;
};

/**
 * Computes how accurate the forecasts were that were made at one time of the window. Numbers that are null count as
 * infinite: `taken`, `low` and `high`.
 * @param minutes when the forecasts were made
 * @returns undefined when there are no forecasts of this time
 */
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
