/**
 * A made-up service with two revisions, five seconds at a time.
 *
 * Owns:  requests (Poisson), their latencies, errors and disagreements, and the noise they share. Noise minutes
 *        begin at a random phase, so they do not fall together with the judge's minutes.
 * Rule:  everything follows from the seed, and every judge of a run sees the same service.
 */
import { reportScale } from '../../operator/analysis/log-histogram.ts';
import { Random } from './random.ts';
import { shapes, type Scenario } from './scenarios.ts';

export const sliceSeconds = 5;

/** What one pod counted in one slice. */
export type PodSlice = {
  /** Histogram buckets of the answered requests' latencies. */
  readonly buckets: readonly number[];
  readonly requests: number;
  readonly failures: number;
  readonly compared: number;
  readonly disagreed: number;
};
export type Slice = { readonly candidate: readonly PodSlice[]; readonly stable: readonly PodSlice[] };

export type Setting = {
  readonly scenario: Scenario;
  readonly requestsPerMinute: number;
  /** Share of the candidate's requests whose answers are compared. */
  readonly sampleRate: number;
};

/** Request latencies are drawn from so many equally likely quantiles of the shape: a table lookup a request. */
const tableBits = 16;
const tables = new Map<string, Float64Array>();

/** ln(latency / base) by share of requests below. */
function tableOf(shape: keyof typeof shapes): Float64Array {
  const known = tables.get(shape);
  if (known !== undefined) return known;
  const size = 2 ** tableBits;
  const made = Float64Array.from({ length: size }, (_, i) => shapes[shape]((i + 0.5) / size));
  tables.set(shape, made);
  return made;
}

/** ln(latency) on top, at a time. */
type Noise = { readonly at: (seconds: number) => number };

/** A value that is drawn anew every `periodSeconds`, at a phase of its own. */
class Held {
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
    if (index !== this.#current) {
      this.#current = index;
      this.#value = this.#draw(this.#random);
    }
    return this.#value;
  }
}

export class World {
  readonly #setting: Setting;
  readonly #random: Random;
  readonly #table: Float64Array;
  readonly #noise: { readonly common: Held; readonly candidate: Held; readonly stable: Held };
  readonly #pods: { readonly candidate: readonly Noise[]; readonly stable: readonly Noise[] };
  readonly #wave: number;
  #seconds = 0;
  #candidateSince: number | undefined;

  constructor(setting: Setting, ...seeds: readonly number[]) {
    this.#setting = setting;
    this.#random = new Random(...seeds);
    const { scenario } = setting;
    const random = this.#random;
    this.#table = tableOf(scenario.shape);
    const gaussian = (sd: number) => new Held(random, 60, (from) => (sd === 0 ? 0 : sd * from.normal()));
    this.#noise = { common: gaussian(scenario.commonNoise), candidate: gaussian(scenario.revisionNoise), stable: gaussian(scenario.revisionNoise) };
    const pods = () => Array.from({ length: scenario.pods }, () => podNoise(random, scenario));
    this.#pods = { candidate: pods(), stable: pods() };
    this.#wave = random.uniform() * 2 * Math.PI;
  }

  get seconds(): number {
    return this.#seconds;
  }

  /** The next five seconds. @param weight the candidate's share of requests, 0..1 */
  next(weight: number): Slice {
    const { scenario, requestsPerMinute } = this.#setting;
    const at = this.#seconds;
    this.#seconds += sliceSeconds;
    const wave = 1 + scenario.drift * Math.sin((2 * Math.PI * at) / 3600 + this.#wave);
    const rate = scenario.gaps && Math.floor(at / 240) % 3 === 1 ? 0 : requestsPerMinute * (scenario.busy ? wave : 1);
    const mean = (rate * sliceSeconds) / 60;
    const common = this.#noise.common.at(at) + Math.log(wave);
    // The candidate's caches begin to fill with its first requests.
    if (weight > 0) this.#candidateSince ??= at;
    const cold = Math.log1p((scenario.cold.factor - 1) * Math.exp((this.#candidateSince ?? at) / 60 / scenario.cold.minutes - at / 60 / scenario.cold.minutes));
    const own = common + this.#noise.candidate.at(at) + Math.log(scenario.slower) + cold;
    const other = common + this.#noise.stable.at(at);
    const side = (pods: readonly Noise[], share: number, what: { shift: number; errors: number; sampleRate: number }) =>
      pods.map((pod) => this.#pod((mean * share) / pods.length, { ...what, shift: what.shift + pod.at(at) }));
    return {
      candidate: side(this.#pods.candidate, weight, { shift: own, errors: scenario.candidateErrors, sampleRate: this.#setting.sampleRate }),
      stable: side(this.#pods.stable, 1 - weight, { shift: other, errors: scenario.stableErrors, sampleRate: 0 }),
    };
  }

  #pod(mean: number, { shift, errors, sampleRate }: { shift: number; errors: number; sampleRate: number }): PodSlice {
    const random = this.#random;
    const requests = random.poisson(mean);
    const failures = Math.min(requests, random.poisson(requests * errors));
    const compared = Math.min(requests - failures, random.poisson(requests * sampleRate));
    const disagreed = Math.min(compared, random.poisson(compared * this.#setting.scenario.disagreement));
    return { buckets: this.#latencies(requests - failures, shift), requests, failures, compared, disagreed };
  }

  #latencies(count: number, shift: number): number[] {
    const { baseMs, roundedToMs, changingModes } = this.#setting.scenario;
    const hits = changingModes ? 0.7 + 0.2 * Math.sin((2 * Math.PI * this.#seconds) / 1800 + this.#wave) : 0;
    const lnBase = Math.log(baseMs) + shift;
    const buckets: number[] = [];
    for (let i = 0; i < count; i++) {
      const ln = lnBase + (this.#table[this.#random.bits() >>> (32 - tableBits)] ?? 0) + (changingModes && this.#random.uniform() < hits ? -Math.LN10 : 0);
      const seen = roundedToMs === 0 ? ln : Math.log(roundedToMs * Math.max(1, Math.round(Math.exp(ln) / roundedToMs)));
      buckets.push(Math.floor((seen - reportScale.lnLow) / reportScale.lnStep));
    }
    return buckets;
  }
}

/** A pod's own noise, lasting and by the minute, and its stalls: 20 s long, begun once in ten minutes on average. */
function podNoise(random: Random, { podNoise: sd, lastingPodNoise, bursts }: Scenario): Noise {
  const lasting = lastingPodNoise === 0 ? 0 : lastingPodNoise * random.normal();
  const noise = new Held(random, 60, (from) => (sd === 0 ? 0 : sd * from.normal()));
  const stall = new Held(random, 20, (from) => (bursts && from.uniform() < 1 / 30 ? Math.log(4) : 0));
  return { at: (seconds) => lasting + noise.at(seconds) + stall.at(seconds) };
}
