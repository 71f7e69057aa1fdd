/**
 * The judge: a plan and what both revisions did in a window → a verdict for every gate, and for the step.
 *
 * Owns:   which numbers each gate looks at, and the rule by which gates end a step. What happens then is
 *         operator/rollout's to decide.
 * Pure:   a function of the counts in the window. No clock, no memory: a restart, another leader, more looks, and
 *         reports that are late, repeated or in another order give the same verdict.
 * Rule:   a Fail ends its window. The caller stores it: what comes after is shown but decides nothing.
 */
import { present } from '../../api/present.ts';
import { alphasOf, cellsOfClass, classesWithEnough, EachClass } from './classes.ts';
import { confidences, earlyPromise, equalLoadLn, tuning } from './constants.ts';
import { stillNeeded } from './forecast.ts';
import { LatencyJudgement, type LatencyQuestion } from './latency.ts';
import { reportScale } from './log-histogram.ts';
import type { NoiseHistory } from './noise.ts';
import { noHistory } from './noise.ts';
import { canPassByPairs, combined, judgePaired } from './paired.ts';
import type { PairedSeries } from './paired-series.ts';
import { toShow, type Confidence, type Plan, type Span, type TrafficGate } from './plan.ts';
import { RateJudgement, type RateQuestion } from './rate.ts';
import {
  cellsInside,
  classWeights,
  countSeries,
  extentOf,
  latencySeries,
  type Cell,
  type Extent,
  type Measure,
  type Nodes,
  type Pair,
  type Window,
} from './series.ts';
import type { Decided, GateResult, PairedResult } from './verdict.ts';

export type Evidence = {
  readonly window: Window;
  /** Noise of stable before the window, by quantile (noise-history.ts, learnHistory); absent: none is known. */
  readonly history?: (quantile: number) => NoiseHistory;
  /**
   * Pods of the two revisions carry about the same load each. Where not, the requests of each pod in the window say
   * whose carry more: a slower answer under less load is the revision's, and so is a faster one under more.
   */
  readonly loadIsEqual: boolean;
  /** Where the pods run; Unlike where nothing is said. */
  readonly nodes?: Nodes;
  /**
   * Blocks that the step may last: how long a Pass waits for its own limit depends on it. 30 minutes where nothing is
   * said.
   */
  readonly maxBlocks?: number;
  /**
   * The candidate has all the traffic: its requests alone are counted. The plan then has limits only (plan.ts,
   * limitsOf).
   */
  readonly alone?: boolean;
  /** The same requests, asked of both revisions; absent: nobody asked for that, and live requests have all of α. */
  readonly paired?: PairedSeries;
};

export type StepVerdict = 'Done' | 'Fail' | 'Waiting';

type Facts = {
  readonly plan: Plan;
  readonly span: Span;
  readonly extent: Extent;
  readonly cells: Pair<readonly Cell[]>;
  readonly pods: Pair<readonly Cell[]>;
  readonly firstBlock: number;
  readonly history: (quantile: number) => NoiseHistory;
  readonly load: Load;
  readonly nodes: Nodes;
  readonly paired: PairedSeries | undefined;
};

/** What a candidate's pod carries against one of stable's. Unknown: not equal, and its requests do not show how. */
export type Load = 'Equal' | 'Less' | 'More' | 'Unknown';

type Judgement = LatencyJudgement | EachClass | RateJudgement;

/** Every gate's verdict with its numbers, in the plan's order. */
export function judge(plan: Plan, evidence: Evidence): readonly GateResult[] {
  const facts = factsOf(plan, evidence);
  return plan.gates.map((gate) => {
    const judgement = judgementOf(gate, facts);
    const paired = pairedOf(gate, facts);
    const decided = together(decisionOf(gate, facts, judgement), paired);
    const { requestsStillNeeded, neededRange, ...numbers } = judgement.numbers();
    return {
      gate: gate.name,
      ...decided,
      ...numbers,
      ...stillNeeded(decided, { requestsStillNeeded, neededRange }),
      ...present({ paired }),
    };
  });
}

/** Every gate's verdict without its numbers, the same as judge's: for those that look often. */
export function verdicts(plan: Plan, evidence: Evidence): readonly Decided[] {
  const facts = factsOf(plan, evidence);
  return plan.gates.map((gate) => together(decisionOf(gate, facts, judgementOf(gate, facts)), pairedOf(gate, facts)));
}

function together(live: Decided, paired: PairedResult | undefined): Decided {
  return paired === undefined ? live : combined(live, paired);
}

/**
 * Whether a step may end.
 *
 * Any Fail fails it at once. NoFail is done when it has lasted long enough to see a slow candidate (constants.ts,
 * confidences), every gate could have failed, and nothing worse than the early promise is shown, or cannot be in time.
 * Pass is done when every gate passes. Either needs minRequests of both revisions, of which those that nobody wrote
 * give way where the traffic is too low for them.
 */
export function stepVerdict(
  plan: Plan,
  evidence: Seen,
  gates: readonly Decided[],
  require: 'NoFail' | 'Pass',
): StepVerdict {
  if (gates.some((gate) => gate.verdict === 'Fail')) return 'Fail';
  const { window, alone = false, maxBlocks = usualBlocks } = evidence;
  const requests = requestsSeen(plan, evidence);
  // The last block is still being counted.
  const span = { known: extentOf(window).known - 1, maxBlocks };
  if (span.known < tuning.minBlocks) return 'Waiting';
  if (require === 'Pass')
    return requests >= requestsFor(plan, span) && gates.every((gate) => gate.verdict === 'Pass') ? 'Done' : 'Waiting';
  return earlyStepWaits(plan, { ...span, requests, alone }, gates) === undefined ? 'Done' : 'Waiting';
}

/**
 * What holds a NoFail step up: it is young, a gate could not have failed yet, requests are missing, or its promise is.
 */
export type StepWaits = 'Time' | 'Blind' | 'Requests' | 'Promise';

/** @returns undefined when nothing does @param gates none of which fails */
export function noFailWaitsFor(plan: Plan, evidence: Seen, gates: readonly Decided[]): StepWaits | undefined {
  const { window, alone = false, maxBlocks = usualBlocks } = evidence;
  return earlyStepWaits(
    plan,
    { known: extentOf(window).known - 1, maxBlocks, requests: requestsSeen(plan, evidence), alone },
    gates,
  );
}

type Seen = Pick<Evidence, 'window' | 'alone' | 'maxBlocks' | 'paired'>;

/** Of the revision that had fewer; of a candidate without traffic, what it answered beside stable. */
function requestsSeen({ isShadow }: Plan, { window, alone = false, paired }: Seen): number {
  const { candidate, stable } = cellsInside(window);
  if (isShadow === true) return Math.max(paired?.series.total.total ?? 0, total(candidate, comparedOf));
  return Math.min(total(candidate, requestsOf), alone ? Infinity : total(stable, requestsOf));
}

/** 30 minutes. */
const usualBlocks = 90;

/** Once a Pass may show least, few requests will do where the spec does not ask for more. */
function requestsFor(plan: Plan, span: Span): number {
  const {
    stages: [, second],
    relaxes,
  } = timingOf(plan);
  return plan.isMinRequestsWritten === false && relaxes && span.known >= second * span.maxBlocks
    ? Math.min(plan.minRequests, tuning.hardMinRequests)
    : plan.minRequests;
}

/** A step that may last less than it is asked to must be able to end. */
function within(blocks: number, maxBlocks: number): number {
  return Math.min(blocks, Math.max(tuning.minBlocks, maxBlocks - tuning.minBlocks));
}

/** Blocks that a NoFail step lasts at least, and until which it may wait for its promise. */
export function noFailBlocks(
  plan: Plan,
  maxBlocks: number = usualBlocks,
  alone = false,
): { readonly least: number; readonly most: number } {
  const { noFailBlocks: beside, failBlocks, earlyBlocks } = timingOf(plan);
  return {
    least: within(alone ? failBlocks + tuning.minBlocks : beside, maxBlocks),
    most: within(earlyBlocks, maxBlocks),
  };
}

function earlyStepWaits(
  plan: Plan,
  { known, maxBlocks, requests, alone }: Span & { readonly requests: number; readonly alone: boolean },
  gates: readonly Decided[],
): StepWaits | undefined {
  const { least, most } = noFailBlocks(plan, maxBlocks, alone);
  if (known < least) return 'Time';
  if (gates.some(({ early }) => early === 'Blind')) return 'Blind';
  // At this rate neither the requests nor the promise will come in time.
  const isTooSlow = (requests * within(tuning.promiseBlocks, maxBlocks)) / known < tuning.promiseRequests;
  const isOver = known >= most || isTooSlow;
  const givesWay = plan.isMinRequestsWritten === false && isOver;
  if (requests < (givesWay ? Math.min(tuning.fewestRequests, plan.minRequests) : plan.minRequests)) return 'Requests';
  return isOver || gates.every(({ early, verdict }) => early === 'Shown' || verdict === 'Pass') ? undefined : 'Promise';
}

function timingOf({ confidence = 'Standard' }: Plan): (typeof confidences)[Confidence] {
  return confidences[confidence];
}

function factsOf(
  plan: Plan,
  { window, history, loadIsEqual, nodes = 'Unlike', maxBlocks = usualBlocks, paired }: Evidence,
): Facts {
  const cells = cellsInside(window);
  const pods = window.pods ?? cells;
  const extent = extentOf(window);
  const span = { known: extent.known - 1, maxBlocks };
  return {
    plan,
    span,
    extent,
    cells,
    pods,
    firstBlock: window.firstBlock,
    history: history ?? (() => noHistory),
    load: loadIsEqual ? 'Equal' : loadOf(pods),
    nodes,
    paired,
  };
}

/** Whose pods carry more in a window. */
export function loadIn({ window, loadIsEqual }: Pick<Evidence, 'window' | 'loadIsEqual'>): Load {
  return loadIsEqual ? 'Equal' : loadOf(window.pods ?? cellsInside(window));
}

/** By the requests that a pod of each revision had in the window. */
function loadOf(pods: Pair<readonly Cell[]>): Load {
  const [own, other] = [pods.candidate, pods.stable].map(
    (cells) => total(cells, requestsOf) / Math.max(1, podsOf(cells)),
  );
  if (own === undefined || other === undefined || own === 0 || other === 0) return 'Unknown';
  const ratio = Math.log(own / other);
  return Math.abs(ratio) <= equalLoadLn ? 'Unknown' : ratio < 0 ? 'Less' : 'More';
}

/**
 * A server's latency grows with its load. A candidate with less of it may still Fail, but not Pass; one with more may
 * Pass, but not Fail.
 */
function decisionOf(gate: TrafficGate, { load }: Facts, judgement: Judgement): Decided {
  if (gate.kind !== 'latency-increase' || load === 'Equal') return judgement.decide();
  if (load === 'Unknown') return { verdict: 'Undecided', reason: 'LoadUnequal', early: 'Blind' };
  const decided = judgement.decide();
  if (load === 'Less')
    return decided.verdict === 'Fail' ? decided : { ...decided, verdict: 'Undecided', reason: 'LoadUnequal' };
  return decided.verdict === 'Pass' ? decided : { verdict: 'Undecided', reason: 'LoadUnequal', early: 'Blind' };
}

const requestsOf: Measure = (cell) => cell.requests;
const failuresOf: Measure = (cell) => cell.failures;
const answeredOf: Measure = (cell) => cell.latency.total;
const comparedOf: Measure = (cell) => cell.compared;
const disagreedOf: Measure = (cell) => cell.disagreed;

function judgementOf(gate: TrafficGate, facts: Facts): Judgement {
  switch (gate.kind) {
    case 'latency-increase':
      return gate.eachClass === true ? eachClass(gate, facts) : new LatencyJudgement(latencyQuestion(gate, facts));
    case 'latency-limit':
      return new LatencyJudgement(latencyQuestion(gate, facts));
    case 'errors-increase':
      return new RateJudgement(
        rateQuestion(gate, facts, { events: failuresOf, trials: requestsOf }, { increase: gate.increase }),
      );
    case 'errors-limit':
      return new RateJudgement(
        rateQuestion(gate, facts, { events: failuresOf, trials: requestsOf }, { max: gate.max }),
      );
    case 'disagreement-limit':
      return new RateJudgement(
        rateQuestion(gate, facts, { events: disagreedOf, trials: comparedOf }, { max: gate.max }),
      );
  }
}

function eachClass(gate: TrafficGate & { kind: 'latency-increase' }, facts: Facts): EachClass {
  const { mix, each } = alphasOf(gate.alpha ?? facts.plan.alphaPerGate);
  const classes = classesWithEnough(facts.cells, gate.quantile).map((of) => {
    const own = { ...facts, cells: cellsOfClass(facts.cells, of), pods: cellsOfClass(facts.pods, of) };
    return { of, judgement: new LatencyJudgement(latencyQuestion({ ...gate, alpha: each }, own)) };
  });
  return new EachClass(new LatencyJudgement(latencyQuestion({ ...gate, alpha: mix }, facts)), classes);
}

/**
 * What a gate may spend, and what it has to show by now. From the window's first pair on, live requests and pairs have
 * half each of what a gate against stable's latency may spend.
 */
function askedOf(gate: TrafficGate, { plan, span, paired, cells }: Facts) {
  const { failBlocks, warmBlocks, passAlpha: whole } = timingOf(plan);
  const share = gate.kind === 'latency-increase' && paired !== undefined ? 1 / 2 : 1;
  const alpha = share * (('alpha' in gate ? gate.alpha : undefined) ?? plan.alphaPerGate);
  const passAlpha = share * whole;
  const atMost = 'atMost' in gate ? gate.atMost : undefined;
  const shown = (limit: number, early: number) => ({
    toShow: toShow(limit, atMost, plan, span),
    early: Math.max(limit, early),
  });
  // A step that may last a few minutes only has to judge within them.
  const isFew =
    'failsFrom' in gate && gate.failsFrom !== undefined && total(cells.candidate, requestsOf) < gate.failsFrom;
  const isTooEarlyToFail = isFew || span.known < Math.min(failBlocks, span.maxBlocks / 3);
  return {
    alpha,
    passAlpha,
    shown,
    isTooEarlyToFail,
    warmBlocks: warmBlocks * Math.min(1, span.maxBlocks / usualBlocks),
  };
}

/** Against stable both revisions get the same mix of classes; a limit in milliseconds is one of the mix that is. */
function latencyQuestion(
  gate: TrafficGate & { kind: 'latency-increase' | 'latency-limit' },
  facts: Facts,
): LatencyQuestion {
  const { cells, pods, extent, firstBlock, history, nodes } = facts;
  const { shown, ...asked } = askedOf(gate, facts);
  const both = (side: keyof Pair<unknown>) => ({ blocks: cells[side], pods: pods[side] });
  const scale = (cells.candidate[0] ?? cells.stable[0])?.latency.scale ?? reportScale;
  const span = { firstBlock, positions: extent.positions, scale };
  const common = { ...asked, quantile: gate.quantile, known: extent.known, history: history(gate.quantile), nodes };
  if (gate.kind === 'latency-limit')
    return {
      ...common,
      podDeviations: podDeviationsOf(undefined),
      ...shown(gate.maxMs, Infinity),
      candidate: latencySeries(both('candidate'), span),
      against: { maxMs: gate.maxMs },
    };
  const weights = classWeights(cells, answeredOf);
  const candidate = latencySeries(both('candidate'), span, weights.candidate);
  return {
    ...common,
    podDeviations: podDeviationsOf(gate.atMost),
    ...shown(gate.tolerance, earlyOf(gate)),
    candidate,
    against: { stable: latencySeries(both('stable'), span, weights.stable), tolerance: gate.tolerance },
  };
}

/** What pairs of service times say of a gate; undefined where there are none, or they say nothing of such a gate. */
function pairedOf(gate: TrafficGate, facts: Facts): PairedResult | undefined {
  const { paired, pods, extent, history, nodes } = facts;
  if (paired === undefined || gate.kind !== 'latency-increase') return undefined;
  const { shown, ...asked } = askedOf(gate, facts);
  const { quantile, tolerance: limit, atMost } = gate;
  const said = judgePaired({
    ...asked,
    ...shown(limit, earlyOf(gate)),
    paired,
    quantile,
    limit,
    known: extent.known,
    history: history(0.5),
    stablePods: podsOf(pods.stable),
    nodes,
    podDeviations: podDeviationsOf(atMost),
  });
  return said.verdict === 'Pass' && !canPassByPairs(gate)
    ? { ...said, verdict: 'Undecided', reason: 'Uncertain' }
    : said;
}

/** Half as much again at p95, and more where more is allowed. */
function earlyOf({ atMost }: TrafficGate & { kind: 'latency-increase' }): number {
  return atMost === Infinity ? Infinity : earlyPromise.latency;
}

/**
 * A Fail always allows for nodes that differ. So does a Pass that may show less than its limit; one that may not is
 * about these pods: with a pod each it could never be given.
 */
function podDeviationsOf(atMost: number | undefined): LatencyQuestion['podDeviations'] {
  return { ...tuning.podDeviations, ...(atMost === undefined ? { Pass: 0 } : {}) };
}

type Limit = { readonly increase: number } | { readonly max: number };

function rateQuestion(
  gate: TrafficGate,
  facts: Facts,
  what: { readonly events: Measure; readonly trials: Measure },
  limit: Limit,
): RateQuestion {
  const { cells, extent, firstBlock } = facts;
  const { shown, alpha, passAlpha } = askedOf(gate, facts);
  const span = { firstBlock, positions: extent.positions };
  const common = {
    alpha,
    passAlpha,
    known: extent.known,
    pods: { candidate: podsOf(facts.pods.candidate), stable: podsOf(facts.pods.stable) },
  };
  if ('max' in limit)
    return { ...common, ...shown(limit.max, 1), candidate: countSeries(cells.candidate, span, what), against: limit };
  const weights = classWeights(cells, what.trials);
  const candidate = countSeries(cells.candidate, span, { ...what, weights: weights.candidate });
  return {
    ...common,
    ...shown(limit.increase, earlyPromise.errors),
    candidate,
    against: {
      stable: countSeries(cells.stable, span, { ...what, weights: weights.stable }),
      increase: limit.increase,
    },
  };
}

function podsOf(cells: readonly Cell[]): number {
  return new Set(cells.map((cell) => cell.pod)).size;
}

function total(cells: readonly Cell[], measure: Measure): number {
  let sum = 0;
  for (const cell of cells) sum += measure(cell);
  return sum;
}
