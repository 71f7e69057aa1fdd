/**
 * The latency gate: is the candidate's quantile within the limit?
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged; a look is one evaluation of
 * it. Stalls are a few seconds so slow that they alone could decide a verdict. Noise is random variation between
 * minutes or pods of one revision. A warm-up is the time in which a new candidate gets faster, while caches fill and
 * code is compiled. A NoFail step ends after a set time if no gate failed; a gate that is `Blind` could not have failed
 * yet and delays this end.
 * Owns: the verdict, its numbers and the forecast of requests still needed, for a relative and for an absolute limit.
 * Method: bounds (latency-bounds.ts). A verdict must also hold when the worst stalls are left out (stalls.ts). A Fail
 * must also hold under a larger noise, and in the part of the window in which the candidate is warm (warming.ts). The
 * method is explained in docs/canary-analysis.md.
 * Pure: the same blocks give the same verdict, however often it is computed.
 */
import { tuning } from './constants.ts';
import { forecastAround, forecastRequests } from './forecast.ts';
import {
  boundsOf,
  doubting,
  estimateOf,
  fails,
  frameOf,
  holdsGrown,
  limitOf,
  passes,
  requestsInBlocks,
  stableSeriesOf,
  standardError,
  viewOf,
  type LatencyFrame,
  type LatencyQuestion,
  type LatencyView,
} from './latency-bounds.ts';
import {
  addInto,
  countAbove,
  emptyHistogram,
  lnQuantile,
  lnQuantileOf,
  sumOf,
  tailOf,
  type LatencyCounts,
} from './log-histogram.ts';
import type { LatencySeries } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, GateNumbers, Said } from './verdict.ts';
import { settlingOf } from './warming.ts';

export type { LatencyQuestion } from './latency-bounds.ts';

type Cleaned = { readonly view: LatencyView; readonly windows: number; readonly requests: number };
/**
 * A verdict. `checked` has the verdict that the bounds alone give, and the counts that remain without the stalls; it is
 * absent if the bounds alone give neither Pass nor Fail.
 */
type Settled = { readonly decided: Decided; readonly checked?: { readonly verdict: Said; readonly cleaned: Cleaned } };
/** Judges one latency question. Only `numbers` computes the numbers, so that a look without numbers is cheap. */
export class LatencyJudgement {
  readonly #frame: LatencyFrame;
  #decided: Settled | undefined;

  constructor(question: LatencyQuestion) {
    this.#frame = frameOf(question);
  }

  /**
   * Fail: slower than the limit. Pass: not slower than the bound that must be shown. Otherwise undecided, with a
   * reason.
   */
  decide(): Decided {
    return this.#settle().decided;
  }

  /** The numbers behind the verdict. */
  numbers(): GateNumbers {
    const frame = this.#frame;
    const { question } = frame;
    const stable = stableSeriesOf(question);
    const shown = frame.enough ? boundsOf(frame, viewOf(frame)) : { estimate: null, lower: null, upper: null };
    return {
      candidateRequests: Math.round(question.candidate.total.total),
      ...(stable === undefined ? {} : { stableRequests: Math.round(stable.total.total) }),
      unit: 'maxMs' in question.against ? 'ms' : 'ratio',
      ...shown,
      limit: 'maxMs' in question.against ? question.against.maxMs : question.against.tolerance,
      toShow: frame.toShow,
      ...this.#stillNeeded(),
      alpha: question.alpha + question.passAlpha,
      passAlpha: question.passAlpha,
      evidence: {
        minutes: frame.minutes,
        noise: Math.sqrt(frame.variance),
        passNoise: Math.sqrt(frame.passVariance(frame.minutes)),
        candidatePods: question.candidate.pods.length,
        ...(stable === undefined ? {} : { stablePods: stable.pods.length, ...nodesMayDiffer(frame) }),
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
    if (reason === 'OneWindow' || now === 0 || stableSeriesOf(frame.question)?.total.total === 0)
      return { requestsStillNeeded: null };
    if (this.#settle().checked?.verdict === 'Fail') return untilItIsWarm(frame);
    const needed = (shift: number): number | null =>
      forecastRequests(now, (growth) => holdsGrown(frame, growth, shift));
    return forecastAround(needed, { error: standardError(frame), least: tuning.hardMinRequests - now });
  }
}

/**
 * The largest difference that nodes alone may cause while a revision has only one pod. It is the margin of a Fail for
 * differences between pods (pod-spread.ts).
 */
function nodesMayDiffer({ question: { candidate, against }, podMargin }: LatencyFrame): {
  readonly nodesMayDiffer?: number;
} {
  const isAlone = candidate.pods.length < 2 || ('stable' in against && against.stable.pods.length < 2);
  return isAlone && podMargin.Fail > 0 ? { nodesMayDiffer: Math.expm1(Math.sqrt(podMargin.Fail)) } : {};
}

/**
 * The forecast of a Fail that only waits for the end of the warm-up. At the earliest, the gate fails in the next block.
 * At the latest, it fails when the window has more than `warmBlocks` blocks.
 */
function untilItIsWarm({
  question: { candidate, known, warmBlocks },
}: LatencyFrame): Pick<GateNumbers, 'requestsStillNeeded' | 'neededRange'> {
  const perBlock = candidate.total.total / Math.max(1, known);
  const requests = (blocks: number): number => Math.max(1, Math.ceil(blocks * perBlock));
  const [next, last] = [requests(1), requests(Math.max(1, warmBlocks - known + 1))];
  return { requestsStillNeeded: next, neededRange: [1, last] };
}

function settle(frame: LatencyFrame): Settled {
  const { question } = frame;
  const whole = viewOf(frame);
  const isShown = question.early === Infinity || (frame.enough && passes(frame, whole, question.early));
  const early = isShown ? { early: 'Shown' as const } : {};
  if (!frame.enough) return { decided: { verdict: 'Undecided', reason: 'TooFewRequests', ...early } };
  if (fails(frame, whole)) return settleFail(frame, early);
  if (!passes(frame, whole, frame.toShow)) return { decided: { verdict: 'Undecided', reason: 'Uncertain', ...early } };
  const cleaned = cleanedView(frame, 'Pass');
  const stands =
    frame.toShow === Infinity ||
    (cleaned.requests >= tuning.hardMinRequests && passes(frame, cleaned.view, frame.toShow));
  return {
    decided: { ...(stands ? { verdict: 'Pass' } : { verdict: 'Undecided', reason: 'OneWindow' }), ...early },
    checked: { verdict: 'Pass', cleaned },
  };
}

/** A Fail of the bounds must hold in further checks. If it does not hold, the gate is undecided; it never passes. */
function settleFail(frame: LatencyFrame, early: Pick<Decided, 'early'>): Settled {
  const checked = { verdict: 'Fail', cleaned: cleanedView(frame, 'Fail') } as const;
  if (frame.question.isTooEarlyToFail)
    return { decided: { verdict: 'Undecided', reason: 'Uncertain', early: 'Blind', ...early }, checked };
  const part = settledPart(frame);
  const decided = part === undefined ? unsettled(frame, checked.cleaned) : confirmed(part);
  return { decided: { ...decided, ...early }, checked };
}

/**
 * The candidate may be warming up: the gate does not fail, and `Blind` delays the end of a NoFail step. If stalls alone
 * caused the Fail of the bounds, the reason is OneWindow without `Blind`, so that a person can check.
 */
function unsettled(frame: LatencyFrame, cleaned: Cleaned): Decided {
  const isStall = fails(doubting(frame), viewOf(frame)) && !fails(doubting(frame), cleaned.view);
  return isStall
    ? { verdict: 'Undecided', reason: 'OneWindow' }
    : { verdict: 'Undecided', reason: 'Uncertain', early: 'Blind' };
}

/**
 * Fails the gate if the slowdown lasts (lastsTo), and the Fail also holds under a larger noise and without stalls.
 * @param frame the part of the window in which the candidate is warm
 */
function confirmed(frame: LatencyFrame): Decided {
  if (!frame.enough) return { verdict: 'Undecided', reason: 'Uncertain' };
  const lasts = lastsTo(frame);
  if (lasts !== true)
    return { verdict: 'Undecided', reason: 'Uncertain', ...(lasts === undefined ? { early: 'Blind' as const } : {}) };
  const asked = doubting(frame);
  const cleaned = cleanedView(frame, 'Fail');
  if (cleaned.requests >= tuning.hardMinRequests && fails(asked, cleaned.view)) return { verdict: 'Fail' };
  return { verdict: 'Undecided', reason: fails(asked, viewOf(frame)) ? 'OneWindow' : 'Uncertain' };
}

/**
 * Whether the candidate's estimate is still over the limit in the latest half of the window.
 *
 * Why: some requests are slow only once, such as the first request of each kind, for which the pod compiles code. These
 * requests stay among the slowest requests of the window for a long time. The check can only remove Fails.
 * @returns undefined while the latest half has too few requests, or while the share of slow requests still decreases
 */
function lastsTo(frame: LatencyFrame): boolean | undefined {
  const { question, test } = frame;
  const stable = stableSeriesOf(question);
  const least = Math.ceil(tuning.lastingTailRequests / test.share - 1e-9);
  const [own, other] = [latestHalf(question.candidate), stable === undefined ? undefined : latestHalf(stable)];
  if (own.total < least || (other !== undefined && other.total < least)) return undefined;
  const compared =
    'maxMs' in question.against
      ? Math.log(question.against.maxMs)
      : other === undefined
        ? 0
        : lnQuantileOf(other, test.share);
  if (lnQuantileOf(own, test.share) - compared <= limitOf(question)) return false;
  return isEbbing(frame, own) ? undefined : true;
}

function latestHalf(series: LatencySeries): LatencyCounts {
  return partFrom(series, Math.floor(series.blocks.length / 2)).total;
}

/**
 * Whether the share of slow requests in the latest half is less than half of their share in the first half. In a
 * lasting slowdown, both shares are equal.
 */
function isEbbing(frame: LatencyFrame, latest: LatencyCounts): boolean {
  const { total } = frame.question.candidate;
  const level = levelOf(frame);
  const [all, late] = [countAbove(total, level), countAbove(latest, level)];
  const before = total.total - latest.total;
  return before > 0 && late / latest.total < tuning.ebbing * ((all - late) / before);
}

/**
 * The part of the window after the candidate's warm-up.
 *
 * @returns undefined during the warm-up, and while the part has too few requests. Also undefined if the estimate in the
 * part, minus `stillToGain` (warming.ts), does not exceed the limit: the candidate may still get fast enough.
 */
function settledPart(frame: LatencyFrame): LatencyFrame | undefined {
  const { question } = frame;
  const settling = settlingOf(question.candidate.blocks, stableSeriesOf(question)?.blocks, {
    leastRequests: tuning.trendRequests,
    warmBlocks: question.warmBlocks,
  });
  if (settling === undefined) return undefined;
  const { from, stillToGain } = settling;
  const isOver = (one: LatencyFrame): boolean =>
    estimateOf(one, viewOf(one), 'Fail').contrast.difference - stillToGain > limitOf(question);
  if (from === 0) return isOver(frame) ? frame : undefined;
  const { against, candidate } = question;
  const rest = 'stable' in against ? { ...against, stable: partFrom(against.stable, from) } : against;
  const part = frameOf({
    ...question,
    candidate: partFrom(candidate, from),
    against: rest,
    known: Math.max(1, question.known - from),
  });
  return part.enough && isOver(part) ? part : undefined;
}

function partFrom(series: LatencySeries, from: number): LatencySeries {
  const blocks = series.blocks.slice(from);
  return { ...series, blocks, total: sumOf(series.total.scale, blocks) };
}

/**
 * The counts without the stalls that could have caused the verdict: the candidate's stalls for a Fail, stable's for a
 * Pass.
 */
function cleanedView(frame: LatencyFrame, verdict: Said): Cleaned {
  const { question } = frame;
  const stable = stableSeriesOf(question);
  const whole = viewOf(frame);
  if (verdict === 'Fail') {
    const { histogram, windows } = withoutStalls(question.candidate, levelOf(frame), question.known);
    const minutes = Math.max(1, (frame.minutes * histogram.total) / question.candidate.total.total);
    return { view: { ...whole, candidate: histogram, minutes }, windows, requests: histogram.total };
  }
  if (stable === undefined) return { view: whole, windows: 0, requests: question.candidate.total.total };
  const { histogram, windows } = withoutStalls(
    stable,
    lnQuantile(tailOf(stable.total), frame.test.share),
    question.known,
  );
  const minutes = Math.max(1, (frame.minutes * histogram.total) / stable.total.total);
  return { view: { ...whole, stable: histogram, minutes }, windows, requests: histogram.total };
}

/** The limit in ln(ms). */
function levelOf({ question: { against }, test }: LatencyFrame): number {
  if ('maxMs' in against) return Math.log(against.maxMs);
  return Math.log1p(against.tolerance) + lnQuantile(tailOf(against.stable.total), test.share);
}

function withoutStalls(
  series: LatencySeries,
  level: number,
  known: number,
): { histogram: LatencyCounts; windows: number } {
  const events = series.blocks.map((block) => countAbove(block, level));
  const { removed, windows } = worstBlocks({ events, trials: requestsInBlocks(series), known });
  const histogram = emptyHistogram(series.total.scale);
  series.blocks.forEach((block, at) => {
    if (!removed.has(at)) addInto(histogram, block);
  });
  return { histogram, windows };
}
