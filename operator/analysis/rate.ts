/**
 * The gates on rates: errors, and answers that disagree with stable's.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged. A gate's verdict is Pass or
 * Fail, else it is undecided. α is the accepted probability of a wrong verdict. A burst is many errors, or many
 * differing answers, within 40 s.
 * Owns: the verdict, its bounds and the forecast of requests still needed, for a relative and for an absolute limit.
 * Method: tempered evidence (rate-evidence.ts). A verdict must also hold when the worst bursts are left out
 * (stalls.ts).
 * Pure: the same blocks give the same verdict, however often it is computed.
 */
import { tuning } from './constants.ts';
import { forecastAround, forecastRequests } from './forecast.ts';
import { bartlett } from './noise.ts';
import {
  clustering,
  dispersionOf,
  increaseBound,
  increaseEvidence,
  rateBound,
  rateEvidence,
  total,
  type Direction,
  type Dispersion,
  type RateSample,
} from './rate-evidence.ts';
import type { Last } from './plan.ts';
import type { Counts } from './series.ts';
import { worstBlocks } from './stalls.ts';
import type { Decided, GateNumbers, Said } from './verdict.ts';

export type RateQuestion = {
  readonly candidate: Counts;
  /**
   * Stable's counts and the allowed increase over its rate (0.005 is half a percent of requests), or an absolute limit.
   */
  readonly against: { readonly stable: Counts; readonly increase: number } | { readonly max: number };
  /** The gate's α in this window for a wrong Fail. */
  readonly alpha: number;
  /** The gate's α in this window for a wrong Pass. */
  readonly passAlpha: number;
  /**
   * The bound that a Pass must show: the limit or a weaker bound. If it is 1 or more, a Pass states no bound, because a
   * rate is at most 1.
   */
  readonly toShow: number;
  /** The weaker bound that is enough near the end of a step if the estimate is good (plan.ts, lastToShow). */
  readonly last?: Last;
  /**
   * The bound that a NoFail step (one that ends after a set time if no gate failed) tries to show before it ends
   * (`Decided.early`).
   */
  readonly early: number;
  /** The number of blocks of the window that are known. */
  readonly known: number;
  readonly pods: { readonly candidate: number; readonly stable: number };
};

type Side = { readonly counts: Counts; readonly x: number; readonly n: number; readonly dispersion: Dispersion };
type Frame = {
  readonly question: RateQuestion;
  /** The evidence that a verdict needs, C = ln(1/α), for a Fail and for a Pass. */
  readonly bounds: Readonly<Record<Said, number>>;
  readonly candidate: Side;
  readonly stable?: Side;
  readonly clustering: number;
  /** The bound that a Pass must show with this estimate: `toShow` of the question, or of `last` of the question. */
  readonly toShow: number;
};
type View = { readonly candidate: RateSample; readonly stable?: RateSample };
type Cleaned = { readonly view: View; readonly windows: number; readonly requests: number };
type Settled = {
  readonly decided: Decided;
  /**
   * The verdict that the bounds alone give, and the counts that remain without the bursts. Absent if the bounds alone
   * give neither Pass nor Fail.
   */
  readonly checked?: {
    readonly verdict: Said;
    readonly cleaned: Cleaned;
  };
};

/** Judges one question about a rate. Only `numbers` computes the numbers, so that a verdict alone is cheap. */
export class RateJudgement {
  readonly #frame: Frame;
  #settled: Settled | undefined;

  constructor(question: RateQuestion) {
    const stable = 'stable' in question.against ? sideOf(question.against.stable) : undefined;
    const candidate = sideOf(question.candidate);
    const frame = {
      question,
      bounds: { Fail: Math.log(1 / question.alpha), Pass: Math.log(1 / question.passAlpha) },
      candidate,
      ...(stable === undefined ? {} : { stable }),
      clustering: clustering(candidate.dispersion, stable?.dispersion),
      toShow: question.toShow,
    };
    this.#frame = { ...frame, toShow: toShowOf(frame) };
  }

  /** Fail: over the limit. Pass: within the bound that must be shown. Otherwise undecided, with a reason. */
  decide(): Decided {
    return this.#settle().decided;
  }

  /** The numbers behind the verdict. */
  numbers(): GateNumbers {
    const frame = this.#frame;
    const { question, candidate, stable } = frame;
    const { pods } = question;
    const shown = candidate.n > 0 && (stable === undefined || stable.n > 0);
    const bound = (direction: Direction): number | null => (shown ? boundOf(frame, viewOf(frame), direction) : null);
    return {
      candidateRequests: Math.round(candidate.n),
      ...(stable === undefined ? {} : { stableRequests: Math.round(stable.n) }),
      unit: 'share',
      estimate: shown ? candidate.x / candidate.n - (stable === undefined ? 0 : stable.x / stable.n) : null,
      lower: bound('lower'),
      upper: bound('upper'),
      limit: limitOf(question),
      toShow: frame.toShow,
      ...this.#stillNeeded(),
      alpha: question.alpha + question.passAlpha,
      passAlpha: question.passAlpha,
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
    if (checked === undefined || checked.cleaned.windows === 0 || checked.cleaned.requests === 0)
      return { windowsRemoved: checked?.cleaned.windows ?? 0 };
    return {
      windowsRemoved: checked.cleaned.windows,
      boundWithoutStalls: boundOf(this.#frame, checked.cleaned.view, checked.verdict === 'Fail' ? 'lower' : 'upper'),
    };
  }

  #stillNeeded(): Pick<GateNumbers, 'requestsStillNeeded' | 'neededRange'> {
    const { verdict, reason } = this.decide();
    if (verdict !== 'Undecided') return { requestsStillNeeded: 0 };
    const frame = this.#frame;
    const { candidate, stable } = frame;
    if (reason === 'OneWindow' || candidate.n === 0 || stable?.n === 0) return { requestsStillNeeded: null };
    const needed = (shift: number): number | null =>
      forecastRequests(candidate.n, (growth) => {
        const view = viewOf(frame, growth, shift);
        return fails(frame, view) || passes(frame, view, frame.toShow);
      });
    const error = Math.sqrt(
      (candidate.x + 0.5) * (1 + frame.clustering * (candidate.x / candidate.n) * candidate.dispersion.perMinute),
    );
    return forecastAround(needed, { error, least: tuning.hardMinRequests - candidate.n });
  }
}

/**
 * The bound that a Pass must show. Near the end of a step, a weaker bound is enough if the estimate is good (plan.ts,
 * lastToShow).
 */
function toShowOf(frame: Frame): number {
  const { last, toShow } = frame.question;
  return last !== undefined && observed(viewOf(frame)) <= last.looks ? Math.max(toShow, last.toShow) : toShow;
}

function limitOf({ against }: RateQuestion): number {
  return 'max' in against ? against.max : against.increase;
}

function sideOf(counts: Counts): Side {
  return { counts, x: total(counts.events), n: total(counts.trials), dispersion: dispersionOf(counts) };
}

function settle(frame: Frame): Settled {
  const { question } = frame;
  const enough =
    frame.candidate.n >= tuning.hardMinRequests &&
    (frame.stable === undefined || frame.stable.n >= tuning.hardMinRequests);
  const early =
    question.early >= 1 || (enough && passes(frame, viewOf(frame), question.early)) ? { early: 'Shown' as const } : {};
  if (!enough) return { decided: { verdict: 'Undecided', reason: 'TooFewRequests', ...early } };
  const said = saidOf(frame);
  if (said === undefined) return { decided: { verdict: 'Undecided', reason: 'Uncertain', ...early } };
  const cleaned = cleanedView(frame, said);
  const stands = cleaned.requests >= tuning.hardMinRequests && standsIn(frame, said, cleaned.view);
  return {
    decided: { ...(stands ? { verdict: said } : { verdict: 'Undecided', reason: 'OneWindow' }), ...early },
    checked: { verdict: said, cleaned },
  };
}

/** The verdict of the bounds alone, before bursts are left out. */
function saidOf(frame: Frame): Said | undefined {
  const whole = viewOf(frame);
  if (fails(frame, whole)) return 'Fail';
  return passes(frame, whole, frame.toShow) ? 'Pass' : undefined;
}

function standsIn(frame: Frame, said: Said, view: View): boolean {
  return said === 'Fail' ? fails(lessStrict(frame), view) : passes(frame, view, frame.toShow);
}

/**
 * When the worst 40 s are left out, a Fail needs less evidence, as for latency (constants.ts, stallEvidence). The first
 * check has spent α already, and without its worst 40 s the candidate looks more like stable.
 */
function lessStrict(frame: Frame): Frame {
  return { ...frame, bounds: { ...frame.bounds, Fail: frame.bounds.Fail * tuning.stallEvidence } };
}

/**
 * @param growth factor of all counts, for a forecast
 * @param shift number of events to add to the candidate's events, for a forecast
 */
function viewOf(frame: Frame, growth = 1, shift = 0): View {
  const sample = (side: Side, more: number): RateSample => ({
    x: Math.min(side.n, Math.max(0, side.x + more)) * growth,
    n: side.n * growth,
    cluster: frame.clustering * side.dispersion.perMinute,
  });
  return {
    candidate: sample(frame.candidate, shift),
    ...(frame.stable === undefined ? {} : { stable: sample(frame.stable, 0) }),
  };
}

/** Whether the evidence excludes every rate up to the limit or, in a comparison, every increase up to the limit. */
function fails(frame: Frame, view: View): boolean {
  const limit = limitOf(frame.question);
  return observed(view) > limit && evidenceAgainst(view, limit, frame.bounds.Fail) >= frame.bounds.Fail;
}

/**
 * Whether the evidence excludes every rate of at least `toShow` or, in a comparison, every increase of at least
 * `toShow`.
 */
function passes(frame: Frame, view: View, toShow: number): boolean {
  if (toShow >= 1) return true;
  return observed(view) < toShow && evidenceAgainst(view, toShow, frame.bounds.Pass) >= frame.bounds.Pass;
}

function observed({ candidate, stable }: View): number {
  return candidate.x / candidate.n - (stable === undefined ? 0 : stable.x / stable.n);
}

function evidenceAgainst({ candidate, stable }: View, limit: number, enough: number): number {
  return stable === undefined
    ? rateEvidence(candidate, Math.min(1 - 1e-9, Math.max(1e-9, limit)))
    : increaseEvidence({ candidate, stable }, limit, enough);
}

/** The lower bound is computed with the α of a Fail, the upper bound with the α of a Pass. */
function boundOf({ bounds }: Frame, { candidate, stable }: View, direction: Direction): number {
  const bound = direction === 'lower' ? bounds.Fail : bounds.Pass;
  return stable === undefined
    ? rateBound(candidate, bound, direction)
    : increaseBound({ candidate, stable }, bound, direction);
}

/**
 * The counts without the bursts that could have caused the verdict: the candidate's bursts for a Fail, stable's for a
 * Pass.
 */
function cleanedView(frame: Frame, verdict: Said): Cleaned {
  const view = viewOf(frame);
  const side = verdict === 'Fail' ? frame.candidate : frame.stable;
  if (side === undefined) return { view, windows: 0, requests: frame.candidate.n };
  const { removed, windows } = worstBlocks({ ...side.counts, known: frame.question.known });
  const keep = (values: readonly number[]): number => total(values.filter((_, at) => !removed.has(at)));
  const x = keep(side.counts.events);
  const n = keep(side.counts.trials);
  const sample: RateSample = { x, n, cluster: frame.clustering * side.dispersion.perMinute };
  return {
    view: verdict === 'Fail' ? { ...view, candidate: sample } : { ...view, stable: sample },
    windows,
    requests: n,
  };
}

function minutesOf({ counts, n }: Side): number {
  const spread = bartlett(counts.trials);
  return spread > 0 ? Math.max(1, (n * n) / spread) : 1;
}
