/**
 * The paired gate: is the candidate slower for the same request? The method is explained in docs/canary-analysis.md,
 * Paired evidence.
 *
 * Terms: A pair is the service times of the same request on stable and on the candidate. A window is the blocks (of 20
 * seconds) by which a step of the rollout is judged. α is the accepted probability of a wrong verdict. Noise is random
 * variation between minutes or pods; a stall is a few seconds so slow that they alone could decide a verdict. The early
 * promise is the bound that a NoFail step tries to show before it ends. A gate is blind while it could not have failed
 * yet.
 * Owns: the verdict from pairs of service times, its bounds, and the rule that combines this verdict with the live
 * verdict. Limits: pairs do not show a slowdown that affects less than about one request in ten. They do not show time
 * in a queue, because queue time is not part of the service time.
 * Pure: the same blocks give the same verdict, however often it is computed.
 */
import { tuning } from './constants.ts';
import { addInto, countAbove, emptyHistogram, lnQuantile, sumOf, tailOf, type LatencyCounts } from './log-histogram.ts';
import { doubtedVariance, effectiveMinutes, minuteMargin, minuteNoise, type NoiseHistory } from './noise.ts';
import { lnRatioOffset, type PairedSeries } from './paired-series.ts';
import { contrastWithLimit, quantileTest, type Contrast } from './quantile-evidence.ts';
import { podMargin } from './pod-spread.ts';
import type { LatencySeries, Nodes } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, PairedResult, Said } from './verdict.ts';
import { settlingOf } from './warming.ts';

export type PairedQuestion = {
  readonly paired: PairedSeries;
  /** The allowed slowdown (0.15 is 15 %). */
  readonly limit: number;
  /** The bound that a Pass must show, in the unit of `limit`. */
  readonly toShow: number;
  /**
   * The early promise (constants.ts, earlyPromise), in the unit of `limit`. Infinity for a gate that can only fail a
   * candidate: its Pass states no bound.
   */
  readonly early: number;
  /** The gate's quantile, 0..1, exclusive. */
  readonly quantile: number;
  /** The α in this window for a wrong Fail by pairs. */
  readonly alpha: number;
  /** The α in this window for a wrong Pass by pairs. */
  readonly passAlpha: number;
  /** The number of blocks of the window that are known. */
  readonly known: number;
  /** The noise of stable's median latency before the window. */
  readonly history: NoiseHistory;
  /** The number of stable's pods that answered. The candidate's pods are in the series. */
  readonly stablePods: number;
  readonly nodes: Nodes;
  /**
   * The margin for lasting differences between pods, in standard deviations, as for the same gate with live requests
   * (pod-spread.ts).
   */
  readonly podDeviations: Readonly<Record<Said, number>>;
  readonly isTooEarlyToFail: boolean;
  readonly warmBlocks: number;
};

/**
 * A Pass must also hold for the midpoint between this quantile and the opposite quantile, 0.1. A gate on a lower
 * quantile uses the gate's quantile instead of 0.9.
 */
const outerQuantile = 0.9;
/**
 * If a gate's quantile is higher than this, pairs may fail the gate but not pass it, because pairs do not show a
 * slowdown of one request in fifty.
 */
const passesUpTo = 0.95;
const median = quantileTest(0.5);

/**
 * The noise between minutes that is assumed before it is measured. minuteNoise assumes the noise of one series
 * (constants.ts, assumedNoise), but a ratio has the noise of two revisions. This history adds the same number of
 * minutes with three times the variance of one series, so that the average is twice that variance.
 */
const twoRevisions: NoiseHistory = {
  minutes: tuning.assumedMinutes,
  weightedVariance: tuning.assumedMinutes * 3 * tuning.assumedNoise ** 2,
};

/**
 * Combines a gate's verdict from live requests (the live verdict) with its verdict by pairs. Each of them used half of
 * the gate's α.
 *
 * The result is Fail if either verdict is Fail. It is Pass if either verdict is Pass and the other is not Fail. If both
 * are Undecided, the result has the reason of the live verdict. The early promise is shown when it is shown by live
 * requests or by pairs. The gate is blind only while it is blind for both.
 */
export function combined<D extends Pick<Decided, 'verdict'> & { readonly early?: 'Shown' | 'Blind' }>(
  live: D,
  paired: PairedResult,
): D {
  const said = [live.verdict, paired.verdict];
  const { early: _, ...rest } = live;
  const early = [live.early, paired.early].includes('Shown')
    ? 'Shown'
    : live.early === 'Blind' && paired.early === 'Blind'
      ? 'Blind'
      : undefined;
  const open = { ...(rest as D), ...(early === undefined ? {} : { early }) };
  const verdict = said.includes('Fail') ? 'Fail' : said.includes('Pass') ? 'Pass' : undefined;
  if (verdict === undefined) return open;
  const { reason: __, ...decided } = open as D & { readonly reason?: unknown };
  return { ...(decided as unknown as D), verdict };
}

/**
 * Whether pairs can pass a gate. They cannot pass a gate that judges each class, or a gate on a high quantile, because
 * pairs show neither classes nor the tail. If `atMost` is Infinity, the gate's Pass states no bound, so pairs can pass
 * it.
 */
export function canPassByPairs({
  quantile,
  eachClass,
  atMost,
}: {
  readonly quantile: number;
  readonly eachClass?: boolean;
  readonly atMost?: number;
}): boolean {
  return eachClass !== true && (quantile <= passesUpTo || atMost === Infinity);
}

/** The part of a judgement that stays the same when stalls are left out. */
type Frame = {
  readonly question: PairedQuestion;
  readonly series: LatencySeries;
  readonly variance: number;
  readonly knownMinutes: number;
  readonly minutes: number;
  readonly podMargin: Readonly<Record<Said, number>>;
};
type View = { readonly total: LatencyCounts; readonly minutes: number };

export function judgePaired(question: PairedQuestion): PairedResult {
  const { series, counts } = question.paired;
  const pairs = series.total.total;
  const isPromised = question.early === Infinity;
  if (pairs < tuning.hardMinRequests)
    return {
      verdict: 'Undecided',
      reason: 'TooFewRequests',
      early: isPromised ? 'Shown' : 'Blind',
      pairs,
      counts,
      estimate: null,
      lower: null,
      upper: null,
    };
  const frame = frameOf(question, series);
  const whole = { total: series.total, minutes: frame.minutes };
  const lower = lowerOf(frame, whole, { bound: Math.log(1 / question.alpha), variance: frame.variance });
  const upper = upperOf(frame, whole);
  const early =
    isPromised || upper <= Math.log1p(question.early)
      ? { early: 'Shown' as const }
      : question.isTooEarlyToFail
        ? { early: 'Blind' as const }
        : {};
  return {
    ...decide(frame, { lower, upper }),
    ...early,
    pairs,
    counts,
    estimate: Math.expm1(middleOf(whole)),
    lower: finite(lower),
    upper: finite(upper),
  };
}

function decide(
  frame: Frame,
  { lower, upper }: { readonly lower: number; readonly upper: number },
): Pick<Decided, 'verdict' | 'reason'> {
  const { question } = frame;
  if (lower > Math.log1p(question.limit))
    return question.isTooEarlyToFail ? { verdict: 'Undecided', reason: 'Uncertain' } : confirmed(frame);
  if (!(upper <= Math.log1p(question.toShow))) return { verdict: 'Undecided', reason: 'Uncertain' };
  const cleaned = withoutStalls(frame, 'Pass');
  const stands =
    cleaned.total.total >= tuning.hardMinRequests && upperOf(frame, cleaned) <= Math.log1p(question.toShow);
  return stands ? { verdict: 'Pass' } : { verdict: 'Undecided', reason: 'OneWindow' };
}

function frameOf(question: PairedQuestion, series: LatencySeries): Frame {
  const { history } = question;
  const before = {
    minutes: twoRevisions.minutes + history.minutes,
    weightedVariance: twoRevisions.weightedVariance + history.weightedVariance,
  };
  const { variance, minutes } = minuteNoise({ candidate: series }, 0.5, before);
  const frame = {
    question,
    series,
    variance,
    knownMinutes: minutes + history.minutes,
    minutes: effectiveMinutes(series.blocks.map(({ total }) => total)),
  };
  return { ...frame, podMargin: { Fail: podMarginOf(frame, 'Fail'), Pass: podMarginOf(frame, 'Pass') } };
}

/**
 * The square of the margin for lasting differences between pods (pod-spread.ts). A pair does not name the pod of stable
 * that answered, so the number of stable's pods is known, but not the times of each pod.
 */
function podMarginOf({ question, series, variance, minutes }: Omit<Frame, 'podMargin'>, said: Said): number {
  const { alpha, passAlpha, stablePods, nodes, podDeviations, history } = question;
  const none = emptyHistogram(series.total.scale);
  const stable = { blocks: [], total: none, pods: Array.from({ length: Math.max(1, stablePods) }, () => none) };
  const bound = Math.log(1 / (said === 'Fail' ? alpha : passAlpha));
  return podMargin({ candidate: series, stable }, 0.5, {
    variance,
    minutes,
    bound,
    deviations: podDeviations[said],
    nodes,
    history,
  });
}

/** ln of the median ratio. */
function middleOf({ total }: Pick<View, 'total'>): number {
  return lnQuantile(tailOf(total), 0.5) - lnRatioOffset;
}

type Precision = { readonly bound: number; readonly variance: number };

function contrastAt(total: LatencyCounts, quantile: number, bound: number): Contrast {
  return contrastWithLimit(
    quantile === 0.5 ? median : quantileTest(quantile),
    { tail: tailOf(total), n: total.total },
    lnRatioOffset,
    bound,
  );
}

function lowerOf({ podMargin: pods }: Frame, { total, minutes }: View, { bound, variance }: Precision): number {
  const { difference, width } = contrastAt(total, 0.5, bound);
  const margin = minuteMargin(variance, minutes, bound) + pods.Fail;
  return difference - Math.sqrt(width('lower') ** 2 + margin);
}

/**
 * The larger of two upper bounds. The first is the bound of the median. The second is the bound of the midpoint between
 * the two outer quantiles, each of which uses half of α. Each bound is wrong with a probability of at most passAlpha. A
 * Pass needs both bounds within the limit, so α is not split between the bounds (intersection-union test: Berger,
 * Technometrics 24, 1982).
 */
function upperOf({ question, variance, podMargin: pods }: Frame, { total, minutes }: View): number {
  const bound = Math.log(1 / question.passAlpha);
  const margin = minuteMargin(variance, minutes, bound) + pods.Pass;
  const middle = contrastAt(total, 0.5, bound);
  const q = Math.max(0.5, Math.min(question.quantile, outerQuantile));
  const outer = [q, 1 - q].map((quantile) => contrastAt(total, quantile, bound + Math.LN2));
  const difference = outer.reduce((sum, each) => sum + each.difference, 0) / 2;
  const width = outer.reduce((sum, each) => sum + each.width('upper'), 0) / 2;
  return Math.max(
    middle.difference + Math.sqrt(middle.width('upper') ** 2 + margin),
    difference + Math.sqrt(width ** 2 + margin),
  );
}

/**
 * Fails the gate if the Fail also holds under a larger noise, without stalls, and in the part of the window in which
 * the candidate is warm (latency.ts).
 */
function confirmed(frame: Frame): Pick<Decided, 'verdict' | 'reason'> {
  const { series, question } = frame;
  const settling = settlingOf(series.blocks, undefined, {
    leastRequests: Math.ceil(tuning.earlyTailRequests / 0.5),
    warmBlocks: question.warmBlocks,
  });
  if (settling === undefined) return { verdict: 'Undecided', reason: 'Uncertain' };
  const { from, stillToGain } = settling;
  const part =
    from === 0 ? frame : frameOf({ ...question, known: Math.max(1, question.known - from) }, partFrom(series, from));
  if (part.series.total.total === 0 || middleOf(part.series) - stillToGain <= Math.log1p(question.limit))
    return { verdict: 'Undecided', reason: 'Uncertain' };
  const precision = {
    bound: Math.log(1 / question.alpha) * tuning.stallEvidence,
    variance: doubtedVariance({ candidate: part.series }, 0.5, { variance: part.variance, minutes: part.knownMinutes }),
  };
  const isOver = (view: View): boolean =>
    view.total.total >= tuning.hardMinRequests && lowerOf(part, view, precision) > Math.log1p(question.limit);
  if (isOver(withoutStalls(part, 'Fail'))) return { verdict: 'Fail' };
  return {
    verdict: 'Undecided',
    reason: isOver({ total: part.series.total, minutes: part.minutes }) ? 'OneWindow' : 'Uncertain',
  };
}

function partFrom(series: LatencySeries, from: number): LatencySeries {
  const blocks = series.blocks.slice(from);
  return { ...series, blocks, total: sumOf(series.total.scale, blocks) };
}

/**
 * The counts without the stalls that could have caused the verdict: the candidate's stalls for a Fail, stable's for a
 * Pass.
 */
function withoutStalls({ series, question, minutes }: Frame, verdict: 'Pass' | 'Fail'): View {
  const level =
    verdict === 'Fail' ? Math.log1p(question.limit) + lnRatioOffset : lnQuantile(tailOf(series.total), outerQuantile);
  const above = series.blocks.map((block) => countAbove(block, level));
  const trials = series.blocks.map(({ total }) => total);
  const events = verdict === 'Fail' ? above : trials.map((n, at) => n - (above[at] ?? 0));
  const { removed } = worstBlocks({ events, trials, known: question.known });
  const total = emptyHistogram(series.total.scale);
  series.blocks.forEach((block, at) => {
    if (!removed.has(at)) addInto(total, block);
  });
  return { total, minutes: Math.max(1, (minutes * total.total) / series.total.total) };
}

function finite(ln: number): number | null {
  return Number.isFinite(ln) ? Math.expm1(ln) : null;
}
