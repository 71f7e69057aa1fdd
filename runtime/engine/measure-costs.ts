/**
 * Runs a model with growing numbers of rows at a few sizes and measures the time of each run.
 *
 * Owns:   the choice of sizes and of repetitions. Few rows run three times and more rows twice, and the fastest run
 *         counts, because other work can only make a run slower.
 * Limits: tries a size only if it is predicted to fit into what is left of `budgetMs` and `patienceMs`. More rows are
 *         not tried after two doublings that gained nothing. Stops at the first size that the model refuses.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Engine } from './port.ts';
import { flatGain, runCost, type RunCost } from './run-cost.ts';
import type { TensorSpec } from './signature.ts';
import { elementsOf, type NamedTensors } from './tensor.ts';
import { trialInputs } from './trial-inputs.ts';

export type CostDeps = {
  readonly engine: Pick<Engine, 'run'>;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly string[];
  /** A size of the free dimensions that the model is known to accept. This size and larger ones are measured. */
  readonly fill: number;
  /** The largest size of the free dimensions that requests may have; absent when it is not known. */
  readonly maxFill?: number;
  /** Maximum rows of a run; below 2, nothing is measured. */
  readonly maxRows: number;
  /** Whether a run with these rows stays within the memory limit. */
  readonly fits: (rows: number, elementsOfRow: number) => boolean;
  /** Limit of CPU time, in milliseconds, for all sizes together. */
  readonly budgetMs: number;
  /** Limit of elapsed milliseconds for all sizes together. */
  readonly patienceMs: number;
  /** CPU time of this process, in milliseconds. */
  readonly cpuMs: () => number;
  /**
   * True if runs use the CPU only. The time of a run is then its CPU time if that is shorter than the elapsed time, so
   * that a busy machine measures the same costs as an idle machine.
   */
  readonly onCpu: boolean;
  readonly clock: Clock;
};

/** Each size is this many times the size before it, in each free dimension. */
const sizeStep = 4;
const maxSizes = 4;
/** After a doubling that lowers the rate to this share, more rows are not tried. */
const clearLoss = 0.8;
/** Row counts up to this one are measured at every size first. */
const fewRows = 4;
/** A single row of a larger size may take this share of the budget: it runs several times, and with more rows. */
const rowShare = 1 / 16;

type Bounds = CostDeps & { readonly endMs: number; readonly endCpuMs: number };
/** `waitedMs` is the elapsed time, `cpuMs` the CPU time of the process, `ms` the one of them that counts. */
type Timed = { readonly ms: number; readonly waitedMs: number; readonly cpuMs: number; readonly elements: number };

/** One size of the free dimensions. `row` is the cost of a row in the largest run so far, `best` the fastest runs. */
type Size = { readonly fill: number; row: Timed; readonly best: Map<number, Timed> };

/**
 * Does not reject when the model refuses a run.
 * @throws what the engine throws when a worker is lost
 */
export async function measureCosts(deps: CostDeps): Promise<RunCost> {
  if (deps.maxRows < 2) return runCost([]);
  const bounds = { ...deps, endMs: deps.clock.monotonic() + deps.patienceMs, endCpuMs: deps.cpuMs() + deps.budgetMs };
  const sizes = await firstRows(bounds);
  for (const size of sizes) await addRows(bounds, size, rowCountsOf(deps.maxRows));
  for (const size of sizes) await repeat(bounds, size);
  return runCost(sizes.flatMap(({ best }) => [...best].map(([rows, { ms, elements }]) => ({ rows, elements, ms }))));
}

/**
 * Measures few rows of every size. This happens before runs of many rows use up the budget, because costs of even
 * larger sizes are predicted from the largest measured size.
 */
async function firstRows(bounds: Bounds): Promise<readonly Size[]> {
  const sizes: Size[] = [];
  for (const fill of fillsOf(bounds)) {
    const before = sizes.at(-1)?.row;
    if (before !== undefined && !isWorthwhile(bounds, before, sizes.at(-2)?.row)) break;
    // The first run with a new shape is slower than later ones, so its time only serves to predict the next runs.
    const row = await timed(bounds, fill, 1);
    // A larger `fill` makes the same inputs when the model's shapes are fixed.
    if (row === undefined || row.elements === before?.elements) break;
    const size = { fill, row, best: new Map<number, Timed>() };
    await addRows(bounds, size, rowCountsOf(Math.min(fewRows, bounds.maxRows)));
    await repeat(bounds, size);
    sizes.push(size);
  }
  return sizes;
}

/** @param last a row of the largest size so far @param beforeLast a row of the size before it, if there is one */
function isWorthwhile(bounds: Bounds, { waitedMs, ...last }: Timed, beforeLast: Timed | undefined): boolean {
  // The time grows at most with the square of the size, for attention and for images of `fill` times `fill` pixels.
  const most = sizeStep ** 2;
  const likely = beforeLast === undefined ? sizeStep : Math.min(most, last.cpuMs / Math.max(1e-6, beforeLast.cpuMs));
  return (
    last.cpuMs * likely <= bounds.budgetMs * rowShare &&
    affords(bounds, { ...last, cpuMs: last.cpuMs * most, waitedMs: waitedMs * most }, 1)
  );
}

function fillsOf({ fill, maxFill = Infinity }: CostDeps): readonly number[] {
  const growing = Array.from({ length: maxSizes }, (_, step) => fill * sizeStep ** step);
  const within = growing.filter((size) => size <= maxFill);
  return within.length === 0 ? [fill] : within;
}

/** Runs the row counts that have not run yet, until more rows gain nothing. */
async function addRows(bounds: Bounds, size: Size, rowCounts: readonly number[]): Promise<void> {
  for (const rows of rowCounts) {
    if (size.best.has(rows)) continue;
    if (!affords(bounds, size.row, rows) || gainsNothing(size.best)) return;
    const run = await timed(bounds, size.fill, rows);
    if (run === undefined) return;
    size.best.set(rows, run);
    // The first run with more rows may only be slow because the memory for it is new.
    if (run.ms / rows >= rowMs(size)) await repeatRows(bounds, size, rows, run);
    size.row = perRow(size.best.get(rows) ?? run, rows);
  }
}

/** Milliseconds of a row in the run before the latest one; Infinity for the first run. */
function rowMs({ best }: Size): number {
  const [rows, before] = [...best].at(-2) ?? [];
  return before === undefined || rows === undefined ? Infinity : before.ms / rows;
}

/** Runs every row count again. */
async function repeat(bounds: Bounds, size: Size): Promise<void> {
  for (const [rows, known] of size.best) await repeatRows(bounds, size, rows, known);
}

/** Runs a row count again and keeps the faster run. */
async function repeatRows(bounds: Bounds, { fill, best }: Size, rows: number, known: Timed): Promise<void> {
  const again = affords(bounds, perRow(known, rows), rows) ? await timed(bounds, fill, rows) : undefined;
  if (again !== undefined && again.ms < known.ms) best.set(rows, again);
}

function perRow(run: Timed, rows: number): Timed {
  return { ...run, waitedMs: run.waitedMs / rows, cpuMs: run.cpuMs / rows };
}

/** 1, 2, 4 … and `maxRows` itself. */
function rowCountsOf(maxRows: number): readonly number[] {
  const doubling = Array.from({ length: 1 + Math.floor(Math.log2(maxRows)) }, (_, step) => 2 ** step);
  return doubling.at(-1) === maxRows ? doubling : [...doubling, maxRows];
}

/** True when the last two doublings did not raise the rate, or the last one lowered it a lot. */
function gainsNothing(best: ReadonlyMap<number, Timed>): boolean {
  const rates = [...best].slice(-3).map(([rows, { ms }]) => rows / ms);
  const [last = 0, before = 0] = rates.toReversed();
  return last < before * clearLoss || (rates.length === 3 && Math.max(...rates.slice(1)) < (rates[0] ?? 0) * flatGain);
}

/** @param row the cost of a row in the largest run so far */
function affords({ clock, cpuMs, endMs, endCpuMs, fits }: Bounds, row: Timed, rows: number): boolean {
  return (
    fits(rows, row.elements) &&
    cpuMs() + row.cpuMs * rows <= endCpuMs &&
    clock.monotonic() + row.waitedMs * rows <= endMs
  );
}

/** @returns undefined for a size that cannot be generated or that the model refuses */
async function timed(
  { engine, inputs, outputs, clock, cpuMs, onCpu }: Bounds,
  fill: number,
  rows: number,
): Promise<Timed | undefined> {
  const parts: NamedTensors[] = [];
  for (let row = 0; row < rows; row += 1) {
    const part = trialInputs(inputs, { fill, rows: 1, seed: row + 1 });
    if (part === undefined) return undefined;
    parts.push(part);
  }
  const elements = elementsOf(parts[0] ?? {});
  const [beganMs, beganCpuMs] = [clock.monotonic(), cpuMs()];
  const result = await engine.run({ parts, outputs });
  const [waitedMs, usedMs] = [clock.monotonic() - beganMs, cpuMs() - beganCpuMs];
  if (result.parts.some(({ kind }) => kind !== 'Done') || (rows > 1 && !result.together)) return undefined;
  return { ms: onCpu ? Math.min(waitedMs, usedMs) : waitedMs, waitedMs, cpuMs: usedMs, elements };
}
