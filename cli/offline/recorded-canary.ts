/**
 * Judges a recorded canary as the operator would have judged it live, with operator/analysis. A look is one evaluation
 * of the gates at one time of the trace.
 *
 * Terms: A trace is the recorded requests, sorted by time. A block is 20 seconds; a window is the blocks that the gates
 * judge. A pair is the service times of the same request on stable and on the candidate.
 * Owns: the counts per block, the times of the looks, and the first decision, which is final. A trace is one window
 * with one pod for each revision. The random variation of stable's latency is estimated from stable's requests in the
 * half hour before the window (the history).
 * Limits: a window of 24 hours, so memory does not grow with the number of requests.
 */
import { present } from '../../api/present.ts';
import { ratioBucketOf, type PairSource } from '../../api/report.ts';
import { decimal } from '../../api/text.ts';
import { AppError } from '../../api/errors.ts';
import { blockSeconds } from '../../operator/analysis/constants.ts';
import { historyBefore, historyBlocks } from '../../operator/analysis/history.ts';
import type { Evidence } from '../../operator/analysis/evidence.ts';
import {
  addCount,
  latencyBucketOf,
  emptyHistogram,
  reportScale,
  type LatencyCounts,
  type Scale,
} from '../../operator/analysis/log-histogram.ts';
import { evidenceOf, lookAt, numbersAt } from '../../operator/analysis/look.ts';
import type { NoiseHistory } from '../../operator/analysis/noise.ts';
import { pairedOf, ratioScale, type PairedSeries } from '../../operator/analysis/paired-series.ts';
import type { Cell, Nodes } from '../../operator/analysis/series.ts';
import { shownWords } from '../../operator/analysis/shown-words.ts';
import type { Decided, GateResult } from '../../operator/analysis/verdict.ts';
import type { JudgedModel } from './manifest.ts';
import type { TraceEntry, TracePair, TraceRequest } from './trace.ts';

/** A gate's result at the time `t` of the trace, in seconds. */
export type RecordedLook = GateResult & { readonly t: number };
export type RecordedOutcome = {
  readonly verdict: 'Pass' | 'Fail' | 'Undecided';
  /** Time of the first decision in seconds, as in the trace; if no decision was reached, the end of the trace. */
  readonly t: number;
  readonly candidateRequests: number;
  /** The gates' results at time `t`. */
  readonly gates: readonly RecordedLook[];
  /**
   * For a Pass, a text with the largest differences that are still possible within the bounds: "nothing worse than +15
   * % p95, +1 point errors shown".
   */
  readonly shown?: string;
};

export type LookPlan = {
  /**
   * Seconds between two looks. Absent: 5 s until the first decision, but for at most one hour; then 60 s; from four
   * hours on, 300 s. The interval grows because the cost of a look grows with the length of the window.
   */
  readonly everySeconds?: number;
  /** True: show every look. False: show changes, and one look per minute. */
  readonly all: boolean;
  /** Requests in this time after the candidate's first request are ignored: the candidate's caches still fill. */
  readonly settleSeconds: number;
  /** Whether both revisions ran on the same nodes; a trace does not contain this information. */
  readonly nodes: Nodes;
};

type Counting = { -readonly [K in keyof Cell]: Cell[K] };
const spanLimitSeconds = 86_400;

/**
 * The histogram buckets of a trace, which may contain any latency. They are the buckets of the sidecar's report, with
 * more buckets at both ends, so that they cover 1 µs to one day. A latency in the report's range falls into the same
 * bucket as in a report.
 */
const traceScale: Scale = {
  lnLow: reportScale.lnLow - 233 * reportScale.lnStep,
  lnStep: reportScale.lnStep,
  buckets: reportScale.buckets + 233 + 340,
};

export class RecordedCanary {
  readonly #model: JudgedModel;
  readonly #looks: LookPlan;
  readonly #cells: { readonly candidate: Counting[]; readonly stable: Counting[] } = { candidate: [], stable: [] };
  readonly #ratios = new Map<number, LatencyCounts>();
  readonly #pairs: Partial<Record<PairSource, number>> = {};
  #candidateBegan: number | undefined;
  /** The time at which the window starts, in seconds. */
  #began: number | undefined;
  #history: ((quantile: number) => NoiseHistory) | undefined;
  #ends = 0;
  #nextLook = 0;
  #unseen = false;
  #last: readonly Decided[] = [];
  #shownMinute = -1;
  #outcome: RecordedOutcome | undefined;

  constructor(model: JudgedModel, looks: LookPlan) {
    this.#model = model;
    this.#looks = looks;
  }

  /**
   * Adds the next line of the trace, in the order of time.
   * @returns the results to show, from the looks that were due before this line
   */
  add(entry: TraceEntry): readonly RecordedLook[] {
    return 'ratio' in entry ? this.#addPair(entry) : this.#addRequest(entry);
  }

  /**
   * Adds a pair. Like the candidate's first request, a pair can begin the window, because a shadow step has only pairs.
   */
  #addPair(pair: TracePair): readonly RecordedLook[] {
    this.#candidateBegan ??= pair.t;
    if (this.#began === undefined && pair.t < this.#candidateBegan + this.#looks.settleSeconds) return [];
    const shown = this.#lookBefore(pair);
    const block = Math.floor(pair.t / blockSeconds);
    const ratios = this.#ratios.get(block) ?? emptyHistogram(ratioScale);
    this.#ratios.set(block, ratios);
    addCount(ratios, ratioBucketOf(pair.ratio), 1);
    this.#pairs[pair.source] = (this.#pairs[pair.source] ?? 0) + 1;
    return shown;
  }

  #addRequest(request: TraceRequest): readonly RecordedLook[] {
    if (!this.#isInWindow(request)) return [];
    const shown = this.#lookBefore(request);
    count(this.#cells[request.revision], request);
    return shown;
  }

  /** Makes the look that is due before this line, if one is due. The first call begins the window. */
  #lookBefore(request: { readonly t: number; readonly line: number }): readonly RecordedLook[] {
    const began = (this.#began ??= this.#begin(request.t));
    if (request.t - began > spanLimitSeconds) {
      throw new AppError('BAD_CONFIG', {
        where: `line ${request.line}`,
        problem: `the canary spans more than ${spanLimitSeconds / 3600} hours, the limit of a window: cut the trace`,
      });
    }
    const shown = request.t >= this.#nextLook ? this.#look(this.#nextLook) : [];
    if (request.t >= this.#nextLook) this.#nextLook = this.#lookAfter(request.t);
    this.#ends = request.t;
    this.#unseen = true;
    return shown;
  }

  /**
   * Whether a request belongs to the window. Before the candidate's first request, stable's requests of the last half
   * hour are kept as history. Requests in the time `settleSeconds` are ignored.
   */
  #isInWindow(request: TraceRequest): boolean {
    if (this.#began !== undefined) return true;
    if (request.revision === 'candidate') this.#candidateBegan ??= request.t;
    if (this.#candidateBegan !== undefined) return request.t >= this.#candidateBegan + this.#looks.settleSeconds;
    const { stable } = this.#cells;
    count(stable, request);
    this.#ends = request.t;
    while ((stable[0]?.block ?? Infinity) < Math.floor(request.t / blockSeconds) - historyBlocks) stable.shift();
    return false;
  }

  #begin(t: number): number {
    this.#nextLook = this.#lookAfter(t);
    this.#history = historyBefore(Math.floor(t / blockSeconds), this.#cells.stable);
    return t;
  }

  /** Makes the last look and shows all gates. */
  end(): { readonly looks: readonly RecordedLook[]; readonly outcome: RecordedOutcome } {
    if (this.#began === undefined)
      return {
        looks: [],
        outcome: {
          verdict: 'Undecided',
          t: shownTime(this.#ends),
          candidateRequests: 0,
          gates: this.#judgeAt(this.#ends),
        },
      };
    const looks = this.#unseen ? this.#look(this.#nextLook, true) : [];
    const gates = this.#judgeAt(this.#ends);
    return {
      looks,
      outcome: this.#outcome ?? {
        verdict: 'Undecided',
        t: shownTime(this.#ends),
        candidateRequests: this.#candidateRequests(),
        gates,
      },
    };
  }

  /** The next time to look: the next multiple of the interval. */
  #lookAfter(t: number): number {
    const hours = (t - (this.#began ?? t)) / 3600;
    const seldom = hours < 4 ? 60 : 300;
    const every = this.#looks.everySeconds ?? (this.#outcome === undefined && hours < 1 ? 5 : seldom);
    return (Math.floor(t / every) + 1) * every;
  }

  /** Evaluates the gates. @param at only requests before this time are used @param closing true for the last look */
  #look(at: number, closing = false): readonly RecordedLook[] {
    if (!this.#unseen) return [];
    this.#unseen = false;
    const { plan, require } = this.#model;
    const { decided, step } = lookAt(plan, this.#evidence(at), require);
    const changed = plan.gates.map(
      (_, i) => decided[i]?.verdict !== this.#last[i]?.verdict || decided[i]?.reason !== this.#last[i]?.reason,
    );
    this.#last = decided;
    if (this.#outcome === undefined && step !== 'Waiting') {
      this.#outcome = this.#decidedAt(at, step === 'Fail' ? 'Fail' : 'Pass');
    }
    const whole = closing || this.#looks.all || this.#isNewMinute(at);
    if (!whole && !changed.includes(true)) return [];
    return this.#judgeAt(at).filter((_, i) => whole || changed[i] === true);
  }

  #decidedAt(at: number, verdict: 'Pass' | 'Fail'): RecordedOutcome {
    const gates = this.#judgeAt(at);
    const shown = verdict === 'Pass' ? shownWords(this.#model.plan, gates) : undefined;
    return { verdict, t: shownTime(at), candidateRequests: this.#candidateRequests(), gates, ...present({ shown }) };
  }

  #judgeAt(at: number): readonly RecordedLook[] {
    return numbersAt(this.#model.plan, this.#evidence(at)).map((result) => ({ t: shownTime(at), ...result }));
  }

  /**
   * The evidence (the counts that the gates use) at a time. The trace is sorted by time, so the counts of both
   * revisions are complete up to the same block.
   */
  #evidence(at: number): Evidence {
    const firstBlock = Math.floor((this.#began ?? at) / blockSeconds);
    const until = Math.max(firstBlock, Math.ceil(at / blockSeconds) - 1);
    const { maxBlocks } = this.#model;
    const known = {
      cells: this.#cells,
      firstBlock,
      heardUntil: { candidate: until, stable: until },
      loadIsEqual: true,
    };
    return evidenceOf({
      ...known,
      nodes: this.#looks.nodes,
      ...present({ history: this.#history, maxBlocks, paired: this.#paired(firstBlock, until) }),
    });
  }

  #paired(first: number, last: number): PairedSeries | undefined {
    if (this.#ratios.size === 0) return undefined;
    const blocks = Array.from(
      { length: last - first + 1 },
      (_, i) => this.#ratios.get(first + i) ?? emptyHistogram(ratioScale),
    );
    return pairedOf(blocks, { ...this.#pairs });
  }

  #isNewMinute(at: number): boolean {
    const minute = Math.floor(at / 60);
    if (minute === this.#shownMinute) return false;
    this.#shownMinute = minute;
    return true;
  }

  #candidateRequests(): number {
    return this.#cells.candidate.reduce((sum, cell) => sum + cell.requests, 0);
  }
}

function count(cells: Counting[], { t, revision, latencyMs, ok, agree }: TraceRequest): void {
  const block = Math.floor(t / blockSeconds);
  let cell = cells.at(-1);
  if (cell?.block !== block) {
    cell = {
      pod: revision,
      block,
      tier: 'interactive',
      sizeClass: 1,
      latency: emptyHistogram(traceScale),
      requests: 0,
      failures: 0,
      compared: 0,
      disagreed: 0,
    };
    cells.push(cell);
  }
  cell.requests += 1;
  if (ok) addCount(cell.latency, latencyBucketOf(traceScale, Math.log(Math.max(latencyMs, Number.MIN_VALUE))), 1);
  else cell.failures += 1;
  if (agree === undefined) return;
  cell.compared += 1;
  if (!agree) cell.disagreed += 1;
}

/** Rounds a time for output: 0.30000000000000004 (0.1 + 0.2) is shown as 0.3. */
function shownTime(seconds: number): number {
  return Number(decimal(seconds));
}
