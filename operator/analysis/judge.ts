/**
 * The judge: a plan and what both revisions did in a window → a verdict for every gate, and for the step.
 *
 * Owns:   which numbers each gate looks at, and the rule by which gates end a step. What happens then is
 *         operator/rollout's to decide.
 * Pure:   a function of the counts in the window. No clock, no memory: a restart, another leader, more looks, and
 *         reports that are late, repeated or in another order give the same verdict.
 * Rule:   a Fail ends its window. The caller stores it: what comes after is shown but decides nothing.
 */
import { tuning } from './constants.ts';
import { LatencyJudgement, type LatencyQuestion } from './latency.ts';
import { reportScale } from './log-histogram.ts';
import type { NoiseHistory } from './noise.ts';
import { noHistory } from './noise.ts';
import { combined, judgePaired } from './paired.ts';
import type { PairedSeries } from './paired-series.ts';
import type { Plan, TrafficGate } from './plan.ts';
import { RateJudgement, type RateQuestion } from './rate.ts';
import { cellsInside, classWeights, countSeries, extentOf, latencySeries, type Cell, type Extent, type Measure, type Pair, type Window } from './series.ts';
import type { Decided, GateResult, PairedResult } from './verdict.ts';

export type Evidence = {
  readonly window: Window;
  /** Noise of stable before the window, by quantile (noise.ts, learnHistory); absent: none is known. */
  readonly history?: (quantile: number) => NoiseHistory;
  /** Pods of the two revisions carry about the same load each. Where not, their latencies are not compared. */
  readonly loadIsEqual: boolean;
  /** The candidate has all the traffic: its requests alone are counted. The plan then has limits only (plan.ts, limitsOf). */
  readonly alone?: boolean;
  /** The same requests, asked of both revisions; absent: nobody asks for that, and the live gates have all of α. */
  readonly paired?: PairedSeries;
};

export type StepVerdict = 'Done' | 'Fail' | 'Waiting';

type Facts = {
  readonly alpha: number;
  readonly extent: Extent;
  readonly cells: Pair<readonly Cell[]>;
  readonly pods: Pair<readonly Cell[]>;
  readonly firstBlock: number;
  readonly history: (quantile: number) => NoiseHistory;
  readonly loadIsEqual: boolean;
  readonly paired: PairedSeries | undefined;
};

type Judgement = LatencyJudgement | RateJudgement;

/** Every gate's verdict with its numbers, in the plan's order. */
export function judge(plan: Plan, evidence: Evidence): readonly GateResult[] {
  const facts = factsOf(plan, evidence);
  return plan.gates.map((gate) => {
    const judgement = judgementOf(gate, facts);
    const paired = pairedOf(gate, facts);
    const decided = withPairs(decisionOf(gate, facts, judgement), paired);
    const numbers = judgement.numbers();
    // No number of requests makes up for unequal load.
    const requestsStillNeeded = decided.reason === 'LoadUnequal' ? null : decided.verdict === 'Undecided' ? numbers.requestsStillNeeded : 0;
    return { gate: gate.name, ...decided, ...numbers, requestsStillNeeded, ...(paired === undefined ? {} : { paired }) };
  });
}

/** Every gate's verdict without its numbers, the same as judge's: for those that look often. */
export function verdicts(plan: Plan, evidence: Evidence): readonly Decided[] {
  const facts = factsOf(plan, evidence);
  return plan.gates.map((gate) => withPairs(decisionOf(gate, facts, judgementOf(gate, facts)), pairedOf(gate, facts)));
}

function withPairs(live: Decided, paired: PairedResult | undefined): Decided {
  return paired === undefined ? live : combined(live, paired);
}

/**
 * Whether a step may end.
 *
 * Any Fail fails it at once. NoFail is done when both revisions have minRequests and three whole blocks have passed;
 * Pass when besides every gate passes.
 */
export function stepVerdict(plan: Plan, { window, alone = false }: Pick<Evidence, 'window' | 'alone'>, gates: readonly Decided[], require: 'NoFail' | 'Pass'): StepVerdict {
  if (gates.some((gate) => gate.verdict === 'Fail')) return 'Fail';
  const cells = cellsInside(window);
  const requests = Math.min(total(cells.candidate, requestsOf), alone ? Infinity : total(cells.stable, requestsOf));
  // The last block is still being counted.
  if (requests < plan.minRequests || extentOf(window).known - 1 < tuning.minBlocks) return 'Waiting';
  return require === 'NoFail' || gates.every((gate) => gate.verdict === 'Pass') ? 'Done' : 'Waiting';
}

function factsOf(plan: Plan, { window, history, loadIsEqual, paired }: Evidence): Facts {
  const cells = cellsInside(window);
  return { alpha: plan.alphaPerGate, extent: extentOf(window), cells, pods: window.pods ?? cells, firstBlock: window.firstBlock, history: history ?? (() => noHistory), loadIsEqual, paired };
}

function decisionOf(gate: TrafficGate, { loadIsEqual }: Facts, judgement: Judgement): Decided {
  if (gate.kind === 'latency-increase' && !loadIsEqual) return { verdict: 'Undecided', reason: 'LoadUnequal' };
  return judgement.decide();
}

/** Live requests and pairs get half each of what a gate may spend, from the first pair of the window on. */
function pairedOf(gate: TrafficGate, { paired, alpha, extent, history }: Facts): PairedResult | undefined {
  if (paired === undefined || gate.kind !== 'latency-increase') return undefined;
  const { quantile, tolerance: limit } = gate;
  return judgePaired({
    paired, quantile, limit, toShow: limit, early: 0.5, alpha: alpha / 2, passAlpha: alpha / 2, known: extent.known, history: history(0.5), podMargin: { Fail: 0, Pass: 0 }, isTooEarlyToFail: extent.known < 10,
  });
}

const requestsOf: Measure = (cell) => cell.requests;
const failuresOf: Measure = (cell) => cell.failures;
const answeredOf: Measure = (cell) => cell.latency.total;
const comparedOf: Measure = (cell) => cell.compared;
const disagreedOf: Measure = (cell) => cell.disagreed;

function judgementOf(gate: TrafficGate, facts: Facts): Judgement {
  switch (gate.kind) {
    case 'latency-increase':
    case 'latency-limit':
      return new LatencyJudgement(latencyQuestion(gate, facts));
    case 'errors-increase':
      return new RateJudgement(rateQuestion(facts, { events: failuresOf, trials: requestsOf }, { increase: gate.increase }));
    case 'errors-limit':
      return new RateJudgement(rateQuestion(facts, { events: failuresOf, trials: requestsOf }, { max: gate.max }));
    case 'disagreement-limit':
      return new RateJudgement(rateQuestion(facts, { events: disagreedOf, trials: comparedOf }, { max: gate.max }));
  }
}

/** Against stable both revisions get the same mix of classes; a limit in milliseconds is one of the mix that is. */
function latencyQuestion(gate: TrafficGate & { kind: 'latency-increase' | 'latency-limit' }, facts: Facts): LatencyQuestion {
  const { cells, pods, extent, firstBlock, alpha, history } = facts;
  const both = (side: keyof Pair<unknown>) => ({ blocks: cells[side], pods: pods[side] });
  const scale = (cells.candidate[0] ?? cells.stable[0])?.latency.scale ?? reportScale;
  const span = { firstBlock, positions: extent.positions, scale };
  const isHalved = gate.kind === 'latency-increase' && facts.paired !== undefined;
  const common = { quantile: gate.quantile, alpha: isHalved ? alpha / 2 : alpha, known: extent.known, history: history(gate.quantile) };
  if (gate.kind === 'latency-limit') return { ...common, candidate: latencySeries(both('candidate'), span), against: { maxMs: gate.maxMs } };
  const weights = classWeights(cells, answeredOf);
  const candidate = latencySeries(both('candidate'), span, weights.candidate);
  return { ...common, candidate, against: { stable: latencySeries(both('stable'), span, weights.stable), tolerance: gate.tolerance } };
}

function rateQuestion(facts: Facts, what: { readonly events: Measure; readonly trials: Measure }, limit: { readonly increase: number } | { readonly max: number }): RateQuestion {
  const { cells, extent, firstBlock, alpha } = facts;
  const span = { firstBlock, positions: extent.positions };
  const common = { alpha, known: extent.known, pods: { candidate: podsOf(facts.pods.candidate), stable: podsOf(facts.pods.stable) } };
  if ('max' in limit) return { ...common, candidate: countSeries(cells.candidate, span, what), against: limit };
  const weights = classWeights(cells, what.trials);
  const candidate = countSeries(cells.candidate, span, { ...what, weights: weights.candidate });
  return { ...common, candidate, against: { stable: countSeries(cells.stable, span, { ...what, weights: weights.stable }), increase: limit.increase } };
}

function podsOf(cells: readonly Cell[]): number {
  return new Set(cells.map((cell) => cell.pod)).size;
}

function total(cells: readonly Cell[], measure: Measure): number {
  let sum = 0;
  for (const cell of cells) sum += measure(cell);
  return sum;
}
