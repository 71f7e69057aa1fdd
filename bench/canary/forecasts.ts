/**
 * How well the forecasts of requests still needed come true.
 *
 * Owns:  the cells, and windows of one gate with the whole of α, looked at after some minutes and then watched until
 *        they decide.
 * Why:   a forecast is what people plan by: its range has to hold what comes, about as often as it says.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { judge, verdicts } from '../../operator/analysis/judge.ts';
import type { GatePlan } from '../../operator/analysis/plan.ts';
import { Counter } from './counter.ts';
import { planFor, type Gate } from './gate-plan.ts';
import { historyOf } from './ours.ts';
import { failing, identical, quiet, slower, type Scenario } from './scenarios.ts';
import { sliceSeconds, World } from './world.ts';

/** Minutes of a window after which an undecided gate is asked for its forecast. */
export const askedAfterMinutes = [3, 5, 10] as const;

export type Forecast = {
  readonly minutes: number;
  /** Requests of the candidate from then on; null: no number of them. */
  readonly low: number | null;
  readonly own: number | null;
  readonly high: number | null;
  /** What it took; null where it was not decided in the time. */
  readonly taken: number | null;
};

export type ForecastCell = { readonly scenario: Scenario; readonly requestsPerMinute: number; readonly gate: Gate };

/** Identical revisions, noisy ones, slower ones, and error rates at and below what is allowed. */
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

/** @param setting minutes: after which an open window is left; historyMinutes of stable before it */
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

/** Of forecasts after so many minutes. */
export type Calibration = {
  readonly minutes: number;
  readonly asked: number;
  /** Shares of them: decided within the range, and sooner than it. */
  readonly within: number;
  readonly sooner: number;
  /** What it took over the forecast itself, of those that have both: the tenth, fifth and ninth of ten. */
  readonly ratios: readonly [number, number, number] | undefined;
};

/** What is still open at the end took longer than any range that has an end. */
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
