/**
 * Each revision's own quantile with its bounds. Messages give it next to the difference that a latency gate measures.
 *
 * Why: "52% above stable" does not show whether users notice it; 95 ms against 62 ms does.
 * Rule: the weights of request classes (tier and size) and the noise (variation between minutes) are the same as in the
 * gate. No verdict depends on these numbers.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Evidence } from './evidence.ts';
import { tailOf, reportScale, type LatencyCounts } from './log-histogram.ts';
import { minuteMargin } from './noise.ts';
import { isOverLatency, kindOfGate, type TrafficGate } from './gate-kinds/kinds.ts';
import { contrastWithLimit, quantileTest, type Side } from './quantile-evidence.ts';
import { cellsInside, classWeights, latencySeries, type Both, type Window } from './series.ts';
import type { GateResult } from './verdict.ts';

/** A quantile with its bounds, in milliseconds. A bound is absent while it is unknown. */
export type OwnLatency = { readonly estimate: number; readonly lower?: number; readonly upper?: number };

/** @returns the latencies that are known; empty for a gate on rates */
export function ownLatencies(
  gate: TrafficGate,
  { window }: Evidence,
  { alpha, passAlpha, evidence: { noise, passNoise = noise, minutes } }: GateResult,
): Partial<Both<OwnLatency>> {
  if (!isOverLatency(gate)) return {};
  const { isCompared } = kindOfGate(gate);
  const bounds = { lower: Math.log(1 / (alpha - passAlpha)), upper: Math.log(1 / passAlpha) };
  // The variance of a comparison is the sum of the variances of two revisions, so half of it is used for each revision.
  const revisions = isCompared ? 2 : 1;
  const variance = { lower: noise ** 2 / revisions, upper: passNoise ** 2 / revisions };
  const precision = { bounds, variance, minutes };
  const totals = totalsOf(window, isCompared);
  return present({
    candidate: quantileWithBounds(totals.candidate, gate.quantile, precision),
    stable: quantileWithBounds(totals.stable, gate.quantile, precision),
  });
}

function totalsOf(window: Window, isCompared: boolean): Both<LatencyCounts> {
  const cells = cellsInside(window);
  const pods = window.pods ?? cells;
  const weights = isCompared ? classWeights(cells, (cell) => cell.latency.total) : {};
  const scale = [...pods.candidate, ...pods.stable][0]?.latency.scale ?? reportScale;
  const span = { firstBlock: window.firstBlock, positions: 0, scale };
  const totalOf = (side: keyof Both<unknown>): LatencyCounts =>
    latencySeries({ blocks: [], pods: pods[side] }, span, weights[side]).total;
  return { candidate: totalOf('candidate'), stable: totalOf('stable') };
}

type Precision = {
  readonly bounds: Readonly<Record<Side, number>>;
  readonly variance: Readonly<Record<Side, number>>;
  readonly minutes: number;
};

function quantileWithBounds(
  histogram: LatencyCounts,
  quantile: number,
  { bounds, variance, minutes }: Precision,
): OwnLatency | undefined {
  if (histogram.total === 0) return undefined;
  const sample = { tail: tailOf(histogram), n: histogram.total };
  const contrastAt = (side: Side) => contrastWithLimit(quantileTest(quantile), sample, 0, bounds[side]);
  const contrast = contrastAt('lower');
  const at = (side: Side): number => {
    const half = Math.sqrt(
      contrastAt(side).width(side) ** 2 + minuteMargin(variance[side], Math.max(1, minutes), bounds[side]),
    );
    return Math.exp(contrast.difference + (side === 'lower' ? -half : half));
  };
  const [lower, upper] = [at('lower'), at('upper')];
  return {
    estimate: Math.exp(contrast.difference),
    ...(lower > 0 ? { lower } : {}),
    ...(Number.isFinite(upper) ? { upper } : {}),
  };
}
