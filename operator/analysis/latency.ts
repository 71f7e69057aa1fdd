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
import { forecastRequests } from './forecast.ts';
import { countAbove, emptyHistogram, addInto, lnQuantile, sumOf, tailOf, type LogHistogram } from './log-histogram.ts';
import { doubtedVariance, effectiveMinutes, minuteMargin, minuteNoise, podMargin, type Compared, type NoiseHistory } from './noise.ts';
import { contrastOf, contrastWithLimit, quantileTest, type Contrast, type QuantileTest, type Side } from './quantile-evidence.ts';
import type { LatencySeries } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, GateNumbers } from './verdict.ts';
import { settledSince } from './warming.ts';

export type LatencyQuestion = {
  readonly candidate: LatencySeries;
  /** Stable's series and how much slower the candidate may be (0.15), or a limit in milliseconds. */
  readonly against: { readonly stable: LatencySeries; readonly tolerance: number } | { readonly maxMs: number };
  /** 0..1, exclusive. */
  readonly quantile: number;
  /** What this gate may spend in this window. */
  readonly alpha: number;
  /** Blocks of the window that are known. */
  readonly known: number;
  /** Noise of stable before the window; used for a relative limit. */
  readonly history: NoiseHistory;
};

/** All that does not change while stalls are left out or requests are imagined. */
type Frame = {
  readonly question: LatencyQuestion;
  readonly test: QuantileTest;
  /** C = ln(1/α). */
  readonly bound: number;
  readonly variance: number;
  /** Minutes that the variance is known from, history's among them. */
  readonly knownMinutes: number;
  readonly podMargin: number;
  readonly minutes: number;
  readonly enough: boolean;
};

/** Histograms of a comparison, possibly less some blocks. */
type View = { readonly candidate: LogHistogram; readonly stable?: LogHistogram; readonly minutes: number };
type Cleaned = { readonly view: View; readonly windows: number; readonly requests: number };
type Settled = { readonly decided: Decided; /** What the bounds said before stalls were left out, and what was left then. */ readonly checked?: { readonly verdict: 'Pass' | 'Fail'; readonly cleaned: Cleaned } };
type Estimate = { readonly contrast: Contrast; readonly margin: number; /** How far the estimate is over the limit, in ln. */ readonly over: number };

/** One question with its answers, each worked out only when asked for: a look that is only a look is cheap. */
export class LatencyJudgement {
  readonly #frame: Frame;
  #decided: Settled | undefined;

  constructor(question: LatencyQuestion) {
    this.#frame = frameOf(question);
  }

  /** Fail: slower than the limit. Pass: within it. Otherwise undecided, with a reason. */
  decide(): Decided {
    return this.#settle().decided;
  }

  /** The numbers behind the verdict. */
  numbers(): GateNumbers {
    const frame = this.#frame;
    const { question } = frame;
    const stable = stableOf(question);
    const estimate = frame.enough ? estimateOf(frame, viewOf(frame)) : undefined;
    return {
      candidateRequests: Math.round(question.candidate.total.total),
      ...(stable === undefined ? {} : { stableRequests: Math.round(stable.total.total) }),
      unit: 'maxMs' in question.against ? 'ms' : 'ratio',
      estimate: estimate === undefined ? null : inUnits(question, estimate.contrast.difference),
      lower: estimate === undefined ? null : inUnits(question, boundOf(estimate, 'lower')),
      upper: estimate === undefined ? null : inUnits(question, boundOf(estimate, 'upper')),
      limit: 'maxMs' in question.against ? question.against.maxMs : question.against.tolerance,
      requestsStillNeeded: this.#stillNeeded(),
      alpha: question.alpha,
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
    const bound = boundOf(estimateOf(this.#frame, checked.cleaned.view), checked.verdict === 'Fail' ? 'lower' : 'upper');
    const shown = inUnits(this.#frame.question, bound);
    return { windowsRemoved: checked.cleaned.windows, ...(shown === null ? {} : { boundWithoutStalls: shown }) };
  }

  #stillNeeded(): number | null {
    const { verdict, reason } = this.decide();
    if (verdict !== 'Undecided') return 0;
    const frame = this.#frame;
    const now = frame.question.candidate.total.total;
    if (reason === 'OneWindow' || now === 0 || stableOf(frame.question)?.total.total === 0) return null;
    const needed = forecastRequests(now, (growth) => holdsGrown(frame, growth));
    return needed === null ? null : Math.max(1, needed);
  }
}

function frameOf(question: LatencyQuestion): Frame {
  const { candidate, quantile } = question;
  const stable = stableOf(question);
  const enough = [candidate, stable].every((series) => series === undefined || series.total.total >= tuning.hardMinRequests);
  const compared = comparedIn(question);
  const bound = Math.log(1 / question.alpha);
  const minutes = effectiveMinutes(requestsOf(candidate), stable === undefined ? undefined : requestsOf(stable));
  const history = stable === undefined ? { minutes: 0, weightedVariance: 0 } : question.history;
  const { variance, minutes: measured } = minuteNoise(compared, quantile, history);
  const pods = enough ? podMargin(compared, quantile, { variance, minutes, bound }) : 0;
  return { question, test: quantileTest(quantile), bound, variance, knownMinutes: measured + history.minutes, podMargin: pods, minutes, enough };
}

function settle(frame: Frame): Settled {
  if (!frame.enough) return { decided: { verdict: 'Undecided', reason: 'TooFewRequests' } };
  const verdict = holds(frame, viewOf(frame));
  if (verdict === undefined) return { decided: { verdict: 'Undecided', reason: 'Uncertain' } };
  const cleaned = cleanedView(frame, verdict);
  const checked = { verdict, cleaned };
  if (verdict === 'Fail') return { decided: confirmed(settledPart(frame)), checked };
  const stands = cleaned.requests >= tuning.hardMinRequests && holds(frame, cleaned.view) === 'Pass';
  return { decided: stands ? { verdict } : { verdict: 'Undecided', reason: 'OneWindow' }, checked };
}

/** A Fail, if it stands under doubt and without stalls; the rest of the window is what the candidate is warm in. */
function confirmed(frame: Frame | undefined): Decided {
  if (frame?.enough !== true) return { verdict: 'Undecided', reason: 'Uncertain' };
  const asked = doubting(frame);
  const cleaned = cleanedView(frame, 'Fail');
  if (cleaned.requests >= tuning.hardMinRequests && holds(asked, cleaned.view) === 'Fail') return { verdict: 'Fail' };
  return { verdict: 'Undecided', reason: holds(asked, viewOf(frame)) === 'Fail' ? 'OneWindow' : 'Uncertain' };
}

/** The window less the candidate's warm-up (warming.ts); undefined while it goes on. */
function settledPart(frame: Frame): Frame | undefined {
  const { question } = frame;
  const from = settledSince(question.candidate.blocks, stableOf(question)?.blocks, Math.ceil(tuning.earlyTailRequests / frame.test.share - 1e-9));
  if (from === undefined || from === 0) return from === 0 ? frame : undefined;
  const { against, candidate } = question;
  const rest = 'stable' in against ? { ...against, stable: partFrom(against.stable, from) } : against;
  return frameOf({ ...question, candidate: partFrom(candidate, from), against: rest, known: Math.max(1, question.known - from) });
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
  return { ...frame, bound: frame.bound * tuning.stallEvidence, variance: doubtedVariance(comparedIn(frame.question), frame.question.quantile, known) };
}

function viewOf({ question, minutes }: Frame): View {
  const stable = stableOf(question);
  return { candidate: question.candidate.total, ...(stable === undefined ? {} : { stable: stable.total }), minutes };
}

function estimateOf(frame: Frame, view: View, growth = 1): Estimate {
  const { against } = frame.question;
  const candidate = { tail: tailOf(view.candidate), n: view.candidate.total * growth };
  const margin = minuteMargin(frame.variance, view.minutes * growth, frame.bound) + frame.podMargin;
  if ('maxMs' in against) {
    const contrast = contrastWithLimit(frame.test, candidate, Math.log(against.maxMs), frame.bound);
    return { contrast, margin, over: contrast.difference };
  }
  const histogram = view.stable ?? against.stable.total;
  const contrast = contrastOf(frame.test, { candidate, stable: { tail: tailOf(histogram), n: histogram.total * growth } }, frame.bound);
  return { contrast, margin, over: contrast.difference - Math.log1p(against.tolerance) };
}

/**
 * What the bounds say: L = D - √(w_L² + m²) over the limit is a Fail, U = D + √(w_U² + m²) within it a Pass.
 *
 * Written as a search that ends as soon as the width exceeds the room that is left.
 */
function holds(frame: Frame, view: View, growth = 1): 'Pass' | 'Fail' | undefined {
  const { contrast, margin, over } = estimateOf(frame, view, growth);
  const side: Side = over > 0 ? 'lower' : 'upper';
  const room = over * over - margin;
  if (!(room > 0)) return undefined;
  const width = contrast.width(side, Math.sqrt(room));
  if (width * width >= room) return undefined;
  return side === 'lower' ? 'Fail' : 'Pass';
}

/** Whether so many times the requests would decide, stalls apart. */
function holdsGrown(frame: Frame, growth: number): boolean {
  const verdict = holds(frame, viewOf(frame), growth);
  return verdict === 'Pass' || (verdict === 'Fail' && holds(doubting(frame), viewOf(frame), growth) === 'Fail');
}

function boundOf({ contrast, margin }: Estimate, side: Side): number {
  const half = Math.sqrt(contrast.width(side) ** 2 + margin);
  return contrast.difference + (side === 'lower' ? -half : half);
}

/** The view without the stalls that could have made the verdict: the candidate's for a Fail, stable's for a Pass. */
function cleanedView(frame: Frame, verdict: 'Pass' | 'Fail'): Cleaned {
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
