/**
 * Complete rollouts under Argo Rollouts, Flagger and Kayenta. Each tool is configured as in the example of its
 * documentation.
 * Owns: the weights, the intervals and when a rollout ends. Latency is judged as in baselines.ts (p95, 15 %), and
 * errors by the limits of the tools' examples. Pods start at once, as in our simulated rollouts.
 * Terms: a rollout gives the candidate (the new revision) more and more of the traffic of stable (the serving
 * revision); the weight is the candidate's share. To promote is to make the candidate the new stable.
 */
import { Minutely, isHigh, type BaselineName } from './baselines.ts';
import type { RolloutRun } from './rollout.ts';
import { sliceSeconds, type World } from './world.ts';

/** Stable's true p95 and error rate, for thresholds that are absolute numbers. */
type Stable = { readonly p95Ms: number; readonly errors: number };
type Side = { readonly p95Ms: number | undefined; readonly errors: number | undefined };
type Measured = { readonly candidate: Side; readonly stable: Side };

export function rollOutWith(name: BaselineName, world: World, stable: Stable): RolloutRun {
  const tried = new Tried(world);
  return { 'argo-rollouts': argoRollouts, flagger, kayenta }[name](tried, stable);
}

/** A simulated service, with the candidate's number of requests and its highest weight so far. */
class Tried {
  readonly #world: World;
  #requests = 0;
  #mostWeight = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /**
   * Simulates some minutes at a weight (0..1). @returns the p95 and the error rate of each revision over these minutes
   */
  measure(weight: number, minutes: number): Measured {
    this.#mostWeight = Math.max(this.#mostWeight, weight);
    const sides = { candidate: new Minutely(), stable: new Minutely() };
    for (let i = 0; i < (minutes * 60) / sliceSeconds; i++) {
      const slice = this.#world.next(weight);
      sides.candidate.add(slice.candidate);
      sides.stable.add(slice.stable);
      this.#requests += slice.candidate.reduce((sum, { requests }) => sum + requests, 0);
    }
    const { candidate, stable } = sides;
    return { candidate: sideOf(candidate), stable: sideOf(stable) };
  }

  end(ending: 'Promoted' | 'RolledBack'): RolloutRun {
    const minutes = this.#world.seconds / 60;
    const reachedHalf = this.#mostWeight >= 0.5;
    return { ending, endingIfPromoted: ending, minutes, candidateRequests: this.#requests, reachedHalf };
  }
}

function sideOf(minute: Minutely): Side {
  return { p95Ms: minute.value('latency'), errors: minute.value('errors') };
}

const tolerance = 1.15;

/**
 * Configured as in Argo Rollouts' features/analysis.md, section background analysis. The weight grows by 20 % every ten
 * minutes. From the second weight on, a measurement is made every five minutes and covers the last five minutes.
 * failureLimit is 3, and the success rate must be at least 95 %.
 */
function argoRollouts(tried: Tried): RolloutRun {
  tried.measure(0.2, 10);
  const run = new AnalysisRun();
  for (const weight of [0.4, 0.6, 0.8].flatMap((one) => [one, one])) {
    run.take(tried.measure(weight, 5));
    if (run.isBad) return tried.end('RolledBack');
  }
  return tried.end('Promoted');
}

/**
 * The counts of a background analysis. For each metric, failureLimit is 3 and consecutiveErrorLimit is 4. A query
 * without a value is an error.
 */
class AnalysisRun {
  #errors = 0;
  #slow = 0;
  #failing = 0;

  take({ candidate, stable }: Measured): void {
    if (candidate.p95Ms === undefined || stable.p95Ms === undefined) {
      this.#errors += 1;
      return;
    }
    this.#errors = 0;
    if (candidate.p95Ms > tolerance * stable.p95Ms) this.#slow += 1;
    if ((candidate.errors ?? 0) > 0.05) this.#failing += 1;
  }

  get isBad(): boolean {
    return this.#errors > 4 || this.#slow > 3 || this.#failing > 3;
  }
}

/**
 * Configured as in Flagger's usage/how-it-works.md: one check per minute, stepWeight 5, maxWeight 50, and a success
 * rate of at least 99 %. The threshold is 5, as in the tutorials. After a failed check, the weight stays the same for
 * another minute. After the last weight, one tick promotes and one tick finishes.
 */
function flagger(tried: Tried, stable: Stable): RolloutRun {
  let [weight, failed] = [0.05, 0];
  // Flagger's first tick only sets the weight to 5 %; the simulation starts after it. Each pass of the loop is one
  // later tick.
  for (;;) {
    const { candidate } = tried.measure(weight, 1);
    if (failed >= 5) return tried.end('RolledBack');
    const { p95Ms = Infinity, errors = 0 } = candidate;
    if (p95Ms > tolerance * stable.p95Ms || errors > 0.01) failed += 1;
    else if (weight >= 0.5 - 1e-9) break;
    else weight += 0.05;
  }
  // One tick updates the primary to the new revision; the next tick sends all traffic to the primary.
  tried.measure(weight, 2);
  return tried.end('Promoted');
}

/**
 * Configured as in Spinnaker's best practices: three hours, a judgement every hour, a canary and a baseline of equal
 * size, and at least 50 points per metric. There is one point per minute. The two metrics (p95 and errors) have the
 * same weight. A canary with one High metric therefore scores 50 of 100, which is below the marginal score of 75.
 */
function kayenta(tried: Tried): RolloutRun {
  const minutes: Measured[] = [];
  const isBad = (metric: keyof Side): boolean => {
    const of = (side: 'candidate' | 'stable'): readonly number[] => minutes.flatMap((one) => one[side][metric] ?? []);
    return isHigh(of('candidate'), of('stable'));
  };
  for (let minute = 1; minute <= 180; minute++) {
    minutes.push(tried.measure(0.5, 1));
    if (minute % 60 === 0 && (isBad('p95Ms') || isBad('errors'))) return tried.end('RolledBack');
  }
  return tried.end('Promoted');
}
