/**
 * The simulated canaries: distributions of latencies, errors and answers, and how two revisions differ.
 * Owns: the list of scenarios. docs/canary-analysis.md describes each one; the rows of the bench have the same names.
 * Units: latency factors multiply; the fields `share` and the rates are 0..1.
 * Terms: stable is the revision that serves, the candidate is the one that may replace it. A size class is the set of
 * requests whose inputs have a similar size.
 */
import type { Arrivals } from './arrivals.ts';
import type { Cold } from './cold.ts';
import type { Lasting } from './noise.ts';
import { normalQuantile } from './normal.ts';
import type { QueueSetting } from './queue.ts';

/**
 * Quantile functions of ln(latency / base). The argument is the share of requests below the result; a larger share
 * gives a larger or equal result.
 */
export const shapes = {
  lognormal: (below: number): number => 0.5 * normalQuantile(below),
  /** Answers of very different lengths, as from a language model: p95 is five times the median. */
  lengths: (below: number): number => normalQuantile(below),
  /** A Student-like tail: p99.9 is far above p95. */
  heavy: (below: number): number => 0.5 * normalQuantile(below) + 0.35 * Math.max(0, normalQuantile(below) - 1) ** 2,
  /** Pareto's law with index 1.5, which has an infinite variance. */
  pareto: (below: number): number => -Math.log1p(-below) / 1.5,
  /** Cache hits and misses: seven in ten requests are hits and take a fifth of the time. */
  twoModes: (below: number): number => 0.15 * normalQuantile(below) + (below > 0.7 ? 0 : Math.log(0.2)),
  constant: (): number => 0,
} as const;

export type Scenario = {
  readonly name: string;
  readonly shape: keyof typeof shapes;
  /** Standard deviation of ln(latency) between the minutes of one revision. */
  readonly revisionNoise: number;
  /** Standard deviation of ln(latency) between the minutes of one pod. */
  readonly podNoise: number;
  /** Standard deviation of ln(latency) between minutes, for noise that both revisions have in common. */
  readonly commonNoise: number;
  /** True: each pod is four times as slow for 20 s, once in ten minutes on average. */
  readonly bursts: boolean;
  /** Standard deviation of the permanent differences of ln(latency) between pods. */
  readonly lastingPodNoise: number;
  /** The number of pods of each revision. */
  readonly pods: number;
  /** The candidate's number of pods, when it is smaller than `pods`. */
  readonly candidatePods?: number;
  /** Noise whose values in neighbouring minutes are correlated. */
  readonly lasting: Lasting;
  /** Amplitude of a slow wave of the latency with a period of an hour, the same for both revisions. 0.2 means ±20 %. */
  readonly drift: number;
  /** True: the request rate follows the wave of `drift`. */
  readonly busy: boolean;
  /**
   * True: a part of the requests are cache hits, which take a tenth of the time. Their share goes from 0.5 to 0.9 and
   * back within half an hour, at the same times for both revisions.
   */
  readonly changingModes: boolean;
  /** How much slower a pod of the candidate is after its first traffic. */
  readonly cold: Cold;
  /** True: there are no requests in every third period of four minutes. */
  readonly gaps: boolean;
  /** How the request rate varies. With `even` it is constant. */
  readonly arrivals: Arrivals;
  /**
   * Absent: requests do not wait for each other. Present: pods are queues, and the shape is the distribution of the
   * service times. Their mean is computed from the load.
   */
  readonly queue?: QueueSetting;
  /** The size classes of the requests. */
  readonly classes: readonly SizeClass[];
  /** In every size class, this share of the candidate's requests takes `factor` times as long. */
  readonly rare: { readonly share: number; readonly factor: number };
  /** The latency in milliseconds where the shape has the value 0. */
  readonly baseMs: number;
  /** Recorded latencies are rounded to a multiple of this number of milliseconds. 0: recorded latencies are exact. */
  readonly roundedToMs: number;
  /** The candidate's latency as a multiple of stable's latency. */
  readonly slower: number;
  readonly stableErrors: number;
  readonly candidateErrors: number;
  /** Share of the candidate's sampled answers that disagree with stable's. */
  readonly disagreement: number;
};

export type SizeClass = {
  readonly sizeClass: number;
  readonly share: number;
  /** The latency of the class as a multiple of the scenario's latency. */
  readonly factor: number;
  /** The candidate's latency in this class as a multiple of stable's latency. */
  readonly slower: number;
};

export const oneClass: SizeClass = { sizeClass: 1, share: 1, factor: 1, slower: 1 };

export const quiet: Scenario = {
  name: 'independent',
  shape: 'lognormal',
  revisionNoise: 0,
  podNoise: 0,
  commonNoise: 0,
  bursts: false,
  lastingPodNoise: 0,
  pods: 1,
  lasting: { kind: 'none', revision: 0, pod: 0 },
  drift: 0,
  busy: false,
  changingModes: false,
  cold: { shape: 'exponential', factor: 1, minutes: 1 },
  arrivals: { kind: 'even' },
  classes: [oneClass],
  rare: { share: 0, factor: 1 },
  gaps: false,
  baseMs: 20,
  roundedToMs: 0,
  slower: 1,
  stableErrors: 0.002,
  candidateErrors: 0.002,
  disagreement: 0.002,
};

/**
 * Services that differ from the scenario `quiet`, for example in the distribution of their latency. Each service is
 * simulated with identical revisions and with slower candidates.
 */
const services: readonly Scenario[] = [
  { ...quiet, name: 'heavyTail', shape: 'heavy' },
  { ...quiet, name: 'pareto', shape: 'pareto' },
  { ...quiet, name: 'twoModes', shape: 'twoModes' },
  { ...quiet, name: 'changingModes', changingModes: true },
  { ...quiet, name: 'drift', commonNoise: 0.1, drift: 0.2 },
  { ...quiet, name: 'day', drift: 0.5, busy: true },
  { ...quiet, name: 'bursts', bursts: true },
  { ...quiet, name: 'podNoise10', podNoise: 0.1 },
  { ...quiet, name: 'everything', podNoise: 0.1, bursts: true, drift: 0.2 },
  { ...quiet, name: 'unlikePods', lastingPodNoise: 0.1, pods: 3 },
  { ...quiet, name: 'coldCaches', cold: { shape: 'exponential', factor: 2, minutes: 1 } },
  { ...quiet, name: 'wholeMs', baseMs: 3, roundedToMs: 1 },
  { ...quiet, name: 'constant', shape: 'constant', baseMs: 5 },
  { ...quiet, name: 'timeouts', stableErrors: 0.02, candidateErrors: 0.02 },
  { ...quiet, name: 'gaps', gaps: true },
];

/** Scenarios whose revisions are the same, so every rollback is false. */
export const identical: readonly Scenario[] = [
  quiet,
  { ...quiet, name: 'noise10', revisionNoise: 0.1 },
  { ...quiet, name: 'noise20', revisionNoise: 0.2 },
  ...services,
];

/** Scenarios whose candidate is slower at every quantile. They are in the documentation's table of slowdowns. */
export const slower: readonly Scenario[] = [1.3, 1.5, 2].flatMap((factor) => [
  { ...quiet, name: `slower${factor}`, slower: factor },
  { ...quiet, name: `slower${factor}-noise10`, slower: factor, revisionNoise: 0.1 },
]);

/** The scenarios of `services` with slower candidates. */
export const slowerServices: readonly Scenario[] = services.flatMap((service) =>
  [1.5, 2].map((factor) => ({ ...service, name: `${service.name}-slower${factor}`, slower: factor })),
);

/** Scenarios by the candidate's error rate. Stable's rate is 0.1 %, and the limit is 0.5 percentage points more. */
const errors = [0.001, 0.002, 0.006, 0.01, 0.02, 0.05].map((rate): Scenario => ({
  ...quiet,
  name: `errors${percent(rate)}`,
  stableErrors: 0.001,
  candidateErrors: rate,
}));
/** Scenarios by the share of the candidate's answers that disagree with stable's; the limit is 2 %. */
const disagreements = [0.005, 0.01, 0.02, 0.03, 0.05, 0.1].map((rate): Scenario => ({
  ...quiet,
  name: `disagree${percent(rate)}`,
  disagreement: rate,
}));

export const failing: readonly Scenario[] = errors;
export const disagreeing: readonly Scenario[] = disagreements;
/**
 * Scenarios in which the candidate is within its limits, so a rollback would be wrong. One error rate and one share of
 * disagreement are exactly at their limit.
 */
export const harmless: ReadonlySet<Scenario> = new Set([
  ...identical,
  ...errors.slice(0, 3),
  ...disagreements.slice(0, 3),
]);
/** Scenarios in which the revisions do not differ. */
export const same: ReadonlySet<Scenario> = new Set([...identical, ...errors.slice(0, 1), ...disagreements.slice(0, 1)]);

/**
 * The scenarios that the bench runs by default: the ones in the documentation's tables for our judge. All other
 * scenarios need --all or --only.
 */
export const usual: ReadonlySet<Scenario> = new Set([
  ...identical.filter(({ name }) => ['independent', 'noise10', 'noise20', 'bursts'].includes(name)),
  ...slower,
  ...errors,
  ...disagreements,
]);

function percent(rate: number): string {
  return `${Number((rate * 100).toPrecision(3))}%`;
}

export function isCorrelated(scenario: Scenario): boolean {
  const { revisionNoise, podNoise, commonNoise, drift, lastingPodNoise, lasting, cold } = scenario;
  const sizes = [
    revisionNoise,
    podNoise,
    commonNoise,
    drift,
    lastingPodNoise,
    lasting.revision,
    lasting.pod,
    cold.factor - 1,
  ];
  return sizes.some((size) => size > 0) || scenario.bursts || scenario.changingModes || scenario.queue !== undefined;
}
