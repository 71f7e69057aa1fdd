/**
 * The gates over rates: errors, and answers that disagree with stable's.
 *
 * Owns:   the verdict, its bounds and the forecast of requests still needed, for a limit of increase over stable
 *         and for an absolute one.
 * Method: tempered evidence (rate-evidence.ts); a decided verdict must hold without its worst bursts (stalls.ts).
 * Pure:   the same blocks give the same verdict, whenever and however often it is asked for.
 */
import { tuning } from './constants.ts';
import { forecastRequests } from './forecast.ts';
import { bartlett } from './noise.ts';
import { clustering, dispersionOf, increaseBounds, increaseEvidence, rateBounds, rateEvidence, total, type Dispersion, type RateSample } from './rate-evidence.ts';
import type { Counts } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, GateNumbers } from './verdict.ts';

export type RateQuestion = {
  readonly candidate: Counts;
  /** Stable's counts and the increase allowed over its rate (0.005 is half a percent of requests), or a limit of the rate itself. */
  readonly against: { readonly stable: Counts; readonly increase: number } | { readonly max: number };
  readonly alpha: number;
  /** Blocks of the window that are known. */
  readonly known: number;
  readonly pods: { readonly candidate: number; readonly stable: number };
};

type Side = { readonly counts: Counts; readonly x: number; readonly n: number; readonly dispersion: Dispersion };
type Frame = { readonly question: RateQuestion; readonly bound: number; readonly candidate: Side; readonly stable?: Side; readonly clustering: number };
type View = { readonly candidate: RateSample; readonly stable?: RateSample };
type Cleaned = { readonly view: View; readonly windows: number; readonly requests: number };
type Settled = { readonly decided: Decided; /** What the bounds said before bursts were left out, and what was left then. */ readonly checked?: { readonly verdict: 'Pass' | 'Fail'; readonly cleaned: Cleaned } };

/** One question with its answers, each worked out only when asked for. */
export class RateJudgement {
  readonly #frame: Frame;
  #settled: Settled | undefined;

  constructor(question: RateQuestion) {
    const stable = 'stable' in question.against ? sideOf(question.against.stable) : undefined;
    const candidate = sideOf(question.candidate);
    this.#frame = {
      question,
      bound: Math.log(1 / question.alpha),
      candidate,
      ...(stable === undefined ? {} : { stable }),
      clustering: clustering(candidate.dispersion, stable?.dispersion),
    };
  }

  /** Fail: over the limit. Pass: within it. Otherwise undecided, with a reason. */
  decide(): Decided {
    return this.#settle().decided;
  }

  /** The numbers behind the verdict. */
  numbers(): GateNumbers {
    const frame = this.#frame;
    const { question, candidate, stable } = frame;
    const { against, pods } = question;
    const shown = candidate.n > 0 && (stable === undefined || stable.n > 0);
    const bounds = shown ? boundsOf(viewOf(frame), frame.bound) : { lower: null, upper: null };
    return {
      candidateRequests: Math.round(candidate.n),
      ...(stable === undefined ? {} : { stableRequests: Math.round(stable.n) }),
      unit: 'share',
      estimate: shown ? candidate.x / candidate.n - (stable === undefined ? 0 : stable.x / stable.n) : null,
      ...bounds,
      limit: 'max' in against ? against.max : against.increase,
      requestsStillNeeded: this.#stillNeeded(),
      alpha: question.alpha,
      evidence: {
        minutes: minutesOf(candidate),
        noise: Math.sqrt(frame.clustering),
        candidatePods: pods.candidate,
        ...(stable === undefined ? {} : { stablePods: pods.stable }),
        ...this.#bursts(),
      },
    };
  }

  #settle(): Settled {
    this.#settled ??= settle(this.#frame);
    return this.#settled;
  }

  #bursts(): { readonly windowsRemoved: number; readonly boundWithoutStalls?: number } {
    const { checked } = this.#settle();
    if (checked === undefined || checked.cleaned.windows === 0 || checked.cleaned.requests === 0) return { windowsRemoved: checked?.cleaned.windows ?? 0 };
    const bounds = boundsOf(checked.cleaned.view, this.#frame.bound);
    return { windowsRemoved: checked.cleaned.windows, boundWithoutStalls: checked.verdict === 'Fail' ? bounds.lower : bounds.upper };
  }

  #stillNeeded(): number | null {
    const { verdict, reason } = this.decide();
    if (verdict !== 'Undecided') return 0;
    const { candidate, stable } = this.#frame;
    if (reason === 'OneWindow' || candidate.n === 0 || stable?.n === 0) return null;
    return forecastRequests(candidate.n, (growth) => holds(this.#frame, viewOf(this.#frame, growth)) !== undefined);
  }
}

function sideOf(counts: Counts): Side {
  return { counts, x: total(counts.events), n: total(counts.trials), dispersion: dispersionOf(counts) };
}

function settle(frame: Frame): Settled {
  const enough = frame.candidate.n >= tuning.hardMinRequests && (frame.stable === undefined || frame.stable.n >= tuning.hardMinRequests);
  if (!enough) return { decided: { verdict: 'Undecided', reason: 'TooFewRequests' } };
  const verdict = holds(frame, viewOf(frame));
  if (verdict === undefined) return { decided: { verdict: 'Undecided', reason: 'Uncertain' } };
  const cleaned = cleanedView(frame, verdict);
  const stands = cleaned.requests >= tuning.hardMinRequests && holds(frame, cleaned.view) === verdict;
  return { decided: stands ? { verdict } : { verdict: 'Undecided', reason: 'OneWindow' }, checked: { verdict, cleaned } };
}

/** @param growth the counts times so much, for a forecast */
function viewOf(frame: Frame, growth = 1): View {
  const sample = (side: Side): RateSample => ({ x: side.x * growth, n: side.n * growth, cluster: frame.clustering * side.dispersion.perMinute });
  return { candidate: sample(frame.candidate), ...(frame.stable === undefined ? {} : { stable: sample(frame.stable) }) };
}

/** Evidence against the limit itself decides, for whichever side of it the estimate is on. */
function holds({ question: { against }, bound }: Frame, { candidate, stable }: View): 'Pass' | 'Fail' | undefined {
  const rate = candidate.x / candidate.n;
  const absolute = 'max' in against;
  const limit = absolute ? against.max : against.increase + (stable === undefined ? 0 : stable.x / stable.n);
  if (rate === limit) return undefined;
  const evidence = absolute || stable === undefined ? rateEvidence(candidate, Math.min(1 - 1e-9, Math.max(1e-9, limit))) : increaseEvidence({ candidate, stable }, against.increase, bound);
  if (evidence < bound) return undefined;
  return rate > limit ? 'Fail' : 'Pass';
}

function boundsOf({ candidate, stable }: View, bound: number): { readonly lower: number; readonly upper: number } {
  return stable === undefined ? rateBounds(candidate, bound) : increaseBounds({ candidate, stable }, bound);
}

/** The counts without the bursts that could have made the verdict: the candidate's for a Fail, stable's for a Pass. */
function cleanedView(frame: Frame, verdict: 'Pass' | 'Fail'): Cleaned {
  const view = viewOf(frame);
  const side = verdict === 'Fail' ? frame.candidate : frame.stable;
  if (side === undefined) return { view, windows: 0, requests: frame.candidate.n };
  const { removed, windows } = worstBlocks({ ...side.counts, known: frame.question.known });
  const keep = (values: readonly number[]): number => total(values.filter((_, at) => !removed.has(at)));
  const x = keep(side.counts.events);
  const n = keep(side.counts.trials);
  const sample: RateSample = { x, n, cluster: frame.clustering * side.dispersion.perMinute };
  return { view: verdict === 'Fail' ? { ...view, candidate: sample } : { ...view, stable: sample }, windows, requests: n };
}

function minutesOf({ counts, n }: Side): number {
  const spread = bartlett(counts.trials);
  return spread > 0 ? Math.max(1, (n * n) / spread) : 1;
}
