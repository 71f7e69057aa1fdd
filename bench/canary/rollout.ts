/**
 * A complete rollout with default settings in a simulated service.
 * Owns: the operator's loop: it sets weights, pods and windows step by step, evaluates reports, and ends the rollout.
 * The operator's own code computes steps, pods, gates and verdicts. Pods start without a delay.
 * Terms: a step gives the candidate (the new revision) a share of the traffic, or judges it against stable (the
 * serving revision) in a window. Reports count in blocks of 20 s, the simulation in slices of 5 s. A gate limits one
 * measure; its verdict is Pass, Fail or Undecided, and its bounds contain the true value with probability 1 - alpha.
 */
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { historyBefore } from '../../operator/analysis/history.ts';
import { judge, stepVerdict, verdicts, type StepVerdict } from '../../operator/analysis/judge.ts';
import { reportScale } from '../../operator/analysis/log-histogram.ts';
import { planOf, type GatePlan } from '../../operator/analysis/plan.ts';
import type { Cell } from '../../operator/analysis/series.ts';
import type { GateResult } from '../../operator/analysis/verdict.ts';
import { isLoadEqual } from '../../operator/gates/evidence.ts';
import { rolloutPlanOf, type RolloutPlan, type Step } from '../../operator/rollout/plan.ts';
import { fleetOf } from '../../operator/rollout/serving.ts';
import { splitFor } from '../../operator/rollout/replicas.ts';
import { Counter } from './counter.ts';
import type { Scenario } from './scenarios.ts';
import { lnQuantileOf, truthOf } from './truth.ts';
import { sliceSeconds, type PodNumbers, type Slice, type World } from './world.ts';

export type Router = RolloutPlan['router'];

export type RolloutSetting = {
  readonly scenario: Scenario;
  readonly replicas: number;
  readonly router: Router;
  /** Minutes with stable alone before the rollout. The judge estimates noise from the reports of these minutes. */
  readonly historyMinutes: number;
  /**
   * True: the judge evaluates every report (twelve evaluations per minute). False: it evaluates only the first report
   * of each block (three evaluations per minute).
   */
  readonly everyReport: boolean;
  /**
   * True: the candidate has as many pods as stable in every step. False: the candidate has the number of pods that its
   * share of the traffic needs.
   */
  readonly podsEach: boolean;
};

/** How a rollout ended. `Held` means that a step reached its maximum duration without a verdict. */
export type Ending = 'Promoted' | 'RolledBack' | 'Held';

/** Whether the bounds of one gate in one window contained the true value. */
export type Shown = {
  readonly gate: string;
  /** The error probability that the gate's bounds allow. */
  readonly alpha: number;
  /** True when the true value was outside the bounds at the end of the window. */
  readonly isMissedAtEnd: boolean;
  /** True when the true value was outside the bounds at the end of the window or at one of `seenAfterMinutes`. */
  readonly isEverMissed: boolean;
};

export type Outcome = {
  readonly ending: Ending;
  /**
   * How the rollout ends with `onUndecided: Promote`. With this setting, an undecided step is followed by the next
   * step.
   */
  readonly endingIfPromoted: 'Promoted' | 'RolledBack';
  /** Minutes until the rollout ended or was held. */
  readonly minutes: number;
  /** The duration of each analysis window, in minutes. */
  readonly stepMinutes: readonly number[];
  /** The number of requests that the candidate received until the rollout ended or was held. */
  readonly candidateRequests: number;
  readonly candidateFailures: number;
  /**
   * The number of the candidate's answers that took longer than 1.15 times stable's p95; undefined where pods are
   * queues.
   */
  readonly candidateSlow: number | undefined;
  /** True when the candidate had half of the traffic or more at the time at which the rollout ended or was held. */
  readonly reachedHalf: boolean;
  /**
   * The results of the gates in the last window before the promotion; undefined when the candidate was not promoted.
   */
  readonly promotedOn: readonly GateResult[] | undefined;
  /**
   * True when the candidate was promoted although, for some gate, its true difference from stable is larger than the
   * gate's limit and larger than the upper bound of the last window.
   */
  readonly isWronglyPromoted: boolean;
  readonly windows: readonly Shown[];
};

/** The fields of the result that simulated rollouts of Argo Rollouts, Flagger and Kayenta have, too. */
type Always = 'ending' | 'endingIfPromoted' | 'minutes' | 'candidateRequests' | 'reachedHalf';
/** The result of a rollout by any tool. Only our rollouts have bounds and windows, and only they can be held. */
export type RolloutRun = Pick<Outcome, Always> & Partial<Outcome>;

/** @param world a new world, in which nothing was simulated yet, with the scenario of the setting */
export function rollOut(world: World, setting: RolloutSetting): Outcome {
  const { replicas, router } = setting;
  const rollout = rolloutPlanOf({ replicas, rollout: { strategy: 'Canary' }, traffic: { router } }, 0);
  const course = new Course(world, setting, rollout);
  for (const step of rollout.steps) {
    if (step.kind === 'weight' && step.weight >= 100) break;
    if (course.take(step) === 'Fail') return course.end('RolledBack');
  }
  return course.end('Promoted');
}

/**
 * The bounds of a window are compared with the true value only at its end and in the first slice after each of these
 * minutes. Computing bounds takes three times as long as computing verdicts, and bounds change more slowly as the
 * window grows.
 */
const seenAfterMinutes = [2, 5, 10, 20];
const seenAt: ReadonlySet<number> = new Set(seenAfterMinutes.map((minute) => (minute * 60) / sliceSeconds + 1));

type WindowEnd = 'Done' | 'Fail' | 'Undecided';
type Held = Pick<Outcome, 'minutes' | 'candidateRequests' | 'candidateFailures' | 'candidateSlow' | 'reachedHalf'>;

class Course {
  readonly #world: World;
  readonly #setting: RolloutSetting;
  readonly #rollout: RolloutPlan;
  readonly #plan: GatePlan;
  readonly #began: number;
  readonly #slowFrom: number;
  /** Stable's counts: first the counts of the history before the rollout, then the counts of each window. */
  readonly #stable: Cell[] = [];
  readonly #seen = { requests: 0, failures: 0, slow: 0 };
  readonly #stepMinutes: number[] = [];
  readonly #windows: Shown[] = [];
  #weight = 0;
  #share = 0;
  #pods: PodNumbers;
  #last: readonly GateResult[] | undefined;
  #held: Held | undefined;

  constructor(world: World, setting: RolloutSetting, rollout: RolloutPlan) {
    this.#world = world;
    this.#setting = setting;
    this.#rollout = rollout;
    this.#plan = planOf();
    this.#pods = { candidate: 0, stable: setting.replicas };
    this.#slowFrom = slowBucketOf(setting.scenario);
    const history = new Counter(Math.ceil(world.seconds / blockSeconds));
    for (let slice = 0; slice < (setting.historyMinutes * 60) / sliceSeconds; slice++) history.add(this.#next());
    this.#stable.push(...history.cells.stable);
    this.#began = world.seconds;
  }

  /** Runs one step. @returns Fail when the rollout must roll back */
  take(step: Step): WindowEnd {
    if (step.kind === 'weight') return this.#shift(step.weight);
    if (step.kind === 'pause') return this.#pause(step.durationMs ?? 0);
    // Shadow steps are judged by pairs, which paired.ts measures.
    if (step.kind === 'shadow') throw new Error('these scenarios do not have a shadow step');
    const end = this.#analyze(step);
    if (end === 'Undecided') this.#held ??= this.#soFar();
    return end;
  }

  end(ending: 'Promoted' | 'RolledBack'): Outcome {
    const isHeld = this.#held !== undefined;
    const isPromoted = !isHeld && ending === 'Promoted';
    return {
      ...(this.#held ?? this.#soFar()),
      ending: isHeld ? 'Held' : ending,
      endingIfPromoted: ending,
      stepMinutes: this.#stepMinutes,
      promotedOn: isPromoted ? this.#last : undefined,
      isWronglyPromoted: isPromoted && this.#isWorseThanShown(),
      windows: this.#windows,
    };
  }

  #soFar(): Held {
    const { requests, failures, slow } = this.#seen;
    return {
      minutes: (this.#world.seconds - this.#began) / 60,
      candidateRequests: requests,
      candidateFailures: failures,
      candidateSlow: this.#setting.scenario.queue === undefined ? slow : undefined,
      reachedHalf: this.#share >= 0.5,
    };
  }

  /**
   * True when, for one of the gates, the candidate's true difference from stable exceeds both the gate's limit and the
   * gate's upper bound in the last window.
   */
  #isWorseThanShown(): boolean {
    return (this.#last ?? []).some((result, i) => {
      const gate = this.#plan.gates[i];
      const truth = gate === undefined ? undefined : truthOf(gate, this.#setting.scenario);
      return truth !== undefined && truth > Math.max(result.limit, result.upper ?? Infinity);
    });
  }

  #shift(weight: number): WindowEnd {
    const { router, replicas, podsEach } = this.#setting;
    this.#weight = weight;
    this.#pods = podsEach
      ? { candidate: replicas, stable: replicas }
      : splitFor(weight, fleetOf({ floor: replicas }, this.#rollout));
    const { candidate, stable } = this.#pods;
    this.#share = router === 'Service' ? candidate / (candidate + stable) : weight / 100;
    return 'Done';
  }

  #pause(ms: number): WindowEnd {
    for (let at = 0; at < ms; at += sliceSeconds * 1000) this.#next();
    return 'Done';
  }

  #analyze({ require, maxDurationMs }: Extract<Step, { kind: 'analyze' }>): WindowEnd {
    while (this.#world.seconds % blockSeconds !== 0) this.#next();
    const began = this.#world.seconds;
    const firstBlock = began / blockSeconds;
    const counter = new Counter(firstBlock);
    const { router, scenario } = this.#setting;
    const loadIsEqual = isLoadEqual({ router, weight: this.#weight, ready: this.#pods });
    const truths = new Truths(this.#plan, scenario, loadIsEqual);
    const known = {
      history: historyBefore(firstBlock, this.#stable),
      loadIsEqual,
      maxBlocks: maxDurationMs / 1000 / blockSeconds,
    };
    const slices = maxDurationMs / 1000 / sliceSeconds;
    let verdict: StepVerdict = 'Waiting';
    for (let slice = 1; slice <= slices && verdict === 'Waiting'; slice++) {
      counter.add(this.#next());
      if (!this.#isLookedAt(counter) && slice < slices) continue;
      const evidence = { window: counter.window, ...known };
      verdict = stepVerdict(this.#plan, evidence, verdicts(this.#plan, evidence), require);
      const isEnd = verdict !== 'Waiting' || slice === slices;
      if (isEnd || seenAt.has(slice)) this.#last = truths.see(judge(this.#plan, evidence));
    }
    const end = verdict === 'Waiting' ? 'Undecided' : verdict;
    this.#stepMinutes.push((this.#world.seconds - began) / 60);
    this.#stable.push(...counter.cells.stable);
    this.#windows.push(...truths.shown);
    return end;
  }

  #isLookedAt(counter: Counter): boolean {
    return this.#setting.everyReport || counter.isAtNewBlock;
  }

  #next(): Slice {
    const slice = this.#world.next(this.#share, this.#pods);
    for (const { requests, failures, buckets } of slice.candidate) {
      this.#seen.requests += requests;
      this.#seen.failures += failures;
      for (const bucket of buckets) if (bucket >= this.#slowFrom) this.#seen.slow += 1;
    }
    return slice;
  }
}

/** Compares the true values with the bounds that the gates of one window report. */
class Truths {
  readonly #truths: readonly (number | undefined)[];
  #shown: readonly Shown[] = [];

  constructor(plan: GatePlan, scenario: Scenario, loadIsEqual: boolean) {
    // Do not compare queues whose load is unequal: a queue with less load is faster and refuses fewer requests, so the
    // difference is not a property of the revision.
    const gates = scenario.queue !== undefined && !loadIsEqual ? [] : plan.gates;
    this.#truths = gates.map((gate) => truthOf(gate, scenario));
  }

  get shown(): readonly Shown[] {
    return this.#shown;
  }

  see(results: readonly GateResult[]): readonly GateResult[] {
    this.#shown = results.flatMap(({ gate, alpha, lower, upper }, i) => {
      const truth = this.#truths[i];
      if (truth === undefined) return [];
      const isMissedAtEnd = (lower !== null && truth < lower) || (upper !== null && truth > upper);
      const before = this.#shown.find((one) => one.gate === gate);
      return [{ gate, alpha, isMissedAtEnd, isEverMissed: isMissedAtEnd || before?.isEverMissed === true }];
    });
    return results;
  }
}

/** The first histogram bucket above 1.15 times stable's true p95. */
function slowBucketOf(scenario: Scenario): number {
  const ln = Math.log(scenario.baseMs) + lnQuantileOf(0.95, scenario, false) + Math.log(1.15);
  return Math.ceil((ln - reportScale.lnLow) / reportScale.lnStep);
}
