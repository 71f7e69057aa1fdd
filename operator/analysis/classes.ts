/**
 * Judges classes of requests (tier and size) separately, because one class may become slower while the quantiles of all
 * requests together stay the same.
 *
 * Terms: A window is the blocks of 20 seconds by which a step of a rollout is judged. A gate's verdict on it is Pass,
 * Fail or Undecided. α is the accepted probability of a wrong verdict. Noise is random variation between the minutes or
 * the pods of one revision.
 * Owns: which classes have enough requests to be judged, the worst class, and the gate that judges each class.
 * Why: a class with 3 % of the requests may become three times slower. If its requests were among the slowest before,
 * the p95 of all requests hardly changes.
 * Pure.
 */
import { groupRequests } from './constants.ts';
import { addInto, emptyHistogram, lnQuantileOf, type LatencyCounts } from './log-histogram.ts';
import type { LatencyJudgement } from './latency.ts';
import { samplingVariance } from './noise.ts';
import { cellsInside, type Cell, type Both, type Window } from './series.ts';
import type { Decided, GateNumbers, RequestClass } from './verdict.ts';

/** The maximum number of classes that are judged. The α of the classes is divided by it, even if fewer exist. */
export const mostClasses = 16;
/** The share of a gate's α for all classes together. The mix of all requests is judged with the rest of α. */
const classShare = 0.5;
/**
 * The worst class is named only if it is slower than the others by more than this many standard errors. Without a real
 * difference, a given class looks slower than the others by this much in 1 of 4,300 cases, and at least one of 16
 * classes does so in about 4 of 1,000 cases.
 */
const differsBy = 3.5;

/**
 * The α for a wrong Fail: one for the mix of all requests, and one for each class. The α for a wrong Pass is not split:
 * the gate passes only if the mix and every class pass, so a class that exceeds its bound must itself pass wrongly
 * (intersection-union test).
 */
export function alphasOf(alpha: number): { readonly mix: number; readonly each: number } {
  return { mix: alpha * (1 - classShare), each: (alpha * classShare) / mostClasses };
}

/**
 * The classes that have enough requests in both revisions (constants.ts, groupRequests). If there are more than
 * sixteen, the sixteen classes that had enough requests first are taken.
 *
 * Classes are chosen by counts alone, and a chosen class stays chosen. The choice does not depend on latencies, so the
 * split of α is valid.
 */
export function classesWithEnough(
  { candidate, stable }: Both<readonly Cell[]>,
  quantile: number,
): readonly RequestClass[] {
  const found: RequestClass[] = [];
  const counts = new Map<string, Both<number>>();
  const inOrder = [
    ...candidate.map((cell) => ({ cell, own: 1, other: 0 })),
    ...stable.map((cell) => ({ cell, own: 0, other: 1 })),
  ].toSorted((a, b) => before(a.cell, b.cell));
  const enough = groupRequests(quantile);
  for (const { cell, own, other } of inOrder) {
    const key = keyOf(cell);
    const { candidate: candidateCount, stable: stableCount } = counts.get(key) ?? { candidate: 0, stable: 0 };
    const now = {
      candidate: candidateCount + own * cell.latency.total,
      stable: stableCount + other * cell.latency.total,
    };
    counts.set(key, now);
    const had = Math.min(candidateCount, stableCount) >= enough;
    if (!had && Math.min(now.candidate, now.stable) >= enough)
      found.push({ tier: cell.tier, sizeClass: cell.sizeClass });
  }
  return found.slice(0, mostClasses);
}

/** Orders cells (counts of a pod in a block) by block, then by class, so that the order of arrival does not matter. */
function before(a: Cell, b: Cell): number {
  return a.block - b.block || a.sizeClass - b.sizeClass || (a.tier < b.tier ? -1 : a.tier > b.tier ? 1 : 0);
}

function keyOf({ tier, sizeClass }: RequestClass): string {
  return `${sizeClass} ${tier}`;
}

export function cellsOfClass<T extends RequestClass>(cells: Both<readonly T[]>, one: RequestClass): Both<readonly T[]> {
  const isOne = (cell: T): boolean => keyOf(cell) === keyOf(one);
  return { candidate: cells.candidate.filter(isOne), stable: cells.stable.filter(isOne) };
}

export type ClassEstimate = RequestClass & {
  /** How much slower the candidate is than stable in this class: the ratio of their latencies minus one. */
  readonly estimate: number;
  /** The number of the candidate's requests in the estimate. */
  readonly candidateRequests: number;
};

/**
 * The class whose quantile is slowest relative to stable, if its difference from the other classes is larger than
 * chance explains.
 *
 * Noise of minutes and pods is the same for all classes of a revision and cancels in the difference between two
 * classes, so only sampling noise counts. The estimate is for messages only; no verdict depends on it.
 * @returns undefined where fewer than two classes have enough requests, or where the classes do not differ
 */
export function worstClass(window: Window, quantile: number): ClassEstimate | undefined {
  const cells = cellsInside(window);
  const all = classesWithEnough(cells, quantile).map((one) => contrastIn(cellsOfClass(cells, one), one, quantile));
  const [worst] = all.toSorted((a, b) => b.difference - a.difference);
  const others = all.filter((one) => one !== worst);
  if (worst === undefined || others.length === 0) return undefined;
  const weight = others.reduce((sum, { variance }) => sum + 1 / variance, 0);
  const usual = others.reduce((sum, { difference, variance }) => sum + difference / variance, 0) / weight;
  if (worst.difference - usual <= differsBy * Math.sqrt(worst.variance + 1 / weight)) return undefined;
  const { tier, sizeClass, candidateRequests, difference } = worst;
  return { tier, sizeClass, estimate: Math.expm1(difference), candidateRequests };
}

function contrastIn({ candidate, stable }: Both<readonly Cell[]>, { tier, sizeClass }: RequestClass, quantile: number) {
  const [own, other] = [sumOf(candidate), sumOf(stable)];
  const ln = (histogram: LatencyCounts): number => lnQuantileOf(histogram, 1 - quantile);
  const variance = (histogram: LatencyCounts): number => samplingVariance(histogram, quantile) / histogram.total;
  return {
    tier,
    sizeClass,
    candidateRequests: Math.round(own.total),
    difference: ln(own) - ln(other),
    variance: Math.max(1e-9, variance(own) + variance(other)),
  };
}

/** The sum of the latency histograms of one revision's cells. There must be at least one cell. */
function sumOf(cells: readonly Cell[]): LatencyCounts {
  const [first] = cells;
  if (first === undefined) throw new Error('unreachable: a class with enough requests has cells');
  const sum = emptyHistogram(first.latency.scale);
  for (const { latency } of cells) addInto(sum, latency);
  return sum;
}

type ClassJudgement = { readonly of: RequestClass; readonly judgement: LatencyJudgement };

/**
 * A gate that is judged for the mix of all requests and for each class. It fails when one of these judgements fails,
 * and passes when all of them pass.
 */
export class EachClass {
  readonly #mix: LatencyJudgement;
  readonly #classes: readonly ClassJudgement[];

  constructor(mix: LatencyJudgement, classes: readonly ClassJudgement[]) {
    this.#mix = mix;
    this.#classes = classes;
  }

  /** `early` is Blind if the mix could not have failed the gate yet, and Shown if the mix and every class show it. */
  decide(): Decided {
    const { early: _, ...said } = this.#speaker().decided;
    const isBlind = this.#mix.decide().early === 'Blind';
    const isShown = this.#all().every(({ judgement }) => judgement.decide().early === 'Shown');
    return { ...said, ...(isBlind ? { early: 'Blind' } : isShown ? { early: 'Shown' } : {}) };
  }

  /** The numbers of the judgement that determines the gate's verdict. */
  numbers(): GateNumbers {
    const { judgement, of } = this.#speaker();
    return { ...judgement.numbers(), ...(of === undefined ? {} : { ofClass: of }) };
  }

  #all(): readonly { readonly judgement: LatencyJudgement; readonly of?: RequestClass }[] {
    return [{ judgement: this.#mix }, ...this.#classes];
  }

  /** The first judgement that fails, else the first that does not pass, else the judgement of the mix. */
  #speaker(): { readonly judgement: LatencyJudgement; readonly of?: RequestClass; readonly decided: Decided } {
    const said = this.#all().map((one) => ({ ...one, decided: one.judgement.decide() }));
    const speaker =
      said.find(({ decided }) => decided.verdict === 'Fail') ??
      said.find(({ decided }) => decided.verdict !== 'Pass') ??
      said[0];
    if (speaker === undefined) throw new Error('unreachable: the mix is always judged');
    return speaker;
  }
}
