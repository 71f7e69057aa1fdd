/**
 * The made-up canaries: how latencies, errors and answers come about, and how two revisions differ.
 *
 * Owns:  the list. docs/canary-analysis.md describes each; the rows of the bench carry these names.
 * Units: latency factors multiply, `share`s and rates are 0..1.
 */

/** ln(latency / 20 ms) of one request from a standard normal draw z; each shape is monotone in z. */
export const shapes = {
  lognormal: (z: number): number => 0.5 * z,
  /** A Student-like tail: p99.9 lies far out. */
  heavy: (z: number): number => 0.5 * z + (z > 1 ? 0.35 * (z - 1) ** 2 : 0),
  /** Cache hits and misses: seven in ten take a fifth of the time. */
  twoModes: (z: number): number => 0.15 * z + (z > 0.524 ? 0 : Math.log(0.2)),
} as const;

export type Scenario = {
  readonly name: string;
  readonly shape: keyof typeof shapes;
  /** Standard deviation of ln(latency) per revision and minute, per pod and minute, and common to both. */
  readonly revisionNoise: number;
  readonly podNoise: number;
  readonly commonNoise: number;
  /** A pod is four times as slow for 20 s, on average once in ten minutes. */
  readonly bursts: boolean;
  /** Size of a slow wave over the hour, common to both: 0.2 is ±20 %. */
  readonly drift: number;
  /** The candidate's first two minutes are twice as slow, stable's caches being warm. */
  readonly coldCaches: boolean;
  /** How much slower the candidate is. */
  readonly slower: number;
  readonly stableErrors: number;
  readonly candidateErrors: number;
  /** Share of the candidate's sampled answers that disagree with stable's. */
  readonly disagreement: number;
};

const quiet: Scenario = {
  name: 'independent',
  shape: 'lognormal',
  revisionNoise: 0,
  podNoise: 0,
  commonNoise: 0,
  bursts: false,
  drift: 0,
  coldCaches: false,
  slower: 1,
  stableErrors: 0.002,
  candidateErrors: 0.002,
  disagreement: 0.002,
};

/** Both revisions are the same: every rollback is a false one. */
export const identical: readonly Scenario[] = [
  quiet,
  { ...quiet, name: 'noise10', revisionNoise: 0.1 },
  { ...quiet, name: 'noise20', revisionNoise: 0.2 },
  { ...quiet, name: 'bursts', bursts: true },
  { ...quiet, name: 'podNoise10', podNoise: 0.1 },
  { ...quiet, name: 'drift', commonNoise: 0.1, drift: 0.2 },
  { ...quiet, name: 'everything', podNoise: 0.1, bursts: true, drift: 0.2 },
  { ...quiet, name: 'heavyTail', shape: 'heavy' },
  { ...quiet, name: 'twoModes', shape: 'twoModes' },
  { ...quiet, name: 'coldCaches', coldCaches: true },
];

/** The candidate is slower at every quantile. */
export const slower: readonly Scenario[] = [1.3, 1.5, 2].flatMap((factor) => [
  { ...quiet, name: `slower${factor}`, slower: factor },
  { ...quiet, name: `slower${factor}-noise10`, slower: factor, revisionNoise: 0.1 },
]);

/** The candidate fails more often than stable's 0.2 %. */
export const failing: readonly Scenario[] = [0.01, 0.02, 0.05].map((rate) => ({ ...quiet, name: `errors${rate * 100}%`, candidateErrors: rate }));

/** The candidate's answers disagree more often than the 2 % that are allowed. */
export const disagreeing: readonly Scenario[] = [0.04, 0.08, 0.2].map((rate) => ({ ...quiet, name: `disagree${rate * 100}%`, disagreement: rate }));

export const isCorrelated = (scenario: Scenario): boolean =>
  scenario.revisionNoise > 0 || scenario.podNoise > 0 || scenario.commonNoise > 0 || scenario.drift > 0 || scenario.bursts || scenario.coldCaches;
