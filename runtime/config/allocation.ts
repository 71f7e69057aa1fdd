/**
 * How ONNX Runtime's sessions get memory for intermediate results: from the arena (ONNX Runtime's own pool), or from
 * glibc's malloc with the usual or with higher thresholds.
 *
 * Owns:  the settings that are measured, and the choice among them from measured numbers. The arena keeps the memory of
 *        the largest run until its session is released, so it is chosen only when every worker may keep that much.
 *        Higher thresholds save page faults too, but apply to the memory of requests as well: glibc keeps it longer.
 * Pure.
 */
import { formatBytes } from '../../api/units.ts';
import { emptyProcessBytes, heldByServer, limitForRuns } from './limits.ts';

const mib = 2 ** 20;

export type Allocation = {
  readonly arena: boolean;
  /** Value of MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_. */
  readonly thresholdBytes: number;
};

/** CPU time and page faults of a run of one size. */
export type PacedRun = {
  /** Size of the free dimensions. */
  readonly fill: number;
  readonly cpuMs: number;
  readonly faults: number;
};

export type MeasuredAllocation = Allocation & {
  /** The same sizes in the same order for every setting. */
  readonly runs: readonly PacedRun[];
  /** Anonymous memory of the measuring process after loading the model. */
  readonly loadedBytes: number;
  /** Peak of its anonymous memory. */
  readonly peakBytes: number;
  /**
   * Peak with a run of twice the largest measured size; `peakBytes` if the model refuses that size. Absent: not
   * measured.
   */
  readonly beyondBytes?: number;
};

export type AllocationMeasurement = {
  /** The first one is the setting that applies without a measurement; empty when nothing was measured. */
  readonly measured: readonly MeasuredAllocation[];
  /** Why nothing, or not every setting, was measured. */
  readonly why?: string;
};

export type AllocationChoice = Allocation & {
  /** The reason in words, with the numbers that decided. */
  readonly because: string;
  readonly measured: readonly MeasuredAllocation[];
};

export type ArenaMode = 'Auto' | 'On' | 'Off';

const usualThresholdBytes = 4 * mib;

/**
 * The settings to measure, in this order; the first applies without a measurement. A single setting means that there is
 * no choice.
 *
 * @param varies true if sizes vary between requests. Otherwise the arena holds one run of a known size, and is on.
 */
export function allocationsToMeasure(mode: ArenaMode, varies: boolean): readonly [Allocation, ...Allocation[]] {
  const usual = { arena: mode === 'On' || (mode === 'Auto' && !varies), thresholdBytes: usualThresholdBytes };
  if (usual.arena) return [usual];
  const raised = [32, 128].map((size) => ({ arena: false, thresholdBytes: size * mib }));
  return mode === 'Off' ? [usual, ...raised] : [usual, { ...usual, arena: true }, ...raised];
}

/** True if glibc keeps more free memory than with the usual thresholds. */
export function hasRaisedThresholds(allocation: Allocation | undefined): boolean {
  return allocation !== undefined && allocation.thresholdBytes > usualThresholdBytes;
}

/** CPU time of a page fault, with zeroing the page. Measured: 2.5 to 3 microseconds. */
const faultMs = 0.0025;
/** Differences of CPU time below this share are noise. A choice needs a larger gain. */
const noise = 0.05;
/** A setting whose page faults take less than this share of the CPU time cannot be improved by another setting. */
const goodShare = 0.03;

/** True if page faults cost so little that no other setting can be cheaper. */
export function faultsAreCheap({ runs }: Pick<MeasuredAllocation, 'runs'>): boolean {
  return mean(runs.map(({ faults, cpuMs }) => (faults * faultMs) / cpuMs)) < goodShare;
}

export type Budget = {
  /** Planned number of workers. */
  readonly workers: number;
  /** The memory limit; undefined: no limit. */
  readonly limitBytes: number | undefined;
};

/**
 * Chooses the setting with the least CPU time whose memory fits. Among settings of nearly the same CPU time, the usual
 * one is chosen, or else the one with the least memory.
 *
 * @param usual the setting to use when nothing was measured
 */
export function chooseAllocation(
  usual: Allocation,
  { measured, why }: AllocationMeasurement,
  budget: Budget,
): AllocationChoice {
  const [first] = measured;
  if (first === undefined || first.runs.length === 0)
    return { ...plain(usual), because: `${allocationWords(usual)}: ${why ?? 'not measured'}`, measured };
  const rated = measured.map((one) => ({
    one,
    ratio: mean(one.runs.map(({ cpuMs }, at) => cpuMs / (first.runs[at]?.cpuMs ?? cpuMs))),
    needBytes: one === first ? 0 : needOf(one, budget.workers),
  }));
  const fitting = rated.filter(({ needBytes }) => budget.limitBytes === undefined || needBytes <= budget.limitBytes);
  const least = Math.min(...fitting.map(({ ratio }) => ratio));
  const near = fitting.filter(({ ratio }) => ratio <= least + noise);
  const smallest = near.reduce((best, other) => (other.one.peakBytes < best.one.peakBytes ? other : best)).one;
  const chosen = near.some(({ one }) => one === first) ? first : smallest;
  const better = rated
    .filter((one) => !fitting.includes(one) && one.ratio < least - noise)
    .toSorted((a, b) => a.needBytes - b.needBytes)[0];
  return { ...plain(chosen), because: because(first, chosen, { better, why, budget }), measured };
}

type Rated = { readonly one: MeasuredAllocation; readonly needBytes: number };

function because(
  first: MeasuredAllocation,
  chosen: MeasuredAllocation,
  { better, why, budget }: { better: Rated | undefined; why: string | undefined; budget: Budget },
): string {
  const at = chosen.runs.length - 1;
  const run = (one: MeasuredAllocation): string => {
    const { fill = 0, cpuMs = 0, faults = 0 } = one.runs[at] ?? {};
    return `${round(cpuMs)} ms of CPU time and ${faults} page faults in a run of size ${fill}`;
  };
  const more = (one: MeasuredAllocation): string => `peak memory ${formatBytes(one.peakBytes)}`;
  const says = (one: MeasuredAllocation): string => `${allocationWords(one)}: ${run(one)}, ${more(one)}`;
  const decided = chosen === first ? says(chosen) : `${says(chosen)}; ${says(first)}`;
  const unfit =
    better === undefined
      ? ''
      : `; with ${allocationWords(better.one)} it would take ${round(better.one.runs[at]?.cpuMs ?? 0)} ms, but with ` +
        `${budget.workers} worker${budget.workers === 1 ? '' : 's'} it needs spec.memory.limit of at least ` +
        formatBytes(roundedUp(better.needBytes));
  return `${decided}${unfit}${why === undefined ? '' : `; ${why}`}`;
}

export function allocationWords({ arena, thresholdBytes }: Allocation): string {
  return arena ? 'arena on' : `arena off with malloc thresholds of ${formatBytes(thresholdBytes)}`;
}

/** Two runs of equal size may differ in memory by this factor. */
const runMargin = 1.25;
/**
 * A worker needs memory for a run of twice the largest measured size. If that memory was not measured, it is assumed to
 * be this many times the memory of the measured runs.
 */
const largerRuns = 2;

/** The smallest memory limit with which a setting can be used. */
function needOf(one: MeasuredAllocation, workers: number): number {
  const sessionBytes = Math.max(0, one.loadedBytes - emptyProcessBytes);
  const largestBytes = one.beyondBytes ?? one.loadedBytes + (one.peakBytes - one.loadedBytes) * largerRuns;
  const runBytes = Math.max(0, largestBytes - one.loadedBytes) * runMargin;
  // glibc applies the thresholds to the HTTP thread too: as much free memory may stay there.
  const heapBytes = Math.max(0, one.thresholdBytes - usualThresholdBytes);
  return limitForRuns(heldByServer(workers, sessionBytes) + heapBytes, runBytes * workers);
}

function plain({ arena, thresholdBytes }: Allocation): Allocation {
  return { arena, thresholdBytes };
}

function roundedUp(bytes: number): number {
  return Math.ceil(bytes / (16 * mib)) * 16 * mib;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function round(ms: number): number {
  return Number(ms.toPrecision(3));
}
