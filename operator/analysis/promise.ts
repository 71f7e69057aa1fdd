/**
 * The promise of a step before it begins: how long it will take at the present rate, what it can show, and which
 * increase it would find.
 *
 * Terms: A block is 20 seconds; a window is the blocks by which a step of the rollout is judged. A gate fails when its
 * lower bound is above the limit. A NoFail step ends after a set time if no gate failed; a Pass step ends when every
 * gate passes. Noise is random variation between minutes or pods.
 * Owns: the imagined window. In that window, both revisions behave as stable did in the half hour before the step, with
 * the same noise, and the requests are split by the step's weight. Method: the judge evaluates that window minute by
 * minute (look.ts), so a promise follows every rule of the step. The counts are expected values, so the promised
 * duration is a median (docs/canary-analysis.md). No verdict depends on a promise.
 */
import { tuning } from './constants.ts';
import type { Evidence } from './evidence.ts';
import { addCount, emptyHistogram, type LatencyCounts } from './log-histogram.ts';
import { lookAt, numbersAt } from './look.ts';
import { samplingVariance, type NoiseHistory } from './noise.ts';
import { increaseIn, isCompared, isOverLatency, kindOfGate, type TrafficGate } from './gate-kinds/kinds.ts';
import type { GatePlan } from './plan.ts';
import type { Cell, Nodes, Both } from './series.ts';
import type { GateResult } from './verdict.ts';

/** The traffic before a step. */
export type Past = {
  /** Requests of both revisions together. */
  readonly requestsPerMinute: number;
  /** The share of stable's requests that failed. */
  readonly failureRate: number;
  /** The latencies of the requests that stable answered. */
  readonly latency: LatencyCounts;
  readonly history: (quantile: number) => NoiseHistory;
};

/** The step to make a promise for. */
export type Outlook = {
  readonly plan: GatePlan;
  readonly require: 'NoFail' | 'Pass';
  /** The candidate's share of the traffic, 0 to 1. */
  readonly share: number;
  readonly pods: Both<number>;
  readonly loadIsEqual: boolean;
  readonly nodes?: Nodes;
  readonly maxBlocks: number;
};

export type GatePromise = {
  readonly gate: TrafficGate;
  /**
   * The upper bound that the step shows at its end for a candidate that behaves like stable, in the gate's unit.
   * Null if the step shows no bound for this gate.
   */
  readonly shows: number | null;
  /**
   * The smallest increase that is found in four of five cases. Null if no increase is found that often, or if the gate
   * does not compare with stable.
   */
  readonly finds: number | null;
};

export type StepPromise = {
  readonly requestsPerMinute: number;
  /**
   * Minutes until the step ends for a candidate that behaves like stable. `usual`: the estimates equal the true values.
   * `unlucky`: by chance, the estimates are 0.67 standard errors too high (unluckyIn). A value is null if the step does
   * not end within its time.
   */
  readonly minutes: readonly [usual: number | null, unlucky: number | null];
  /** The time in which the increase `finds` is found, in minutes. */
  readonly findsWithin: number;
  readonly gates: readonly GatePromise[];
};

const blocksAMinute = 3;
/** The largest increase that is tried. An increase of 10 means eleven times stable's latency. */
const mostSlower = 10;
const halvings = 6;
/**
 * The ratio of two increases: the increase that is found in four of five cases, divided by the increase that is found
 * in half of the cases. Both increases are counted from the limit. An increase is found in half of the cases if it
 * exceeds the limit by about 3.4 standard errors. To be found in four of five cases, it must exceed the limit by 0.84
 * standard errors more: 4.24 / 3.4 = 1.25.
 */
const fourOfFive = 1.25;

/** @returns undefined when too little is known for a promise */
export function promiseOf(past: Past, asked: Outlook): StepPromise | undefined {
  if (
    past.latency.total < tuning.hardMinRequests ||
    past.requestsPerMinute <= 0 ||
    asked.share <= 0 ||
    asked.share >= 1
  )
    return undefined;
  // The quality gate has no promise: the past does not show how many answers will be compared and will disagree.
  const gates = asked.plan.gates.filter((gate) => isCompared(gate) || kindOfGate(gate).isForOne);
  const outlook = { ...asked, plan: { ...asked.plan, gates } };
  const world = imaginedIn(past, outlook);
  const end = endOf(world, outlook);
  const late =
    end === undefined ? undefined : endOf(world, outlook, { from: end, unluckyBy: unluckyIn(past, outlook) });
  const horizon = outlook.require === 'NoFail' && end !== undefined ? end : outlook.maxBlocks;
  const results = numbersAt(outlook.plan, world(end ?? outlook.maxBlocks));
  return {
    requestsPerMinute: past.requestsPerMinute,
    minutes: [minutesOf(end), minutesOf(late)],
    findsWithin: horizon / blocksAMinute,
    gates: outlook.plan.gates.map((gate, i) => ({
      gate,
      shows: shownBy(gate, results[i]),
      finds: leastFound(gate, world, outlook, horizon),
    })),
  };
}

/**
 * The increase that a gate's result excludes, in the gate's unit: the upper bound, or the limit when the bound is
 * lower.
 * @returns null if the gate does not compare with stable, or excludes no increase
 */
export function shownBy(gate: TrafficGate, result: Pick<GateResult, 'limit' | 'upper'> | undefined): number | null {
  if (result === undefined || result.upper === null || !Number.isFinite(result.upper)) return null;
  if (!isCompared(gate)) return null;
  // A bound of 1 or more excludes nothing, because every rate is at most 1.
  if (!isOverLatency(gate) && result.upper >= 1) return null;
  return gate.atMost === Infinity && result.upper > result.limit ? null : Math.max(result.limit, result.upper);
}

/** Makes an imagined window of a number of blocks, in which the candidate may be worse. */
type World = (blocks: number, worse?: Worse) => Evidence;
type Worse = {
  /** Added to ln(latency). */ readonly lnSlower?: number;
  /** Added to the share of failed requests. */ readonly failures?: number;
};

type Search = { readonly from?: number; readonly unluckyBy?: (blocks: number) => Worse };

/**
 * The number of blocks after which the step is done. Only whole minutes are tried. Undefined if the step is not done
 * within `maxBlocks`.
 */
function endOf(
  world: World,
  { plan, require, maxBlocks }: Outlook,
  { from = blocksAMinute, unluckyBy = () => ({}) }: Search = {},
): number | undefined {
  for (let blocks = from; blocks <= maxBlocks; blocks += blocksAMinute) {
    if (lookAt(plan, world(blocks, unluckyBy(blocks)), require).step === 'Done') return blocks;
  }
  return undefined;
}

function minutesOf(blocks: number | undefined): number | null {
  return blocks === undefined ? null : blocks / blocksAMinute;
}

/**
 * How much worse than stable an identical candidate looks after `blocks` blocks if it is unlucky: 0.67 standard errors.
 * One of four windows looks worse than that by chance.
 */
function unluckyIn(
  { latency, failureRate, requestsPerMinute, history }: Past,
  { plan, share }: Outlook,
): (blocks: number) => Worse {
  const deviations = 0.67;
  const quantile = firstQuantile(plan);
  const perRequest = samplingVariance(latency, quantile);
  const { minuteSd } = spreadOf(history(quantile));
  return (blocks) => {
    const minutes = blocks / blocksAMinute;
    const inverse = 1 / (requestsPerMinute * minutes * share * (1 - share));
    const lnSlower = deviations * Math.sqrt(perRequest * inverse + (2 * minuteSd ** 2) / minutes);
    return { lnSlower, failures: deviations * Math.sqrt(failureRate * (1 - failureRate) * inverse) };
  };
}

function firstQuantile({ gates }: GatePlan): number {
  return gates.find(isOverLatency)?.quantile ?? 0.95;
}

function leastFound(gate: TrafficGate, world: World, { plan, require }: Outlook, blocks: number): number | null {
  const { imagined } = kindOfGate(gate);
  if (!isCompared(gate) || imagined === undefined) return null;
  const isLatency = imagined === 'lnSlower';
  const limit = increaseIn(gate);
  const asked = { ...plan, gates: [gate] };
  const isFound = (increase: number): boolean =>
    lookAt(asked, world(blocks, isLatency ? { lnSlower: Math.log1p(increase) } : { failures: increase }), require)
      .step === 'Fail';
  let [missed, found] = [Math.max(limit, 1e-4), isLatency ? Math.max(mostSlower, 2 * limit) : 1];
  if (!isFound(found)) return null;
  for (let i = 0; i < halvings; i++) {
    const middle = Math.sqrt(missed * found);
    if (isFound(middle)) found = middle;
    else missed = middle;
  }
  return limit + (found - limit) * fourOfFive;
}

function imaginedIn(past: Past, { plan, share, pods, loadIsEqual, nodes, maxBlocks }: Outlook): World {
  const perBlock = past.requestsPerMinute / blocksAMinute;
  const spread = spreadOf(past.history(firstQuantile(plan)));
  const histories = new Map<number, NoiseHistory>();
  const history = (asked: number): NoiseHistory => {
    const known = histories.get(asked) ?? past.history(asked);
    histories.set(asked, known);
    return known;
  };
  return (blocks, { lnSlower = 0, failures = 0 } = {}) => {
    const own = {
      past,
      ...spread,
      perBlock: perBlock * share,
      failureRate: Math.min(1, past.failureRate + failures),
      lnSlower,
      blocks,
      pods: pods.candidate,
      sign: fromMinute,
    };
    const other = {
      past,
      ...spread,
      perBlock: perBlock * (1 - share),
      failureRate: past.failureRate,
      lnSlower: 0,
      blocks,
      pods: pods.stable,
      sign: everyOther,
    };
    const [candidate, stable] = [cellsOf('candidate', own), cellsOf('stable', other)];
    const window = {
      candidate: candidate.blocks,
      stable: stable.blocks,
      pods: { candidate: candidate.pods, stable: stable.pods },
      firstBlock: 0,
      lastBlock: blocks,
    };
    return { window, history, loadIsEqual, maxBlocks, ...(nodes === undefined ? {} : { nodes }) };
  };
}

/** Standard deviations of one revision's ln(latency): from minute to minute, and from pod to pod. */
function spreadOf({ minutes, weightedVariance, pods }: NoiseHistory): {
  readonly minuteSd: number;
  readonly podSd: number;
} {
  return {
    minuteSd: minutes > 0 ? Math.sqrt(weightedVariance / minutes / 2) : tuning.assumedNoise,
    podSd: Math.sqrt(pods?.variance ?? 0),
  };
}

/**
 * The sign of the noise in a minute: `fromMinute` for the candidate, `everyOther` for stable. Over four minutes, the
 * difference between the revisions has a mean of 0, and its variance is the sum of the variances of both revisions.
 */
const fromMinute = (minute: number): number => (minute % 2 === 0 ? 1 : -1);
const everyOther = (minute: number): number => (minute % 4 < 2 ? 1 : -1);

type Side = {
  readonly past: Past;
  readonly minuteSd: number;
  readonly podSd: number;
  readonly perBlock: number;
  readonly failureRate: number;
  readonly lnSlower: number;
  readonly blocks: number;
  readonly pods: number;
  readonly sign: (minute: number) => number;
};

/**
 * One revision's expected counts, by block and by pod. The window's last block has no counts, because it is not
 * complete yet.
 */
function cellsOf(pod: string, side: Side): { readonly blocks: readonly Cell[]; readonly pods: readonly Cell[] } {
  const {
    past: { latency },
    blocks,
    perBlock,
    failureRate,
    lnSlower,
  } = side;
  const cell = (name: string, block: number, requests: number, ln: number): Cell => ({
    pod: name,
    block,
    tier: 'any',
    sizeClass: 0,
    requests,
    failures: requests * failureRate,
    latency: moved(latency, lnSlower + ln, requests * (1 - failureRate)),
    compared: 0,
    disagreed: 0,
  });
  // Noise of a minute is the same in each of its blocks.
  const loud = [1, -1].map((sign) => cell('', 0, perBlock, sign * side.minuteSd));
  const byBlock = Array.from({ length: blocks }, (_, block) => ({
    ...(loud[side.sign(Math.floor(block / blocksAMinute)) > 0 ? 0 : 1] as Cell),
    block,
  }));
  const count = Math.max(1, side.pods);
  const even = count - (count % 2);
  const byPod = Array.from({ length: count }, (_, i) =>
    cell(`${pod}-${i}`, 0, (perBlock * blocks) / count, i < even ? fromMinute(i) * side.podSd : 0),
  );
  return { blocks: byBlock, pods: byPod };
}

/** A histogram shifted by `ln` in ln(latency) and scaled to a number of requests. */
function moved(histogram: LatencyCounts, ln: number, requests: number): LatencyCounts {
  const { scale, counts, first, last, total } = histogram;
  const made = emptyHistogram(scale);
  const by = ln / scale.lnStep;
  const whole = Math.floor(by);
  const rest = by - whole;
  const weight = requests / total;
  for (let i = first; i <= last; i++) {
    const count = (counts[i] ?? 0) * weight;
    addCount(made, i + whole, count * (1 - rest));
    addCount(made, i + whole + 1, count * rest);
  }
  return made;
}
