/**
 * Noise over time: it is independent per period, autocorrelated, or has long memory.
 * Owns: processes of ln(latency) with mean 0, per revision or per pod. docs/canary-analysis.md names the scenarios.
 * Terms: noise is a difference between minutes or between pods that no revision causes. A stall is a short time in
 * which a pod is four times as slow.
 * Rule: the periods of each process start at a random offset, so they do not coincide with the judge's minutes.
 */
import type { Random } from './random.ts';

/**
 * The value to add to ln(latency) at a time. Each call must have the same time as the previous call, or a later time.
 */
export type Noise = { readonly at: (seconds: number) => number };

/**
 * Noise whose values in neighbouring minutes are correlated. Noise with independent minutes has separate fields in a
 * scenario: `revisionNoise` and `podNoise`.
 */
export type Lasting = {
  readonly kind: 'none' | 'autoregressive' | 'fractional';
  /** Standard deviation of ln(latency) in a minute, for the noise that all pods of a revision have in common. */
  readonly revision: number;
  /** Standard deviation of ln(latency) in a minute, for the noise that each pod has on its own. */
  readonly pod: number;
};

/** Correlation with the previous minute in the autoregressive process. */
export const autoregression = 0.8;
/**
 * Hurst exponent of the fractional process: the mean over m minutes has a variance of m^(2H-2) times the variance of a
 * minute. With independent minutes the factor would be 1/m.
 */
export const hurst = 0.85;

/** A value that is drawn again every `periodSeconds`. The first period starts at a random offset. */
export class Held {
  readonly #random: Random;
  readonly #period: number;
  readonly #phase: number;
  readonly #draw: (random: Random) => number;
  #current = -1;
  #value = 0;

  constructor(random: Random, periodSeconds: number, draw: (random: Random) => number) {
    this.#random = random;
    this.#period = periodSeconds;
    this.#draw = draw;
    this.#phase = random.uniform() * periodSeconds;
  }

  at(seconds: number): number {
    const index = Math.floor((seconds + this.#phase) / this.#period);
    // Draw one value for each period, also for skipped periods: each value of a process with memory depends on all
    // earlier values.
    while (this.#current < index) {
      this.#current = this.#current < 0 ? index : this.#current + 1;
      this.#value = this.#draw(this.#random);
    }
    return this.#value;
  }
}

/**
 * @param sd standard deviation of each value; 0 means no noise
 * @returns a function that draws the value of the next minute
 */
export function minutesOf(process: Lasting['kind'], sd: number): (random: Random) => number {
  if (process === 'none' || sd === 0) return () => 0;
  const next = process === 'autoregressive' ? autoregressive() : fractional();
  return (random) => sd * next(random);
}

/** AR(1) with unit variance, started in its stationary distribution. */
function autoregressive(): (random: Random) => number {
  let last: number | undefined;
  return (random) => {
    const fresh = random.normal();
    last = last === undefined ? fresh : autoregression * last + Math.sqrt(1 - autoregression ** 2) * fresh;
    return last;
  };
}

/**
 * The number of minutes for which Hosking's recursion is exact. Later minutes only use the latest `exactMinutes - 1`
 * minutes. A rollout with its history takes less time than this number of minutes.
 */
const exactMinutes = 300;

/**
 * Fractional Gaussian noise with unit variance by Hosking's recursion (Water Resources Research 20(12), 1984): each
 * value is normally distributed around the best linear forecast from all earlier values. The first `exactMinutes`
 * values are exact; later values are forecast from the last `exactMinutes - 1` values only.
 */
function fractional(): (random: Random) => number {
  const { forecasts, deviations } = hosking();
  const past: number[] = [];
  return (random) => {
    const order = Math.min(past.length, exactMinutes - 1);
    const weights = forecasts[order] ?? new Float64Array(0);
    let mean = 0;
    for (let i = 0; i < order; i++) mean += (weights[i] ?? 0) * (past[past.length - 1 - i] ?? 0);
    const value = mean + (deviations[order] ?? 1) * random.normal();
    past.push(value);
    return value;
  };
}

type Recursion = {
  /** For each number of previous values: the weight of each previous value in the forecast, the newest first. */
  readonly forecasts: Float64Array[];
  /** For each number of previous values: the standard deviation of the next value around its forecast. */
  readonly deviations: number[];
};
let known: Recursion | undefined;

/** Durbin and Levinson's recursion over the autocovariances of fractional Gaussian noise. */
function hosking(): Recursion {
  if (known !== undefined) return known;
  const forecasts: Float64Array[] = [new Float64Array(0)];
  const deviations: number[] = [1];
  let variance = 1;
  for (let n = 1; n < exactMinutes; n++) {
    const before = forecasts[n - 1] ?? new Float64Array(0);
    let partial = autocovariance(n);
    for (let i = 0; i < n - 1; i++) partial -= (before[i] ?? 0) * autocovariance(n - 1 - i);
    partial /= variance;
    const weights = new Float64Array(n);
    for (let i = 0; i < n - 1; i++) weights[i] = (before[i] ?? 0) - partial * (before[n - 2 - i] ?? 0);
    weights[n - 1] = partial;
    variance *= 1 - partial * partial;
    forecasts.push(weights);
    deviations.push(Math.sqrt(variance));
  }
  return (known = { forecasts, deviations });
}

function autocovariance(lag: number): number {
  return ((lag + 1) ** (2 * hurst) - 2 * lag ** (2 * hurst) + Math.abs(lag - 1) ** (2 * hurst)) / 2;
}

/** The fields of a scenario (scenarios.ts) that describe the noise of single pods. */
type PodsNoise = { readonly podNoise: number; readonly lastingPodNoise: number; readonly bursts: boolean };

/**
 * The noise of one pod: its permanent difference from other pods, noise that is independent per minute, and stalls. A
 * stall lasts 20 s and occurs once in ten minutes on average.
 */
export function podNoise(random: Random, { podNoise: sd, lastingPodNoise, bursts }: PodsNoise): Noise {
  const lasting = lastingPodNoise === 0 ? 0 : lastingPodNoise * random.normal();
  const noise = new Held(random, 60, (from) => (sd === 0 ? 0 : sd * from.normal()));
  const stall = new Held(random, 20, (from) => (bursts && from.uniform() < 1 / 30 ? Math.log(4) : 0));
  return { at: (seconds) => lasting + noise.at(seconds) + stall.at(seconds) };
}
