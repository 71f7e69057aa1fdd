/**
 * Builds the question of each gate about a window: the counts, bounds and α from which its verdict is computed.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged. A gate's verdict is Pass,
 * Fail or Undecided, and α is the accepted probability of a wrong verdict. A pair is the service times of the same
 * request on stable and on the candidate. A class is the requests of one tier and size; the mix is all requests.
 * Owns: which counts each gate uses, its α, and the bound that a Pass must show at this time of the step. A gate that
 * compares latency with stable's uses live requests and pairs.
 * Pure.
 */
import { present } from '../../api/present.ts';
import { alphasOf, cellsOfClass, classesWithEnough, EachClass } from './classes.ts';
import { earlyPromise, tuning } from './constants.ts';
import { podCountOf, totalOf, usualBlocks, type WindowFacts } from './evidence.ts';
import { LatencyJudgement, type LatencyQuestion } from './latency.ts';
import { reportScale } from './log-histogram.ts';
import { canPassByPairs, judgePaired } from './paired.ts';
import {
  isCompared,
  isLatencyCompared,
  isOverLatency,
  kindOfGate,
  type ComparedLatencyGate,
  type LatencyGate,
  type RateGate,
  type TrafficGate,
} from './gate-kinds/kinds.ts';
import { lastToShow, gateTimingOf, toShow, type Wider } from './plan.ts';
import { RateJudgement, type RateQuestion } from './rate.ts';
import { answeredOf, classWeights, countSeries, latencySeries, requestsOf, type Both } from './series.ts';
import type { PairedResult } from './verdict.ts';

export type Judgement = LatencyJudgement | EachClass | RateJudgement;

/** The judgement of a gate from live requests. */
export function judgementOf(gate: TrafficGate, facts: WindowFacts): Judgement {
  if (!isOverLatency(gate)) return new RateJudgement(rateQuestion(gate, facts));
  return isLatencyCompared(gate) && gate.eachClass === true
    ? eachClass(gate, facts)
    : new LatencyJudgement(latencyQuestion(gate, facts));
}

function eachClass(gate: ComparedLatencyGate, facts: WindowFacts): EachClass {
  const { mix, each } = alphasOf(gate.alpha ?? facts.plan.alphaPerGate);
  const classes = classesWithEnough(facts.cells, gate.quantile).map((of) => {
    const own = { ...facts, cells: cellsOfClass(facts.cells, of), pods: cellsOfClass(facts.pods, of) };
    return { of, judgement: new LatencyJudgement(latencyQuestion({ ...gate, alpha: each }, own)) };
  });
  return new EachClass(new LatencyJudgement(latencyQuestion({ ...gate, alpha: mix }, facts)), classes);
}

/**
 * The α of a gate, and the bound that a Pass must show at this time of the step. From the window's first pair on, a
 * gate that compares latency with stable's uses one half of its α for live requests and one half for pairs.
 */
function askedOf(gate: TrafficGate, { plan, span, paired, cells }: WindowFacts) {
  const { failBlocks, warmBlocks, passAlpha: whole } = gateTimingOf(plan);
  const share = isLatencyCompared(gate) && paired !== undefined ? 1 / 2 : 1;
  const alpha = share * (('alpha' in gate ? gate.alpha : undefined) ?? plan.alphaPerGate);
  const passAlpha = share * whole;
  const wider: Wider = 'atMost' in gate ? gate : {};
  const shown = (limit: number, early: number) => ({
    toShow: toShow(limit, wider.atMost, plan, span),
    ...present({ last: lastToShow(limit, wider, plan, span) }),
    early: Math.max(limit, early),
  });
  const isFew =
    'failsFrom' in gate && gate.failsFrom !== undefined && totalOf(cells.candidate, requestsOf) < gate.failsFrom;
  // A gate may fail after a third of a short step, so that a step of a few minutes can judge within its time.
  const isTooEarlyToFail = isFew || span.known < Math.min(failBlocks, span.maxBlocks / 3);
  return {
    alpha,
    passAlpha,
    shown,
    isTooEarlyToFail,
    warmBlocks: warmBlocks * Math.min(1, span.maxBlocks / usualBlocks),
  };
}

/** A comparison gives both revisions the same mix of classes; a limit in milliseconds uses the actual mix. */
function latencyQuestion(gate: LatencyGate, facts: WindowFacts): LatencyQuestion {
  const { cells, pods, extent, firstBlock, history, nodes } = facts;
  const { shown, ...asked } = askedOf(gate, facts);
  const both = (side: keyof Both<unknown>) => ({ blocks: cells[side], pods: pods[side] });
  const scale = (cells.candidate[0] ?? cells.stable[0])?.latency.scale ?? reportScale;
  const span = { firstBlock, positions: extent.positions, scale };
  const common = { ...asked, quantile: gate.quantile, known: extent.known, history: history(gate.quantile), nodes };
  if (!isLatencyCompared(gate))
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

/** The result of a gate from pairs. Undefined if there are no pairs, or if pairs cannot judge the gate. */
export function pairedResultOf(gate: TrafficGate, facts: WindowFacts): PairedResult | undefined {
  const { paired, pods, extent, history, nodes } = facts;
  if (paired === undefined || !isLatencyCompared(gate)) return undefined;
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
    stablePods: podCountOf(pods.stable),
    nodes,
    podDeviations: podDeviationsOf(atMost),
  });
  return said.verdict === 'Pass' && !canPassByPairs(gate)
    ? { ...said, verdict: 'Undecided', reason: 'Uncertain' }
    : said;
}

/**
 * The bound that a NoFail step (one that ends after a set time if no gate failed) tries to show for a latency gate
 * before it ends (constants.ts, earlyPromise). Infinity for a gate that can only fail a candidate: its Pass states no
 * bound.
 */
function earlyOf({ atMost }: ComparedLatencyGate): number {
  return atMost === Infinity ? Infinity : earlyPromise.latency;
}

/**
 * A Fail always allows for differences between nodes, and so does a Pass that may show a weaker bound than the limit. A
 * Pass that must show the limit does not allow for these differences, because otherwise a gate with one pod of each
 * revision could never pass. Such a Pass is valid only for the pods of the window.
 */
function podDeviationsOf(atMost: number | undefined): LatencyQuestion['podDeviations'] {
  return { ...tuning.podDeviations, ...(atMost === undefined ? { Pass: 0 } : {}) };
}

/** A comparison gives both revisions the same mix of classes. */
function rateQuestion(gate: RateGate, facts: WindowFacts): RateQuestion {
  const what = kindOfGate(gate).counts;
  if (what === 'latency') throw new Error(`unreachable: ${gate.kind} counts no requests`);
  const { cells, extent, firstBlock } = facts;
  const { shown, alpha, passAlpha } = askedOf(gate, facts);
  const span = { firstBlock, positions: extent.positions };
  const common = {
    alpha,
    passAlpha,
    known: extent.known,
    pods: { candidate: podCountOf(facts.pods.candidate), stable: podCountOf(facts.pods.stable) },
  };
  if (!isCompared(gate)) {
    const { max } = gate;
    return { ...common, ...shown(max, 1), candidate: countSeries(cells.candidate, span, what), against: { max } };
  }
  const { increase } = gate;
  const weights = classWeights(cells, what.trials);
  const candidate = countSeries(cells.candidate, span, { ...what, weights: weights.candidate });
  return {
    ...common,
    ...shown(increase, earlyPromise.errors),
    candidate,
    against: {
      stable: countSeries(cells.stable, span, { ...what, weights: weights.stable }),
      increase,
    },
  };
}
