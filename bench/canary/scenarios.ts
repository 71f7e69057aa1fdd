/**
 * The simulated canaries: distributions of latencies, errors and answers, and how two revisions differ.
 * Owns: the list. docs/canary-analysis.md describes each; the rows of the bench have these names.
 * Units: latency factors multiply, `share`s and rates are 0..1.
 */
import type { Arrivals } from './arrivals.ts';
import type { Cold } from './cold.ts';
import type { Lasting } from './noise.ts';
import { normalQuantile } from './normal.ts';
import type { QueueSetting } from './queue.ts';

/** The quantile function of ln(latency / base); each shape increases with the share. */
export const shapes = {
  lognormal: (below: number): number => 0.5 * normalQuantile(below),
  /** Answers of very different lengths, as from a language model: p95 is five times the median. */
  lengths: (below: number): number => normalQuantile(below),
  /** A Student-like tail: p99.9 is far above p95. */
  heavy: (below: number): number => 0.5 * normalQuantile(below) + 0.35 * Math.max(0, normalQuantile(below) - 1) ** 2,
  /** Pareto's law with index 1.5: its variance is infinite. */
  pareto: (below: number): number => -Math.log1p(-below) / 1.5,
  /** Cache hits and misses: seven in ten requests are hits and take a fifth of the time. */
  twoModes: (below: number): number => 0.15 * normalQuantile(below) + (below > 0.7 ? 0 : Math.log(0.2)),
  constant: (): number => 0,
} as const;

export type Scenario = {
  readonly name: string;
  readonly shape: keyof typeof shapes;
  /** Standard deviation of ln(latency) per revision and minute, per pod and minute, and common to both revisions. */
  readonly revisionNoise: number;
  readonly podNoise: number;
  readonly commonNoise: number;
  /** A pod is four times as slow for 20 s, once in ten minutes on average. */
  readonly bursts: boolean;
  /** Standard deviation of the permanent part of a pod's ln(latency), and the number of pods of each revision. */
  readonly lastingPodNoise: number;
  readonly pods: number;
  /** The candidate's number of pods, when it has fewer. */
  readonly candidatePods?: number;
  /** Noise with correlated minutes. */
  readonly lasting: Lasting;
  /**
   * Amplitude of a slow wave over an hour, common to both revisions: 0.2 is ±20 %. With `busy` the request rate follows
   * it.
   */
  readonly drift: number;
  readonly busy: boolean;
  /**
   * Share of requests that take a tenth of the time (cache hits), separate for each revision: the share goes from 0.5
   * to 0.9 and back within half an hour.
   */
  readonly changingModes: boolean;
  /** How much slower a candidate's pod is at first. */
  readonly cold: Cold;
  /** No requests in every third period of four minutes. */
  readonly gaps: boolean;
  /** How requests arrive. Absent: evenly. */
  readonly arrivals: Arrivals;
  /** Pods are queues. The shape is the distribution of the service times, and their mean is computed from the load. */
  readonly queue?: QueueSetting;
  /** Size classes of requests. */
  readonly classes: readonly SizeClass[];
  /** A share of the candidate's requests, in every size class, takes `factor` times as long. */
  readonly rare: { readonly share: number; readonly factor: number };
  /** The latency of the shape's value 1, and the resolution of recorded latencies (0: exact). */
  readonly baseMs: number;
  readonly roundedToMs: number;
  /** How much slower the candidate is. */
  readonly slower: number;
  readonly stableErrors: number;
  readonly candidateErrors: number;
  /** Share of the candidate's sampled answers that disagree with stable's. */
  readonly disagreement: number;
};

export type SizeClass = {
  readonly sizeClass: number;
  readonly share: number;
  /** Latency as a multiple of the base, and how much slower the candidate is. */
  readonly factor: number;
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
 * Services with other distributions than the lognormal one. Each runs with identical revisions and with slower
 * candidates.
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

/** Both revisions are the same, so every rollback is false. */
export const identical: readonly Scenario[] = [
  quiet,
  { ...quiet, name: 'noise10', revisionNoise: 0.1 },
  { ...quiet, name: 'noise20', revisionNoise: 0.2 },
  ...services,
];

/** The candidate is slower at every quantile. These are the scenarios of the table of slowdowns. */
export const slower: readonly Scenario[] = [1.3, 1.5, 2].flatMap((factor) => [
  { ...quiet, name: `slower${factor}`, slower: factor },
  { ...quiet, name: `slower${factor}-noise10`, slower: factor, revisionNoise: 0.1 },
]);

/** Slower candidates of every other service. */
export const slowerServices: readonly Scenario[] = services.flatMap((service) =>
  [1.5, 2].map((factor) => ({ ...service, name: `${service.name}-slower${factor}`, slower: factor })),
);

/** The candidate's error rate; stable's is 0.1 %, and 0.5 % more is allowed. */
const errors = [0.001, 0.002, 0.006, 0.01, 0.02, 0.05].map((rate): Scenario => ({
  ...quiet,
  name: `errors${percent(rate)}`,
  stableErrors: 0.001,
  candidateErrors: rate,
}));
/** Share of the candidate's answers that disagree with stable's; 2 % is allowed. */
const disagreements = [0.005, 0.01, 0.02, 0.03, 0.05, 0.1].map((rate): Scenario => ({
  ...quiet,
  name: `disagree${percent(rate)}`,
  disagreement: rate,
}));

export const failing: readonly Scenario[] = errors;
export const disagreeing: readonly Scenario[] = disagreements;
/**
 * Scenarios in which the candidate is within its limits, so a rollback would be wrong. The last of each kind is exactly
 * at its limit.
 */
export const harmless: ReadonlySet<Scenario> = new Set([
  ...identical,
  ...errors.slice(0, 3),
  ...disagreements.slice(0, 3),
]);
/** Scenarios in which the revisions do not differ. */
export const same: ReadonlySet<Scenario> = new Set([...identical, ...errors.slice(0, 1), ...disagreements.slice(0, 1)]);

/** The scenarios that the bench runs by default, which are in the judge's tables. The other services need --all. */
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
