/**
 * The latency gate: is the candidate's quantile within the limit?
 *
 * Owns:   the verdict, its bounds and the forecast of requests still needed, for a limit relative to stable and
 *         for an absolute one.
 * Method: exact sampling widths (quantile-evidence.ts), the minute margin (noise.ts) added in quadrature, and a
 *         decided verdict must hold without its worst stalls (stalls.ts), a Fail also if noise is doubted. docs/canary-analysis.md explains it.
 * Pure:   the same blocks give the same verdict, whenever and however often it is asked for.
 */
import { tuning } from './constants.ts';
import { forecastRequests, rangeOf } from './forecast.ts';
import { countAbove, emptyHistogram, addInto, lnQuantile, sumOf, tailOf, type LogHistogram } from './log-histogram.ts';
import { doubtedVariance, effectiveMinutes, minuteMargin, minuteNoise, noHistory, podMargin, samplingVariance, type Compared, type NoiseHistory } from './noise.ts';
import { contrastOf, contrastWithLimit, quantileTest, type Contrast, type QuantileTest, type Side } from './quantile-evidence.ts';
import type { LatencySeries, Nodes } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, GateNumbers, Said } from './verdict.ts';
import { settlingOf } from './warming.ts';

export type LatencyQuestion = {
  readonly candidate: LatencySeries;
  /** Stable's series and how much slower the candidate may be (0.15), or a limit in milliseconds. */
  readonly against: { readonly stable: LatencySeries; readonly tolerance: number } | { readonly maxMs: number };
  /** 0..1, exclusive. */
  readonly quantile: number;
  /** What this gate may spend in this window on a wrong Fail, and on a wrong Pass. */
  readonly alpha: number;
  readonly passAlpha: number;
  /** What a Pass has to show, in the unit of the limit; at least the limit, and Infinity where anything will do. */
  readonly toShow: number;
  /** What a NoFail step would like to have shown before it ends (`Decided.early`). */
  readonly early: number;
  /** No Fail yet: a cold candidate is slow in its first minutes. */
  readonly isTooEarlyToFail: boolean;
  /** Blocks of the window that are known. */
  readonly known: number;
  /** Noise of stable before the window; used for a relative limit. */
  readonly history: NoiseHistory;
  /** Whether both revisions' pods run on the same nodes, so that nodes do not make them differ. */
  readonly nodes: Nodes;
  /** Standard normal deviates of the margin for such differences where one pod stands for a revision. */
  readonly podDeviations: Readonly<Record<Said, number>>;
};

/** All that does not change while stalls are left out or requests are imagined. */
type Frame = {
  readonly question: LatencyQuestion;
  readonly test: QuantileTest;
  /** C = ln(1/α), for either verdict. */
  readonly bounds: Readonly<Record<Said, number>>;
  readonly variance: number;
  /** Minutes that the variance is known from, history's among them. */
  readonly knownMinutes: number;
  readonly podMargin: Readonly<Record<Said, number>>;
  readonly minutes: number;
  readonly enough: boolean;
};

/** Histograms of a comparison, possibly less some blocks. */
type View = { readonly candidate: LogHistogram; readonly stable?: LogHistogram; readonly minutes: number };
type Cleaned = { readonly view: View; readonly windows: number; readonly requests: number };
/** A verdict, and what the bounds said before stalls were left out, with what was left then. */
type Settled = { readonly decided: Decided; readonly checked?: { readonly verdict: Said; readonly cleaned: Cleaned } };
/** The difference of the revisions, or the distance from the limit, in ln, and how far it may be off. */
type Estimate = { readonly contrast: Contrast; readonly margin: number };

/** One question with its answers, each worked out only when asked for: a look that is only a look is cheap. */
export class LatencyJudgement {
  readonly #frame: Frame;
  #decided: Settled | undefined;

  constructor(question: LatencyQuestion) {
    this.#frame = frameOf(question);
  }

  /** Fail: slower than the limit. Pass: no slower than what has to be shown. Otherwise undecided, with a reason. */
  decide(): Decided {
    return this.#settle().decided;
  }

  /** The numbers behind the verdict. */
  numbers(): GateNumbers {
    const frame = this.#frame;
    const { question } = frame;
    const stable = stableOf(question);
    const shown = frame.enough ? boundsOf(frame, viewOf(frame)) : { estimate: null, lower: null, upper: null };
    return {
      candidateRequests: Math.round(question.candidate.total.total),
      ...(stable === undefined ? {} : { stableRequests: Math.round(stable.total.total) }),
      unit: 'maxMs' in question.against ? 'ms' : 'ratio',
      ...shown,
      limit: 'maxMs' in question.against ? question.against.maxMs : question.against.tolerance,
      toShow: question.toShow,
      ...this.#stillNeeded(),
      alpha: question.alpha + question.passAlpha,
      passAlpha: question.passAlpha,
      evidence: {
        minutes: frame.minutes,
        noise: Math.sqrt(frame.variance),
        candidatePods: question.candidate.pods.length,
        ...(stable === undefined ? {} : { stablePods: stable.pods.length }),
        ...this.#stalls(),
      },
    };
  }

  #settle(): Settled {
    this.#decided ??= settle(this.#frame);
    return this.#decided;
  }

  #stalls(): { readonly windowsRemoved: number; readonly boundWithoutStalls?: number } {
    const { checked } = this.#settle();
    if (checked === undefined || checked.cleaned.windows === 0) return { windowsRemoved: 0 };
    const bounds = boundsOf(this.#frame, checked.cleaned.view);
    const shown = checked.verdict === 'Fail' ? bounds.lower : bounds.upper;
    return { windowsRemoved: checked.cleaned.windows, ...(shown === null ? {} : { boundWithoutStalls: shown }) };
  }

  #stillNeeded(): Pick<GateNumbers, 'requestsStillNeeded' | 'neededRange'> {
    const { verdict, reason } = this.decide();
    if (verdict !== 'Undecided') return { requestsStillNeeded: 0 };
    const frame = this.#frame;
    const now = frame.question.candidate.total.total;
    if (reason === 'OneWindow' || now === 0 || stableOf(frame.question)?.total.total === 0) return { requestsStillNeeded: null };
    const needed = (shift: number): number | null => {
      const found = forecastRequests(now, (growth) => holdsGrown(frame, growth, shift));
      return found === null ? null : Math.max(1, found);
    };
    const error = standardError(frame);
    const range = [needed(-error), needed(error)] as const;
    return { requestsStillNeeded: needed(0), neededRange: rangeOf(range) };
  }
}

function frameOf(question: LatencyQuestion): Frame {
  const { candidate, quantile, nodes } = question;
  const stable = stableOf(question);
  const enough = [candidate, stable].every((series) => series === undefined || series.total.total >= tuning.hardMinRequests);
  const compared = comparedIn(question);
  const bounds = { Fail: Math.log(1 / question.alpha), Pass: Math.log(1 / question.passAlpha) };
  const minutes = effectiveMinutes(requestsOf(candidate), stable === undefined ? undefined : requestsOf(stable));
  const history = stable === undefined ? noHistory : question.history;
  const { variance, minutes: measured } = minuteNoise(compared, quantile, history);
  const pods = (said: Said): number =>
    enough ? podMargin(compared, quantile, { variance, minutes, bound: bounds[said], deviations: question.podDeviations[said], nodes, history }) : 0;
  const knownMinutes = measured + history.minutes;
  return { question, test: quantileTest(quantile), bounds, variance, knownMinutes, podMargin: { Fail: pods('Fail'), Pass: pods('Pass') }, minutes, enough };
}

function settle(frame: Frame): Settled {
  const { question } = frame;
  const whole = viewOf(frame);
  const isShown = question.early === Infinity || (frame.enough && passes(frame, whole, question.early));
  const early = isShown ? { early: 'Shown' as const } : {};
  if (!frame.enough) return { decided: { verdict: 'Undecided', reason: 'TooFewRequests', ...early } };
  if (fails(frame, whole)) return settleFail(frame, early);
  if (!passes(frame, whole, question.toShow)) return { decided: { verdict: 'Undecided', reason: 'Uncertain', ...early } };
  const cleaned = cleanedView(frame, 'Pass');
  const stands = question.toShow === Infinity || (cleaned.requests >= tuning.hardMinRequests && passes(frame, cleaned.view, question.toShow));
  return { decided: { ...(stands ? { verdict: 'Pass' } : { verdict: 'Undecided', reason: 'OneWindow' }), ...early }, checked: { verdict: 'Pass', cleaned } };
}

/** A Fail by the bounds has to stand once more; what does not is undecided, and never a Pass. */
function settleFail(frame: Frame, early: Pick<Decided, 'early'>): Settled {
  const checked = { verdict: 'Fail', cleaned: cleanedView(frame, 'Fail') } as const;
  if (frame.question.isTooEarlyToFail) return { decided: { verdict: 'Undecided', reason: 'Uncertain', ...early }, checked };
  const part = settledPart(frame);
  const decided = part === undefined ? unsettled(frame, checked.cleaned) : confirmed(part);
  return { decided: { ...decided, ...early }, checked };
}

/** No Fail while the candidate may be warming up; but where one stall makes it look so, that is what a person should see. */
function unsettled(frame: Frame, cleaned: Cleaned): Decided {
  return { verdict: 'Undecided', reason: fails(doubting(frame), cleaned.view) || !fails(doubting(frame), viewOf(frame)) ? 'Uncertain' : 'OneWindow' };
}

/** A Fail, if it stands under doubt and without stalls. @param frame what the candidate is warm in */
function confirmed(frame: Frame): Decided {
  if (!frame.enough) return { verdict: 'Undecided', reason: 'Uncertain' };
  const asked = doubting(frame);
  const cleaned = cleanedView(frame, 'Fail');
  if (cleaned.requests >= tuning.hardMinRequests && fails(asked, cleaned.view)) return { verdict: 'Fail' };
  return { verdict: 'Undecided', reason: fails(asked, viewOf(frame)) ? 'OneWindow' : 'Uncertain' };
}

/** The window less the candidate's warm-up, and its limit raised by what it may yet gain (warming.ts); undefined while that goes on. */
function settledPart(frame: Frame): Frame | undefined {
  const { question } = frame;
  const settling = settlingOf(question.candidate.blocks, stableOf(question)?.blocks, Math.ceil(tuning.earlyTailRequests / frame.test.share - 1e-9));
  if (settling === undefined) return undefined;
  const { from, stillToGain } = settling;
  const { contrast } = estimateOf(frame, viewOf(frame), 'Fail');
  if (from === 0) return contrast.difference - stillToGain > limitOf(question) ? frame : undefined;
  const { against, candidate } = question;
  const rest = 'stable' in against ? { ...against, stable: partFrom(against.stable, from) } : against;
  const part = frameOf({ ...question, candidate: partFrom(candidate, from), against: rest, known: Math.max(1, question.known - from) });
  return part.enough && estimateOf(part, viewOf(part), 'Fail').contrast.difference - stillToGain > limitOf(question) ? part : undefined;
}

function partFrom(series: LatencySeries, from: number): LatencySeries {
  const blocks = series.blocks.slice(from);
  return { ...series, blocks, total: sumOf(series.total.scale, blocks) };
}

/**
 * The frame in which a Fail has to stand once more, without its worst stalls.
 *
 * Noise is doubted there (noise.ts), and less evidence asked for: α is spent by the bounds already, and what is left
 * without a window's worst 40 s is biased towards stable. A check can only take Fails away, so it costs no α.
 */
function doubting(frame: Frame): Frame {
  const known = { variance: frame.variance, minutes: frame.knownMinutes };
  const bounds = { ...frame.bounds, Fail: frame.bounds.Fail * tuning.stallEvidence };
  return { ...frame, bounds, variance: doubtedVariance(comparedIn(frame.question), frame.question.quantile, known) };
}

function viewOf({ question, minutes }: Frame): View {
  const stable = stableOf(question);
  return { candidate: question.candidate.total, ...(stable === undefined ? {} : { stable: stable.total }), minutes };
}

function estimateOf(frame: Frame, view: View, said: Said, growth = 1): Estimate {
  const { against } = frame.question;
  const bound = frame.bounds[said];
  const candidate = { tail: tailOf(view.candidate), n: view.candidate.total * growth };
  const margin = minuteMargin(frame.variance, view.minutes * growth, bound) + frame.podMargin[said];
  if ('maxMs' in against) return { contrast: contrastWithLimit(frame.test, candidate, Math.log(against.maxMs), bound), margin };
  const histogram = view.stable ?? against.stable.total;
  return { contrast: contrastOf(frame.test, { candidate, stable: { tail: tailOf(histogram), n: histogram.total * growth } }, bound), margin };
}

type Imagined = { readonly growth?: number; /** Of the estimate, in ln. */ readonly shift?: number };

/**
 * L = D - √(w_L² + m²) over the limit.
 *
 * Written as a search that ends as soon as the width exceeds the room that is left.
 */
function fails(frame: Frame, view: View, { growth = 1, shift = 0 }: Imagined = {}): boolean {
  const { contrast, margin } = estimateOf(frame, view, 'Fail', growth);
  return isWithin(contrast, 'lower', contrast.difference + shift - limitOf(frame.question), margin);
}

/** U = D + √(w_U² + m²) within what has to be shown. */
function passes(frame: Frame, view: View, toShow: number, { growth = 1, shift = 0 }: Imagined = {}): boolean {
  if (toShow === Infinity) return true;
  const { contrast, margin } = estimateOf(frame, view, 'Pass', growth);
  return isWithin(contrast, 'upper', lnLimit(frame.question.against, toShow) - contrast.difference - shift, margin);
}

/** Whether √(width² + margin) is less than the distance from the limit. */
function isWithin(contrast: Contrast, side: Side, distance: number, margin: number): boolean {
  const room = distance * distance - margin;
  if (distance <= 0 || !(room > 0)) return false;
  const width = contrast.width(side, Math.sqrt(room));
  return width * width < room;
}

/** A limit as a difference of ln: of a ratio less one; of milliseconds against those that the contrast is with. */
function lnLimit(against: LatencyQuestion['against'], limit: number): number {
  return 'maxMs' in against ? Math.log(limit / against.maxMs) : Math.log1p(limit);
}

/** The gate's own limit as a difference of ln. */
function limitOf({ against }: LatencyQuestion): number {
  return 'maxMs' in against ? 0 : Math.log1p(against.tolerance);
}

/** Whether so many times the requests would decide, stalls apart. */
function holdsGrown(frame: Frame, growth: number, shift: number): boolean {
  const view = viewOf(frame);
  if (passes(frame, view, frame.question.toShow, { growth, shift })) return true;
  return fails(frame, view, { growth, shift }) && fails(doubting(frame), view, { growth, shift });
}

/** Standard error of the estimate: of sampling, and of the minutes. */
function standardError(frame: Frame): number {
  const { candidate, quantile } = frame.question;
  const sides = [candidate, stableOf(frame.question)].flatMap((series) => (series === undefined || series.total.total === 0 ? [] : [series.total]));
  const sampling = sides.reduce((sum, total) => sum + samplingVariance(total, quantile) / total.total, 0);
  return Math.sqrt(sampling + frame.variance / frame.minutes);
}

/** Estimate and bounds in the gate's unit. */
function boundsOf(frame: Frame, view: View): Pick<GateNumbers, 'estimate' | 'lower' | 'upper'> {
  const [low, high] = [estimateOf(frame, view, 'Fail'), estimateOf(frame, view, 'Pass')];
  const half = ({ contrast, margin }: Estimate, side: Side): number => Math.sqrt(contrast.width(side) ** 2 + margin);
  const { question } = frame;
  const { difference } = low.contrast;
  return { estimate: inUnits(question, difference), lower: inUnits(question, difference - half(low, 'lower')), upper: inUnits(question, difference + half(high, 'upper')) };
}

/** The view without the stalls that could have made the verdict: the candidate's for a Fail, stable's for a Pass. */
function cleanedView(frame: Frame, verdict: Said): Cleaned {
  const { question } = frame;
  const stable = stableOf(question);
  const whole = viewOf(frame);
  if (verdict === 'Fail') {
    const { histogram, windows } = withoutStalls(question.candidate, levelOf(frame), question.known);
    const minutes = Math.max(1, (frame.minutes * histogram.total) / question.candidate.total.total);
    return { view: { ...whole, candidate: histogram, minutes }, windows, requests: histogram.total };
  }
  if (stable === undefined) return { view: whole, windows: 0, requests: question.candidate.total.total };
  const { histogram, windows } = withoutStalls(stable, lnQuantile(tailOf(stable.total), frame.test.share), question.known);
  const minutes = Math.max(1, (frame.minutes * histogram.total) / stable.total.total);
  return { view: { ...whole, stable: histogram, minutes }, windows, requests: histogram.total };
}

/** The limit in ln(ms). */
function levelOf({ question: { against }, test }: Frame): number {
  if ('maxMs' in against) return Math.log(against.maxMs);
  return Math.log1p(against.tolerance) + lnQuantile(tailOf(against.stable.total), test.share);
}

function withoutStalls(series: LatencySeries, level: number, known: number): { histogram: LogHistogram; windows: number } {
  const events = series.blocks.map((block) => countAbove(block, level));
  const { removed, windows } = worstBlocks({ events, trials: requestsOf(series), known });
  const histogram = emptyHistogram(series.total.scale);
  series.blocks.forEach((block, at) => {
    if (!removed.has(at)) addInto(histogram, block);
  });
  return { histogram, windows };
}

/** A difference of ln(latency) in the gate's unit; null when it is not finite. */
function inUnits({ against }: LatencyQuestion, ln: number): number | null {
  if (!Number.isFinite(ln)) return null;
  return 'maxMs' in against ? Math.exp(ln) * against.maxMs : Math.expm1(ln);
}

function comparedIn(question: LatencyQuestion): Compared {
  const stable = stableOf(question);
  return { candidate: question.candidate, ...(stable === undefined ? {} : { stable }) };
}

function stableOf({ against }: LatencyQuestion): LatencySeries | undefined {
  return 'stable' in against ? against.stable : undefined;
}

function requestsOf(series: LatencySeries): number[] {
  return series.blocks.map((block) => block.total);
}
