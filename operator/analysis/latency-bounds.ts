/**
 * Computes the estimate and the bounds of a quantile in a window, and compares the bounds with a limit.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged. A question is what one gate
 * asks about a window; its frame is the part of the answer that is computed once. A gate's verdict is Pass or Fail,
 * else it is undecided. α is the accepted probability of a wrong verdict. Noise is random variation between minutes or
 * pods of one revision. A stall is a few seconds so slow that they alone could decide a verdict.
 * Owns: the frame of a question (noise, minutes, pods), the bounds, and the forecast of both bounds.
 * Method: lower bound L = D - √(w_L² + m²), upper bound U = D + √(w_U² + m²). D is the estimate, w the exact sampling
 * width (quantile-evidence.ts), m the margin for minutes (noise.ts) and pods (pod-spread.ts).
 * Pure: the same blocks give the same bounds. The tail sums of a histogram are kept as long as the histogram.
 */
import { tuning } from './constants.ts';
import { tailOf, type LatencyCounts, type Tail } from './log-histogram.ts';
import {
  doubtedVariance,
  effectiveMinutes,
  minuteMargin,
  minuteNoise,
  noHistory,
  samplingVariance,
  type Compared,
  type NoiseHistory,
} from './noise.ts';
import type { Last } from './plan.ts';
import { podMargin } from './pod-spread.ts';
import {
  contrastOf,
  contrastWithLimit,
  quantileTest,
  type Contrast,
  type QuantileTest,
  type Side,
} from './quantile-evidence.ts';
import type { LatencySeries, Nodes } from './series.ts';
import type { GateNumbers, Said } from './verdict.ts';

export type LatencyQuestion = {
  readonly candidate: LatencySeries;
  /** Stable's series and the allowed slowdown (0.15 is 15 %), or a limit in milliseconds. */
  readonly against: { readonly stable: LatencySeries; readonly tolerance: number } | { readonly maxMs: number };
  /** The gate's quantile, 0..1, exclusive. */
  readonly quantile: number;
  /** The gate's α in this window for a wrong Fail. */
  readonly alpha: number;
  /** The gate's α in this window for a wrong Pass. */
  readonly passAlpha: number;
  /**
   * The bound that a Pass must show, in the unit of the limit. It is at least the limit. It is Infinity for a gate that
   * can only fail a candidate: its Pass states no bound.
   */
  readonly toShow: number;
  /** The weaker bound that is enough near the end of a step if the estimate is good (plan.ts, lastToShow). */
  readonly last?: Last;
  /**
   * The bound that a NoFail step (one that ends after a set time if no gate failed) tries to show before it ends
   * (`Decided.early`), in the unit of the limit.
   */
  readonly early: number;
  /**
   * True: the gate must not fail yet, because a candidate is slow before its caches are warm. The window is too young,
   * or the candidate has fewer requests than the gate's `failsFrom`.
   */
  readonly isTooEarlyToFail: boolean;
  /** Age of a window, in blocks, until which a warm-up may continue although no trend shows it (warming.ts). */
  readonly warmBlocks: number;
  /** The number of blocks of the window that are known. */
  readonly known: number;
  /** The noise of stable before the window; used for a limit relative to stable. */
  readonly history: NoiseHistory;
  /** Whether both revisions' pods run on the same nodes. If so, nodes cannot be the cause of a difference. */
  readonly nodes: Nodes;
  /** The margin for lasting differences between pods when a revision has only one pod, in standard deviations. */
  readonly podDeviations: Readonly<Record<Said, number>>;
};

/** The part of a judgement that stays the same when stalls are left out, or when a forecast adds requests. */
export type LatencyFrame = {
  readonly question: LatencyQuestion;
  readonly test: QuantileTest;
  /** The evidence that a verdict needs, C = ln(1/α), for a Fail and for a Pass. */
  readonly bounds: Readonly<Record<Said, number>>;
  readonly variance: number;
  /** The variance that a Pass must allow for after a number of minutes (noise.ts). */
  readonly passVariance: (minutes: number) => number;
  /** The number of minutes from which the variance was measured, including the minutes of stable's history. */
  readonly knownMinutes: number;
  readonly podMargin: Readonly<Record<Said, number>>;
  readonly minutes: number;
  readonly enough: boolean;
  /** The bound that a Pass must show with this estimate: `toShow` of the question, or of `last` of the question. */
  readonly toShow: number;
};

/** The histograms of a comparison, possibly without some blocks. */
export type LatencyView = {
  readonly candidate: LatencyCounts;
  readonly stable?: LatencyCounts;
  readonly minutes: number;
};
/**
 * `contrast` is the difference between the revisions, or the distance from the limit, in ln. `margin` is the square of
 * the margin for minutes and pods.
 */
type Estimate = { readonly contrast: Contrast; readonly margin: number };

export function frameOf(question: LatencyQuestion): LatencyFrame {
  const { candidate, quantile, nodes } = question;
  const stable = stableSeriesOf(question);
  const enough = [candidate, stable].every(
    (series) => series === undefined || series.total.total >= tuning.hardMinRequests,
  );
  const compared = comparedIn(question);
  const bounds = { Fail: Math.log(1 / question.alpha), Pass: Math.log(1 / question.passAlpha) };
  const minutes = effectiveMinutes(
    requestsInBlocks(candidate),
    stable === undefined ? undefined : requestsInBlocks(stable),
  );
  const history = stable === undefined ? noHistory : question.history;
  const { variance, passVariance, minutes: measured } = minuteNoise(compared, quantile, history);
  const pods = (said: Said): number =>
    enough
      ? podMargin(compared, quantile, {
          variance,
          minutes,
          bound: bounds[said],
          deviations: question.podDeviations[said],
          nodes,
          history,
        })
      : 0;
  const knownMinutes = measured + history.minutes;
  const frame = {
    question,
    test: quantileTest(quantile),
    bounds,
    variance,
    passVariance,
    knownMinutes,
    podMargin: { Fail: pods('Fail'), Pass: pods('Pass') },
    minutes,
    enough,
    toShow: question.toShow,
  };
  return { ...frame, toShow: toShowOf(frame) };
}

/**
 * The bound that a Pass must show. Near the end of a step, a weaker bound is enough if the estimate is good (plan.ts,
 * lastToShow).
 */
function toShowOf(frame: LatencyFrame): number {
  const { last, toShow, against } = frame.question;
  if (last === undefined || !frame.enough) return toShow;
  const { difference } = estimateOf(frame, viewOf(frame), 'Pass').contrast;
  return difference <= lnLimit(against, last.looks) ? Math.max(toShow, last.toShow) : toShow;
}

/**
 * The frame in which a Fail must hold again after the worst stalls were left out.
 *
 * This frame has a larger variance (noise.ts). It requires less evidence, because the check of the whole window has
 * spent α already and because a window without its worst 40 s makes the candidate look more like stable. The check in
 * this frame can only remove Fails, so it spends no α.
 */
export function doubting(frame: LatencyFrame): LatencyFrame {
  const known = { variance: frame.variance, minutes: frame.knownMinutes };
  const bounds = { ...frame.bounds, Fail: frame.bounds.Fail * tuning.stallEvidence };
  return { ...frame, bounds, variance: doubtedVariance(comparedIn(frame.question), frame.question.quantile, known) };
}

export function viewOf({ question, minutes }: LatencyFrame): LatencyView {
  const stable = stableSeriesOf(question);
  return { candidate: question.candidate.total, ...(stable === undefined ? {} : { stable: stable.total }), minutes };
}

export function estimateOf(frame: LatencyFrame, view: LatencyView, said: Said, growth = 1): Estimate {
  const { against } = frame.question;
  const bound = frame.bounds[said];
  const candidate = { tail: tailIn(view.candidate), n: view.candidate.total * growth };
  const minutes = view.minutes * growth;
  const variance = said === 'Pass' ? frame.passVariance(minutes) : frame.variance;
  const margin = minuteMargin(variance, minutes, bound) + frame.podMargin[said];
  if ('maxMs' in against)
    return { contrast: contrastWithLimit(frame.test, candidate, Math.log(against.maxMs), bound), margin };
  const histogram = view.stable ?? against.stable.total;
  return {
    contrast: contrastOf(
      frame.test,
      { candidate, stable: { tail: tailIn(histogram), n: histogram.total * growth } },
      bound,
    ),
    margin,
  };
}

const tails = new WeakMap<LatencyCounts, Tail>();

/**
 * The tail sums of a histogram. They are kept, because a forecast uses the same counts a hundred times. The histograms
 * of a view never change.
 */
function tailIn(histogram: LatencyCounts): Tail {
  const known = tails.get(histogram);
  if (known !== undefined) return known;
  const made = tailOf(histogram);
  tails.set(histogram, made);
  return made;
}

type Imagined = { readonly growth?: number; /** Added to the estimate, in ln. */ readonly shift?: number };

/**
 * Whether L = D - √(w_L² + m²) is above the limit.
 *
 * The search for the width w_L ends as soon as w_L exceeds the distance from the limit.
 */
export function fails(frame: LatencyFrame, view: LatencyView, { growth = 1, shift = 0 }: Imagined = {}): boolean {
  const { contrast, margin } = estimateOf(frame, view, 'Fail', growth);
  return isWithin(contrast, 'lower', contrast.difference + shift - limitOf(frame.question), margin);
}

/** Whether U = D + √(w_U² + m²) is at most the bound that must be shown. */
export function passes(
  frame: LatencyFrame,
  view: LatencyView,
  toShow: number,
  { growth = 1, shift = 0 }: Imagined = {},
): boolean {
  if (toShow === Infinity) return true;
  const { contrast, margin } = estimateOf(frame, view, 'Pass', growth);
  return isWithin(contrast, 'upper', lnLimit(frame.question.against, toShow) - contrast.difference - shift, margin);
}

/** Whether √(width² + margin) is less than the distance from the limit. `margin` is a square already. */
function isWithin(contrast: Contrast, side: Side, distance: number, margin: number): boolean {
  const room = distance * distance - margin;
  if (distance <= 0 || !(room > 0)) return false;
  const width = contrast.width(side, Math.sqrt(room));
  return width * width < room;
}

/**
 * A limit as a difference of ln. For a ratio this is ln(1 + limit). For milliseconds it is ln(limit / maxMs), because
 * the contrast is the distance from maxMs.
 */
function lnLimit(against: LatencyQuestion['against'], limit: number): number {
  return 'maxMs' in against ? Math.log(limit / against.maxMs) : Math.log1p(limit);
}

/**
 * The gate's configured limit on the scale of ln(candidate / stable): ln(1 + tolerance). For a limit in milliseconds it
 * is 0, because the estimate is then already the distance from `maxMs`.
 */
export function limitOf({ against }: LatencyQuestion): number {
  return 'maxMs' in against ? 0 : Math.log1p(against.tolerance);
}

/**
 * Whether the gate would have a verdict with `growth` times as many requests. Stalls are not left out.
 * @param shift added to the estimate, in ln
 */
export function holdsGrown(frame: LatencyFrame, growth: number, shift: number): boolean {
  const view = viewOf(frame);
  if (passes(frame, view, frame.toShow, { growth, shift })) return true;
  return fails(frame, view, { growth, shift }) && fails(doubting(frame), view, { growth, shift });
}

/** Standard error of the estimate, from sampling and from noise of minutes. */
export function standardError(frame: LatencyFrame): number {
  const { candidate, quantile } = frame.question;
  const sides = [candidate, stableSeriesOf(frame.question)].flatMap((series) =>
    series === undefined || series.total.total === 0 ? [] : [series.total],
  );
  const sampling = sides.reduce((sum, total) => sum + samplingVariance(total, quantile) / total.total, 0);
  return Math.sqrt(sampling + frame.variance / frame.minutes);
}

/** Estimate and bounds in the gate's unit. */
export function boundsOf(frame: LatencyFrame, view: LatencyView): Pick<GateNumbers, 'estimate' | 'lower' | 'upper'> {
  const [low, high] = [estimateOf(frame, view, 'Fail'), estimateOf(frame, view, 'Pass')];
  const half = ({ contrast, margin }: Estimate, side: Side): number => Math.sqrt(contrast.width(side) ** 2 + margin);
  const { question } = frame;
  const { difference } = low.contrast;
  return {
    estimate: inUnits(question, difference),
    lower: inUnits(question, difference - half(low, 'lower')),
    upper: inUnits(question, difference + half(high, 'upper')),
  };
}

/** A difference of ln(latency) in the gate's unit; null when it is not finite. */
function inUnits({ against }: LatencyQuestion, ln: number): number | null {
  if (!Number.isFinite(ln)) return null;
  return 'maxMs' in against ? Math.exp(ln) * against.maxMs : Math.expm1(ln);
}

function comparedIn(question: LatencyQuestion): Compared {
  const stable = stableSeriesOf(question);
  return { candidate: question.candidate, ...(stable === undefined ? {} : { stable }) };
}

export function stableSeriesOf({ against }: LatencyQuestion): LatencySeries | undefined {
  return 'stable' in against ? against.stable : undefined;
}

export function requestsInBlocks(series: LatencySeries): number[] {
  return series.blocks.map((block) => block.total);
}
