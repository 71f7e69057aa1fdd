/**
 * Scenarios with correlated noise, queues, cold starts and unequal machines. They were not used to develop the judge.
 * Owns: the list of scenarios. docs/canary-analysis.md describes each one. They are simulated as rollouts with default
 * settings, except `oneToFour`, which is simulated as single windows (the candidate has one constant share).
 * Terms: the judge compares the candidate (the new revision) with stable (the serving revision); its verdict is Pass
 * when the difference is small enough. A size class is the set of requests with inputs of a similar size.
 */
import type { Lasting } from './noise.ts';
import { quiet, type Scenario } from './scenarios.ts';

const named = (name: string, what: Partial<Scenario>): Scenario => ({ ...quiet, ...what, name });

/** For each given scenario and each factor, a scenario whose candidate is slower by this factor. */
function withSlower(scenarios: readonly Scenario[], factors: readonly number[]): readonly Scenario[] {
  return scenarios.flatMap((one) => factors.map((slower) => ({ ...one, name: `${one.name}-slower${slower}`, slower })));
}

/**
 * Noise that lasts longer than a minute. `ar` is autoregressive noise and `fgn` is fractional Gaussian noise. `Pods` in
 * a name means that each pod has its own noise. The number is the standard deviation of ln(latency) in a minute, in
 * percent.
 */
export const lasting: readonly Scenario[] = (
  [
    ['ar', 'autoregressive'],
    ['fgn', 'fractional'],
  ] as const
).flatMap(([short, process]) =>
  [0.1, 0.2].flatMap((sd) => {
    const byRevision: Lasting = { kind: process, revision: sd, pod: 0 };
    return [
      named(`${short}${sd * 100}`, { lasting: byRevision }),
      named(`${short}Pods${sd * 100}`, { lasting: { ...byRevision, revision: 0, pod: sd } }),
    ];
  }),
);

/** Cold starts that are over, or nearly over, after about five minutes. */
export const cold: readonly Scenario[] = [
  named('coldDecay', { cold: { shape: 'decay', factor: 3, minutes: 5 } }),
  named('coldLinear', { cold: { shape: 'linear', factor: 3, minutes: 5 } }),
  named('coldStep', { cold: { shape: 'step', factor: 2, minutes: 2 } }),
  // The excess halves every 40 s.
  named('coldHalving', { cold: { shape: 'exponential', factor: 3, minutes: 2 / 3 / Math.LN2 } }),
  named('coldSawtooth', { cold: { shape: 'sawtooth', factor: 3, minutes: 5 } }),
  named('coldLazy', { cold: { shape: 'lazy', factor: 5, minutes: 0 } }),
];

/** Warm-ups of ten minutes, which is longer than a verdict waits for the end of a warm-up. */
export const longCold: readonly Scenario[] = [
  named('coldDecay10', { cold: { shape: 'decay', factor: 3, minutes: 10 } }),
  named('coldLinear10', { cold: { shape: 'linear', factor: 3, minutes: 10 } }),
];

/** Pods as queues with lognormal service times. */
export const queues: readonly Scenario[] = [0.5, 0.7, 0.9].map((utilisation) =>
  named(`queue${utilisation}`, { queue: { utilisation, patience: 0, retries: 0 } }),
);

/**
 * In `retryStorms`, clients time out and retry when a pod stalls. The other two services have bursts of requests, and
 * answers of very different lengths, as from a language model.
 */
export const storms: readonly Scenario[] = [
  named('retryStorms', { bursts: true, queue: { utilisation: 0.6, patience: 20, retries: 2 } }),
  named('gammaArrivals', { shape: 'lengths', arrivals: { kind: 'gamma', shape: 0.5, seconds: 20 } }),
  named('languageModel', {
    shape: 'lengths',
    queue: { utilisation: 0.5, patience: 0, retries: 0 },
    arrivals: { kind: 'switching', busy: 1.8, busySeconds: 30, calmSeconds: 60 },
  }),
];

/**
 * Retry storms that end by themselves: at utilisation 0.3, the pods can serve three tries of every request. At 0.6
 * (`retryStorms`) the pods cannot, so the storm becomes an outage.
 */
export const passingStorms: readonly Scenario[] = [
  named('passingStorms', { bursts: true, queue: { utilisation: 0.3, patience: 20, retries: 2 } }),
];

/** One pod of each revision, on machines with permanently different speeds. */
export const machines: readonly Scenario[] = [
  named('unlike7', { lastingPodNoise: 0.07 }),
  named('unlike10', { lastingPodNoise: 0.1 }),
  named('burstableMachines', { lastingPodNoise: 0.085, lasting: { kind: 'autoregressive', revision: 0, pod: 0.1 } }),
  named('steadyMachines', { lastingPodNoise: 0.03, lasting: { kind: 'autoregressive', revision: 0, pod: 0.02 } }),
];

/** The scenarios of `machines` with one pod of the candidate and four pods of stable. */
export const oneToFour: readonly Scenario[] = machines.map((one) => {
  return { ...one, name: `${one.name}-1to4`, pods: 4, candidatePods: 1 };
});

/** Two size classes. Requests of the larger class take twice as long in both revisions. */
const twoClasses = [
  { sizeClass: 1, share: 0.97, factor: 1, slower: 1 },
  { sizeClass: 8, share: 0.03, factor: 2, slower: 1 },
] as const;

export const mixed: readonly Scenario[] = [named('classes', { classes: twoClasses })];

/** Regressions that the p95 over all requests does not show. */
export const hidden: readonly Scenario[] = [
  named('classes-rare3', { classes: twoClasses.map((one) => ({ ...one, slower: one.sizeClass === 8 ? 3 : 1 })) }),
  named('tenTimes1%', { rare: { share: 0.01, factor: 10 } }),
];

export const unseenSame: readonly Scenario[] = [
  ...[lasting, cold, longCold, queues, storms].flat(),
  ...[machines, oneToFour, mixed, passingStorms].flat(),
];

/** The scenarios of this file whose candidate has a regression. */
export const unseenSlower: readonly Scenario[] = [
  ...withSlower([...lasting, ...machines, ...queues, ...storms], [1.5, 2]),
  ...withSlower(cold, [1.5]),
  ...hidden,
];

/**
 * Candidates that are a little slower than a Pass allows, with correlated noise. Bounds that are too narrow would
 * promote these candidates.
 */
export const nearTheLimit: readonly Scenario[] = withSlower(lasting, [1.3, 1.4]);

export const passingStormsSlower: readonly Scenario[] = withSlower(passingStorms, [1.5, 2]);
