/**
 * The true values: how much slower a candidate is after its warm-up, how many more errors it has, and how many of its
 * answers disagree.
 * Owns: the numbers that bounds are compared with. These numbers leave out noise, load and differences between
 * machines.
 * Terms: the candidate is compared with stable, the revision that serves. A gate limits one measure; its bounds are an
 * interval that should contain the true value. A size class is the set of requests with inputs of a similar size.
 * Pure.
 */
import type { TrafficGate } from '../../operator/analysis/gate-kinds/kinds.ts';
import type { Scenario } from './scenarios.ts';
import { tableOf } from './tables.ts';

/**
 * The true value in the gate's unit. Undefined when the gate has no bounds. Undefined also when pods are queues and the
 * candidate is slower, because the true value cannot be computed then.
 */
export function truthOf(gate: TrafficGate, scenario: Scenario): number | undefined {
  if (gate.kind === 'latency-increase') return slowdownAt(gate.quantile, scenario);
  if (gate.kind === 'disagreement-limit') return scenario.disagreement;
  if (gate.kind !== 'errors-increase' || isOtherQueue(scenario)) return undefined;
  return scenario.candidateErrors - scenario.stableErrors;
}

function isOtherQueue({ queue, slower }: Scenario): boolean {
  return queue !== undefined && slower !== 1;
}

/**
 * The candidate's quantile divided by stable's quantile, minus one. Undefined when pods are queues and the candidate is
 * slower.
 */
export function slowdownAt(quantile: number, scenario: Scenario): number | undefined {
  const { classes, rare, slower } = scenario;
  if (isOtherQueue(scenario)) return undefined;
  if (rare.share === 0 && classes.every((one) => one.slower === 1)) return slower - 1;
  return Math.exp(lnQuantileOf(quantile, scenario, true) - lnQuantileOf(quantile, scenario, false)) - 1;
}

/** The quantile of ln(latency / base) over the requests of all size classes, found by bisection. */
export function lnQuantileOf(below: number, scenario: Scenario, isCandidate: boolean): number {
  let [low, high] = [-20, 20];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (shareBelow(middle, scenario, isCandidate) < below) low = middle;
    else high = middle;
  }
  return high;
}

function shareBelow(ln: number, { shape, classes, rare, slower }: Scenario, isCandidate: boolean): number {
  return classes.reduce((sum, of) => {
    const shift = Math.log(of.factor) + (isCandidate ? Math.log(of.slower * slower) : 0);
    const usual = shareOfTable(tableOf(shape).ln, ln - shift);
    if (!isCandidate || rare.share === 0) return sum + of.share * usual;
    const odd = shareOfTable(tableOf(shape).ln, ln - shift - Math.log(rare.factor));
    return sum + of.share * ((1 - rare.share) * usual + rare.share * odd);
  }, 0);
}

/** Share of sorted, equally likely values that are at most `ln`. */
function shareOfTable(table: Float64Array, ln: number): number {
  let [low, high] = [0, table.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((table[middle] ?? 0) <= ln) low = middle + 1;
    else high = middle;
  }
  return low / table.length;
}
