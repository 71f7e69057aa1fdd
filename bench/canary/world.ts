/**
 * A simulated service with two revisions, in steps of five seconds.
 * Owns: the requests, their distribution over pods, their latencies, errors and disagreements.
 * Terms: stable is the revision that serves; the candidate may replace it. A slice is one step of the simulation. A
 * disagreement is an answer of the candidate that differs too much from stable's answer to the same request.
 * Rule: the seeds determine everything, whichever judge watches the service. When a scenario does not use a feature,
 * the feature draws no random numbers. A new feature therefore does not change the rows of older scenarios.
 */
import { reportScale } from '../../operator/analysis/log-histogram.ts';
import { rateOf, Repeats, sliceSeconds, type Rate } from './arrivals.ts';
import { coldFactor, LazyCompilation } from './cold.ts';
import { Held, minutesOf, podNoise, type Noise } from './noise.ts';
import { Queue, type Served } from './queue.ts';
import { Random } from './random.ts';
import { oneClass, type Scenario, type SizeClass } from './scenarios.ts';
import { tableBits, tableOf, type Table } from './tables.ts';

export { sliceSeconds };

/** The counts of one pod in one slice, for requests of one size class. */
export type PodSlice = {
  readonly pod: number;
  readonly sizeClass: number;
  /** For each successful request, the histogram bucket of its latency. */
  readonly buckets: readonly number[];
  readonly requests: number;
  readonly failures: number;
  readonly compared: number;
  readonly disagreed: number;
};
export type Side = 'candidate' | 'stable';
export type Slice = { readonly [S in Side]: readonly PodSlice[] };
export type PodNumbers = { readonly [S in Side]: number };

export type Setting = {
  readonly scenario: Scenario;
  readonly requestsPerMinute: number;
  /** Share of the candidate's requests whose answers are compared with stable's answers. */
  readonly sampleRate: number;
};

/**
 * The state of a revision in one slice. `shift` is added to ln(latency). `errors` is the share of failing requests.
 * `sampleRate` is the share of requests whose answers are compared with the other revision.
 */
type Revision = { readonly shift: number; readonly errors: number; readonly sampleRate: number };

type Serving = { readonly shift: number; readonly side: Side; readonly pod: Pod };
type Answers = { readonly served: readonly Served[]; readonly refused: number };
/**
 * A pod's requests in a slice. `mean` is the expected number of new requests. `repeated` has a number for each retry:
 * how often the same request was tried before.
 */
type Load = { readonly side: Side; readonly mean: number; readonly repeated: readonly number[] };

type Pod = {
  readonly number: number;
  readonly noise: Noise;
  readonly lazy: LazyCompilation;
  readonly queue: Queue;
  /** The time of the pod's first traffic; undefined before it. */
  since: number | undefined;
};

export class World {
  readonly #setting: Setting;
  readonly #seeds: readonly number[];
  readonly #random: Random;
  readonly #table: Table;
  readonly #noise: { readonly common: Noise } & { readonly [S in Side]: Noise };
  readonly #lasting: { readonly [S in Side]: Noise };
  readonly #pods: { readonly [S in Side]: Pod[] };
  readonly #wave: number;
  readonly #rate: Rate;
  readonly #repeats: Repeats;
  #seconds = 0;
  /** The mean service time of stable's pods, when pods are queues. */
  #serviceSeconds = 0;

  constructor(setting: Setting, ...seeds: readonly number[]) {
    this.#setting = setting;
    this.#seeds = seeds;
    this.#random = new Random(...seeds);
    const { scenario } = setting;
    const random = this.#random;
    this.#table = tableOf(scenario.shape);
    const gaussian = (sd: number) => new Held(random, 60, (from) => (sd === 0 ? 0 : sd * from.normal()));
    const { commonNoise, revisionNoise } = scenario;
    const [common, candidate] = [gaussian(commonNoise), gaussian(revisionNoise)];
    this.#noise = { common, candidate, stable: gaussian(revisionNoise) };
    const { kind, revision } = scenario.lasting;
    const lasting = (side: Side) => new Held(this.#stream(streams.lasting, side, 0), 60, minutesOf(kind, revision));
    this.#lasting = { candidate: lasting('candidate'), stable: lasting('stable') };
    const pods = (side: Side, length: number) => Array.from({ length }, (_, i) => this.#podFrom(random, side, i));
    this.#pods = { candidate: pods('candidate', scenario.pods), stable: pods('stable', scenario.pods) };
    this.#wave = random.uniform() * 2 * Math.PI;
    this.#repeats = new Repeats(random, scenario.queue?.retries ?? 0);
    this.#rate = rateOf(scenario.arrivals, new Random(...seeds, streams.arrivals));
  }

  get scenario(): Scenario {
    return this.#setting.scenario;
  }

  get seconds(): number {
    return this.#seconds;
  }

  /**
   * Simulates the next five seconds.
   * @param weight the candidate's share of requests, 0..1
   * @param pods the number of pods of each revision, over which its requests are spread evenly; by default the numbers
   * of the scenario
   */
  next(weight: number, pods: PodNumbers = podsOf(this.#setting.scenario)): Slice {
    const { scenario, requestsPerMinute, sampleRate } = this.#setting;
    const at = this.#seconds;
    this.#seconds += sliceSeconds;
    const wave = 1 + scenario.drift * Math.sin((2 * Math.PI * at) / 3600 + this.#wave);
    const isGap = scenario.gaps && Math.floor(at / 240) % 3 === 1;
    const rate = isGap ? 0 : requestsPerMinute * (scenario.busy ? wave : 1) * this.#rate.at(at);
    const mean = (rate * sliceSeconds) / 60;
    const common = this.#noise.common.at(at) + Math.log(wave) + this.#fit(weight, pods);
    const own = common + this.#noise.candidate.at(at) + this.#lasting.candidate.at(at) + Math.log(scenario.slower);
    const other = common + this.#noise.stable.at(at) + this.#lasting.stable.at(at);
    const again = this.#repeats.take(at, weight);
    const side = (of: Side, share: number, revision: Revision): PodSlice[] => {
      const number = share > 0 || this.#hasWaiting(of) ? pods[of] : Math.min(pods[of], scenario.pods);
      return Array.from({ length: number }, (_, i) => this.#podOf(of, i)).flatMap((pod, i) => {
        const shift = revision.shift + pod.noise.at(at) + (of === 'candidate' ? this.#cold(pod, share, at) : 0);
        const repeated = again[of].filter((_, k) => k % number === i);
        return this.#serve(pod, { side: of, mean: (mean * share) / number, repeated }, { ...revision, shift });
      });
    };
    return {
      candidate: side('candidate', weight, { shift: own, errors: scenario.candidateErrors, sampleRate }),
      stable: side('stable', 1 - weight, { shift: other, errors: scenario.stableErrors, sampleRate: 0 }),
    };
  }

  /**
   * Sets the mean service time so that a pod of stable is busy for the queue's `utilisation`.
   * @returns the value to add to ln(latency), so that the mean latency is this service time; 0 when pods are not queues
   */
  #fit(weight: number, pods: PodNumbers): number {
    const {
      scenario: { queue, baseMs },
      requestsPerMinute,
    } = this.#setting;
    if (queue === undefined || weight >= 1) return 0;
    this.#serviceSeconds = (queue.utilisation * pods.stable * 60) / (requestsPerMinute * (1 - weight));
    return Math.log((this.#serviceSeconds * 1000) / baseMs) - this.#table.lnMean;
  }

  #cold(pod: Pod, share: number, at: number): number {
    if (share > 0) pod.since ??= at;
    return Math.log(coldFactor(this.#setting.scenario.cold, at - (pod.since ?? at)));
  }

  #stream(stream: number, side: Side, index: number): Random {
    return new Random(...this.#seeds, stream, side === 'candidate' ? 0 : 1, index);
  }

  #podOf(side: Side, index: number): Pod {
    const pods = this.#pods[side];
    for (let i = pods.length; i <= index; i++) pods.push(this.#podFrom(this.#stream(streams.pods, side, i), side, i));
    return pods[index] as Pod;
  }

  #podFrom(random: Random, side: Side, number: number): Pod {
    const { scenario } = this.#setting;
    const own = podNoise(random, scenario);
    const { kind, pod } = scenario.lasting;
    const lasting = new Held(this.#stream(streams.podLasting, side, number), 60, minutesOf(kind, pod));
    const noise = { at: (seconds: number) => own.at(seconds) + lasting.at(seconds) };
    const factor = side === 'candidate' && scenario.cold.shape === 'lazy' ? scenario.cold.factor : 1;
    return { number, noise, lazy: new LazyCompilation(factor), queue: new Queue(), since: undefined };
  }

  #serve(pod: Pod, load: Load, revision: Revision): PodSlice[] {
    const { classes, queue } = this.#setting.scenario;
    if (queue !== undefined) return this.#queued(pod, load, revision);
    return classes.map((of) => {
      const requests = this.#random.poisson(load.mean * of.share);
      const failures = Math.min(requests, this.#random.poisson(requests * revision.errors));
      const counts = { requests, failures, ...this.#compared(requests, failures, revision.sampleRate) };
      const own = load.side === 'candidate' ? of.slower : 1;
      const shift = revision.shift + Math.log(of.factor * own);
      const buckets = this.#latencies(requests - failures, { shift, side: load.side, pod });
      return { pod: pod.number, sizeClass: of.sizeClass, buckets, ...counts };
    });
  }

  #compared(requests: number, failures: number, sampleRate: number): Pick<PodSlice, 'compared' | 'disagreed'> {
    const compared = Math.min(requests - failures, this.#random.poisson(requests * sampleRate));
    const disagreed = Math.min(compared, this.#random.poisson(compared * this.#setting.scenario.disagreement));
    return { compared, disagreed };
  }

  #latencies(count: number, { shift, side, pod }: Serving): number[] {
    const { baseMs, changingModes } = this.#setting.scenario;
    const hits = changingModes ? 0.7 + 0.2 * Math.sin((2 * Math.PI * this.#seconds) / 1800 + this.#wave) : 0;
    const lnBase = Math.log(baseMs) + shift;
    const buckets: number[] = [];
    for (let i = 0; i < count; i++) {
      const ln = lnBase + this.#draw() + (changingModes && this.#random.uniform() < hits ? -Math.LN10 : 0);
      buckets.push(this.#bucketOf(ln + this.#odd(side, pod)));
    }
    return buckets;
  }

  /** A random ln(latency / base) of one request. */
  #draw(): number {
    return this.#table.ln[this.#random.bits() >>> (32 - tableBits)] ?? 0;
  }

  /**
   * The value to add to ln(latency) of a single request of the candidate. It is above 0 when the request takes a rare
   * path, or when the pod compiles code for it.
   */
  #odd(side: Side, pod: Pod): number {
    if (side === 'stable') return 0;
    const { rare, cold } = this.#setting.scenario;
    const own = rare.share > 0 && this.#random.uniform() < rare.share ? Math.log(rare.factor) : 0;
    return own + (cold.shape === 'lazy' && !pod.lazy.isDone ? Math.log(pod.lazy.next(this.#random.uniform())) : 0);
  }

  #bucketOf(lnMs: number): number {
    const { roundedToMs } = this.#setting.scenario;
    const wholes = roundedToMs === 0 ? 0 : Math.max(1, Math.round(Math.exp(lnMs) / roundedToMs));
    const seen = wholes === 0 ? lnMs : Math.log(roundedToMs * wholes);
    return Math.floor((seen - reportScale.lnLow) / reportScale.lnStep);
  }

  /**
   * One slice of a pod that is a queue. A served request is counted when its answer is complete; a refused request is
   * counted at once.
   */
  #queued(pod: Pod, { side, mean, repeated }: Load, revision: Revision): PodSlice[] {
    const { classes, baseMs } = this.#setting.scenario;
    const random = this.#random;
    const began = this.#seconds - sliceSeconds;
    const attempts = [...Array.from({ length: random.poisson(mean) }, () => 0), ...repeated];
    const arrivals = attempts.map((attempt) => ({ attempt, at: began + sliceSeconds * random.uniform() }));
    arrivals.sort((a, b) => a.at - b.at);
    const lnSeconds = Math.log(baseMs / 1000) + revision.shift;
    const refused = classes.map(() => 0);
    for (const { at, attempt } of arrivals) {
      const index = classes.length === 1 ? 0 : this.#classOf(random.uniform());
      const of = classes[index] ?? oneClass;
      const shift = Math.log(of.factor * (side === 'candidate' ? of.slower : 1)) + this.#odd(side, pod);
      const seconds = Math.exp(lnSeconds + this.#draw() + shift);
      const taken = pod.queue.arrive(at, seconds, { sizeClass: of.sizeClass, attempt });
      if (!taken) {
        refused[index] = (refused[index] ?? 0) + 1;
        this.#repeats.add(at, attempt, this.#seconds);
      }
    }
    const ended = pod.queue.take(this.#seconds);
    return classes.map((of, i) => {
      const served = classes.length === 1 ? ended : ended.filter(({ sizeClass }) => sizeClass === of.sizeClass);
      return this.#answered(pod, of, { served, refused: refused[i] ?? 0 }, revision);
    });
  }

  #answered(pod: Pod, of: SizeClass, { served, refused }: Answers, { errors, sampleRate }: Revision): PodSlice {
    const buckets: number[] = [];
    let failures = refused;
    for (const one of served) {
      const isLate = one.latencySeconds > this.#patience();
      if (isLate) this.#repeats.add(one.endedAt - one.latencySeconds + this.#patience(), one.attempt, this.#seconds);
      if (isLate || this.#random.uniform() < errors) failures += 1;
      else buckets.push(this.#bucketOf(Math.log(one.latencySeconds * 1000)));
    }
    const requests = served.length + refused;
    const counts = { requests, failures, ...this.#compared(requests, failures, sampleRate) };
    return { pod: pod.number, sizeClass: of.sizeClass, buckets, ...counts };
  }

  #classOf(draw: number): number {
    const { classes } = this.#setting.scenario;
    let rest = draw;
    const index = classes.findIndex(({ share }) => (rest -= share) < 0);
    return index < 0 ? classes.length - 1 : index;
  }

  /** Seconds after which a client times out. */
  #patience(): number {
    const { queue } = this.#setting.scenario;
    return queue === undefined || queue.patience === 0 ? Infinity : queue.patience * this.#serviceSeconds;
  }

  #hasWaiting(side: Side): boolean {
    return this.#setting.scenario.queue !== undefined && this.#pods[side].length > 0;
  }
}

/** The stream numbers of the random generators that are separate from the main generator. */
const streams = { lasting: 101, pods: 102, podLasting: 103, arrivals: 104 } as const;

export function podsOf({ pods, candidatePods }: Scenario): PodNumbers {
  return { candidate: candidatePods ?? pods, stable: pods };
}
