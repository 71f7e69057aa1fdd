/**
 * Canaries that are judged by pairs alone. A pair is the service times of one request on both revisions: stable, which
 * serves, and the candidate. The service has hardly any traffic, so golden inputs are sent to both revisions (probes).
 * Owns: the simulated pairs and the time until a verdict. `npm run bench:paired -- [--runs 200] [--seed 1]`
 * Model: in a pair, the time of each revision is service · e^(σ z) times the noise of the revision in that minute. Each
 * revision draws its own z from the standard normal distribution. Probes are sent as often as the prober's load limit
 * allows (runtime/sidecar/replay/prober.ts). The judge evaluates once a minute.
 */
import { parseOnlyFlags } from '../../lib/flags.ts';
import { ratioBucketOf } from '../../api/report.ts';
import { addCount, addInto, emptyHistogram, type LatencyCounts } from '../../operator/analysis/log-histogram.ts';
import { tuning } from '../../operator/analysis/constants.ts';
import { noHistory } from '../../operator/analysis/noise.ts';
import { judgePaired } from '../../operator/analysis/paired.ts';
import { ratioScale } from '../../operator/analysis/paired-series.ts';
import type { PairedResult } from '../../operator/analysis/verdict.ts';
import { loadLimit } from '../../runtime/sidecar/replay/prober.ts';
import { Random } from './random.ts';

export type PairedWorld = {
  /** The median time of an answer in seconds, for both revisions. */
  readonly serviceSeconds: number;
  /** Standard deviation of ln(seconds) between the answers of one revision. */
  readonly sigma: number;
  /** Standard deviation of ln(seconds) between the minutes of one revision. */
  readonly minuteNoise: number;
  /** Correlation of a minute's noise with the noise of the next minute (AR(1)); 0 by default. */
  readonly staying?: number;
  /** The candidate's time as a multiple of stable's time. */
  readonly factor: number;
  /** Share of the inputs for which the candidate takes `slowTimes` times as long; 0 by default. */
  readonly slowShare?: number;
  /** The factor on the candidate's time for the inputs of `slowShare`; 1 by default. */
  readonly slowTimes?: number;
  /** The largest number of pairs per minute. Slow answers reduce it, because of the prober's load limit. */
  readonly probesPerMinute: number;
};

const minutes = 30;
const blocksPerMinute = 3;

/** Simulates 30 minutes. @returns the judge's result after each minute */
export function* lookEachMinute(
  world: PairedWorld,
  random: Random,
  judged: { readonly alpha: number; readonly limit: number; readonly toShow: number },
): Generator<PairedResult> {
  const blocks: LatencyCounts[] = [];
  const total = emptyHistogram(ratioScale);
  const gap = Math.max(
    60 / world.probesPerMinute,
    (world.serviceSeconds * Math.exp(world.sigma ** 2 / 2) * Math.max(1, world.factor)) / loadLimit,
  );
  const staying = world.staying ?? 0;
  let noise = { candidate: world.minuteNoise * random.normal(), stable: world.minuteNoise * random.normal() };
  let next = random.uniform() * gap;
  for (let minute = 0; minute < minutes; minute += 1) {
    const step = (before: number): number =>
      staying * before + Math.sqrt(1 - staying ** 2) * world.minuteNoise * random.normal();
    noise = { candidate: step(noise.candidate), stable: step(noise.stable) };
    for (let block = 0; block < blocksPerMinute; block += 1) {
      const into = emptyHistogram(ratioScale);
      for (const end = 60 * minute + 20 * (block + 1); next < end; next += gap)
        addCount(into, ratioBucketOf(ratioOf(world, random, noise)), 1);
      blocks.push(into);
      addInto(total, into);
    }
    const series = { blocks: [...blocks], total, pods: [total] };
    yield judgePaired({
      paired: { series, counts: { Probe: total.total } },
      quantile: 0.95,
      early: 0.5,
      ...judged,
      passAlpha: judged.alpha,
      known: blocks.length,
      history: noHistory,
      stablePods: 1,
      nodes: 'Shared',
      podDeviations: tuning.podDeviations,
      isTooEarlyToFail: blocks.length < 9,
      warmBlocks: 20,
    });
  }
}

function ratioOf(
  { sigma, factor, slowShare = 0, slowTimes = 1 }: PairedWorld,
  random: Random,
  noise: { readonly candidate: number; readonly stable: number },
): number {
  const slow = random.uniform() < slowShare ? slowTimes : 1;
  return factor * slow * Math.exp(sigma * random.normal() + noise.candidate - sigma * random.normal() - noise.stable);
}

export type PairedRow = {
  readonly name: string;
  readonly failed: number;
  readonly passed: number;
  readonly medianMinutesToFail: number | null;
  readonly medianMinutesToShow: number | null;
  readonly medianUpperAtEnd: number | null;
  readonly pairsPerMinute: number;
};

export type PairedRuns = {
  readonly runs: number;
  readonly seed: number;
  /** A Pass must exclude every slowdown above this value: 0.1 means 10 %. */ readonly toShow: number;
  /** The slowdown that the gate allows: 0.15 means 15 %, which is the default. */
  readonly limit?: number;
  readonly alpha: number;
};

type Run = {
  readonly failedAt: number;
  readonly shownAt: number;
  readonly upper: number;
  readonly pairsPerMinute: number;
};

export function runPaired(
  name: string,
  world: PairedWorld,
  { runs, seed, toShow, limit = 0.15, alpha }: PairedRuns,
): PairedRow {
  const all = Array.from({ length: runs }, (_, run) => runOnce(world, new Random(seed, run), { alpha, limit, toShow }));
  const finite = (value: number): number | null => (Number.isFinite(value) ? Number(value.toPrecision(3)) : null);
  const share = (of: (run: Run) => number): number => all.filter((run) => Number.isFinite(of(run))).length / runs;
  const median = (of: (run: Run) => number): number | null => finite(medianOf(all.map(of)));
  return {
    name,
    failed: share((run) => run.failedAt),
    passed: share((run) => run.shownAt),
    medianMinutesToFail: median((run) => run.failedAt),
    medianMinutesToShow: median((run) => run.shownAt),
    medianUpperAtEnd: median((run) => run.upper),
    pairsPerMinute: Math.round(all.reduce((sum, run) => sum + run.pairsPerMinute, 0) / runs),
  };
}

/**
 * Simulates one rollout. `failedAt` is the minute of the rollback, or Infinity without a rollback. `shownAt` is the
 * minute of the first Pass (a verdict that the candidate is not too slow), or Infinity without a Pass.
 */
function runOnce(
  world: PairedWorld,
  random: Random,
  judged: { readonly alpha: number; readonly limit: number; readonly toShow: number },
): Run {
  let minute = 0;
  let shownAt = Infinity;
  let last: PairedResult | undefined;
  for (last of lookEachMinute(world, random, judged)) {
    minute += 1;
    if (last.verdict === 'Fail') break;
    if (last.verdict === 'Pass') shownAt = Math.min(shownAt, minute);
  }
  return {
    failedAt: last?.verdict === 'Fail' ? minute : Infinity,
    shownAt,
    upper: last?.upper ?? Infinity,
    pairsPerMinute: (last?.pairs ?? 0) / minute,
  };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Infinity;
}

const common = { sigma: 0.5, minuteNoise: 0.1, factor: 1, probesPerMinute: 60 };

/** The scenarios in the section "Paired evidence" of docs/canary-analysis.md. */
export const pairedWorlds: readonly { readonly name: string; readonly world: PairedWorld }[] = [
  { name: 'same, 20 ms', world: { ...common, serviceSeconds: 0.02 } },
  { name: 'same, 50 ms', world: { ...common, serviceSeconds: 0.05 } },
  { name: 'same, 200 ms', world: { ...common, serviceSeconds: 0.2 } },
  { name: 'same, 50 ms, no noise by minute', world: { ...common, serviceSeconds: 0.05, minuteNoise: 0 } },
  { name: 'same, 50 ms, correlated noise', world: { ...common, serviceSeconds: 0.05, staying: 0.8 } },
  { name: 'same, 50 ms, 20 % noise', world: { ...common, serviceSeconds: 0.05, minuteNoise: 0.2 } },
  { name: '1.15 times, the limit', world: { ...common, serviceSeconds: 0.05, factor: 1.15 } },
  { name: '1.25 times, at the limit', world: { ...common, serviceSeconds: 0.05, factor: 1.25 } },
  { name: '1.5 times', world: { ...common, serviceSeconds: 0.05, factor: 1.5 } },
  { name: '2 times', world: { ...common, serviceSeconds: 0.05, factor: 2 } },
  { name: 'one input in five 3 times', world: { ...common, serviceSeconds: 0.05, slowShare: 0.2, slowTimes: 3 } },
  { name: 'one input in twenty 3 times', world: { ...common, serviceSeconds: 0.05, slowShare: 0.05, slowTimes: 3 } },
];

if (import.meta.main) {
  const values = parseOnlyFlags('paired', process.argv.slice(2), {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    show: { type: 'string', default: '0.25' },
    alpha: { type: 'string', default: '0.0075' },
  });
  for (const { name, world } of pairedWorlds) {
    const row = runPaired(name, world, {
      runs: Number(values.runs),
      seed: Number(values.seed),
      toShow: Number(values.show),
      alpha: Number(values.alpha),
    });
    process.stdout.write(`${JSON.stringify(row)}\n`);
  }
}
