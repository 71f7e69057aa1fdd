/**
 * Runs a model at growing sizes and measures the memory of each run.
 *
 * Owns:   the choice of sizes, and reading the memory during a run. A run's memory cannot be computed from the graph: a
 *         request of a few hundred kilobytes may take gigabytes of intermediate results.
 * Limits: tries a larger size only if its run is predicted to stay within `budgetBytes`, a third of `budgetMs`, and
 *         the remaining `patienceMs`. Stops at the first size that the model refuses.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Engine, EngineResult } from './port.ts';
import {
  foresee,
  noiseBytes,
  runMemory,
  unknownRunMemory,
  type RowGrowth,
  type RunMemory,
  type RunPoint,
  type Sighting,
} from './run-memory.ts';
import type { TensorSpec } from './signature.ts';
import { elementsOf, tensorsBytes, type NamedTensors } from './tensor.ts';
import { trialInputs } from './trial-inputs.ts';

export type MeasureDeps = {
  readonly engine: Pick<Engine, 'run'>;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly string[];
  /**
   * A size of the free dimensions that the model is known to accept. Half of this size, this size and then larger sizes
   * are measured.
   */
  readonly fill: number;
  /** The largest size of the free dimensions that requests may have; absent when it is not known. */
  readonly maxFill?: number;
  /** Maximum rows of a run; 1 for a model without batching. */
  readonly maxRows: number;
  /** True if rows of several requests may share a run. Otherwise memory may grow faster than the number of rows. */
  readonly independent: boolean;
  /**
   * True if sessions keep the memory of a run (arena). The memory during a run is then compared with the memory before
   * the first run, otherwise with the memory before the same run.
   */
  readonly keeps: boolean;
  readonly budgetBytes: number;
  /**
   * Limit of CPU time, in milliseconds. It is not a limit of elapsed time, so that a busy node measures the same sizes
   * as an idle node.
   */
  readonly budgetMs: number;
  /** Limit of elapsed milliseconds for all sizes together. */
  readonly patienceMs: number;
  /** CPU time of this process, in milliseconds. */
  readonly cpuMs: () => number;
  readonly clock: Clock;
  /** Anonymous memory of the process in bytes; undefined when it cannot be read. */
  readonly readBytes: () => Promise<number | undefined>;
};

const lookMs = 2;
/** Maximum number of sizes. Each size is twice the size before it. */
const maxSizes = 16;
const rowStep = 4;
const maxGrowthRows = 4096;
/** When two times differ by less than this, the scheduler may be the cause. */
const noiseMs = 5;
/**
 * Measurements are noisy: memory that grows in proportion to the rows may have a measured exponent of up to this value.
 */
const linearPower = 1.2;

/**
 * `waitedMs` is the elapsed time of the run. `ms` is the CPU time of the process during the run, but at most
 * `waitedMs`: several threads, or other work of the process, can make the CPU time longer than the elapsed time.
 */
type Cost = { readonly bytes: number; readonly ms: number; readonly waitedMs: number };
type Measured = Cost & { readonly elements: number };
type SizeOfOneRow = { readonly fill: number; readonly one: Measured };

/**
 * Measures runs of several sizes. Does not reject when the model refuses a run.
 * @throws what the engine throws when a worker is lost
 */
export async function measureRuns(deps: MeasureDeps): Promise<RunMemory> {
  const { clock, patienceMs, independent } = deps;
  const baseBytes = await deps.readBytes();
  if (baseBytes === undefined) return unknownRunMemory;
  const world = {
    ...deps,
    baseBytes,
    endMs: clock.monotonic() + patienceMs,
    endCpuMs: deps.cpuMs() + deps.budgetMs,
  };
  const points: RunPoint[] = [];
  for (const { fill, one } of await sizesOfOneRow(world))
    points.push({ elements: one.elements, oneBytes: one.bytes, rowBytes: await bytesOfRow(world, fill, one) });
  return runMemory(points, independent ? undefined : await rowGrowth(world));
}

/**
 * Measures a run of one row for every size. This happens before runs of several rows use up the budget, because the
 * largest measured size decides which requests are refused.
 */
async function sizesOfOneRow(deps: RunDeps): Promise<readonly SizeOfOneRow[]> {
  const sizes: SizeOfOneRow[] = [];
  const half = await measureHalf(deps);
  if (half !== undefined) sizes.push(half);
  for (const fill of fillsOf(deps)) {
    const before = sizes.at(-1)?.one;
    const one: Measured | undefined =
      before === undefined || fill === deps.fill || affords(deps, foreseen(sizes, fill), 1)
        ? await measure(deps, fill, 1)
        : undefined;
    // Stop when a larger `fill` makes the same inputs: a model with fixed shapes has a single size.
    if (one === undefined || before?.elements === one.elements) break;
    sizes.push({ fill, one });
  }
  return sizes;
}

/**
 * Measures half of `fill`, if the model accepts that size. Two sizes show how much of the memory grows with the size
 * and how much is constant, so that larger sizes can be predicted. With only one measured size, a small model that
 * unpacks 45 MiB of weights in each run seems to need 180 MiB for twice the text.
 */
async function measureHalf(deps: RunDeps): Promise<SizeOfOneRow | undefined> {
  const fill = Math.floor(deps.fill / 2);
  const one = fill < 1 ? undefined : await measure(deps, fill, 1);
  return one === undefined ? undefined : { fill, one };
}

function foreseen(sizes: readonly SizeOfOneRow[], fill: number): Cost {
  const of = (key: keyof Cost, noise: number): number => foresee(rising(sizes, key), fill, noise);
  return { bytes: of('bytes', noiseBytes), ms: of('ms', noiseMs), waitedMs: of('waitedMs', noiseMs) };
}

/** Raises each value to at least the value before it: a larger size can only seem cheaper because of noise. */
function rising(sizes: readonly SizeOfOneRow[], key: keyof Cost): readonly Sighting[] {
  let value = 0;
  return sizes.map(({ fill, one }) => {
    value = Math.max(value, one[key]);
    return { size: fill, value };
  });
}

/** Memory per row in a run of several rows; the memory of a single row if several rows are too expensive to try. */
async function bytesOfRow(deps: RunDeps, fill: number, one: Measured): Promise<number> {
  const { maxRows } = deps;
  const several = maxRows > 1 && affords(deps, one, maxRows) ? await measure(deps, fill, maxRows) : undefined;
  return several === undefined ? one.bytes : several.bytes / maxRows;
}

function fillsOf({ fill, maxFill = Infinity }: MeasureDeps): readonly number[] {
  const doubling = Array.from({ length: maxSizes }, (_, step) => fill * 2 ** step);
  const within = doubling.filter((size) => size <= maxFill);
  return maxFill === Infinity || within.includes(maxFill) || maxFill < fill
    ? within.length === 0
      ? [fill]
      : within
    : [...within, maxFill];
}

type RunDeps = MeasureDeps & { readonly baseBytes: number; readonly endMs: number; readonly endCpuMs: number };

/** True if a run that costs `times` as much as the measured run is within the budgets. */
function affords(
  { budgetBytes, budgetMs, endMs, endCpuMs, cpuMs, clock }: RunDeps,
  { bytes, ms, waitedMs }: Cost,
  times: number,
): boolean {
  const inTime = cpuMs() < endCpuMs && clock.monotonic() + waitedMs * times <= endMs;
  return bytes * times <= budgetBytes && ms * times <= budgetMs / 3 && inTime;
}

/**
 * Runs increasing numbers of rows at the size `fill`. Returns undefined if the measured memory does not grow faster
 * than the number of rows.
 */
async function rowGrowth(deps: RunDeps): Promise<RowGrowth | undefined> {
  let before: (Measured & { readonly rows: number }) | undefined;
  let last: typeof before;
  for (let rows = rowStep; rows <= maxGrowthRows; rows *= rowStep) {
    if (last !== undefined && !affords(deps, last, rowStep ** 2)) break;
    const measured = await measure(deps, deps.fill, rows);
    if (measured === undefined) break;
    before = last;
    last = { ...measured, rows };
  }
  if (before === undefined || last === undefined || last.bytes < noiseBytes) return undefined;
  const power = Math.log(last.bytes / Math.max(before.bytes, noiseBytes / rowStep ** 2)) / Math.log(rowStep);
  return power <= linearPower
    ? undefined
    : { power: Math.min(2, power), rows: last.rows, elements: last.elements, bytes: last.bytes };
}

/** @returns undefined for a size that cannot be generated or that the model refuses */
async function measure(deps: RunDeps, fill: number, rows: number): Promise<Measured | undefined> {
  const inputs = trialInputs(deps.inputs, { fill, rows, seed: 1 });
  if (inputs === undefined) return undefined;
  const elements = elementsOf(inputs) / rows;
  const inputBytes = tensorsBytes(inputs);
  const beganMs = deps.clock.monotonic();
  const beganCpuMs = deps.cpuMs();
  const baseBytes = deps.keeps ? deps.baseBytes : ((await deps.readBytes()) ?? deps.baseBytes);
  const { result, peakBytes } = await watchRun(deps, inputs);
  const [part] = result.parts;
  if (part?.kind !== 'Done') return undefined;
  const known = inputBytes + 2 * tensorsBytes(part.outputs);
  const waitedMs = deps.clock.monotonic() - beganMs;
  return {
    bytes: Math.max(known, peakBytes - baseBytes),
    ms: Math.min(waitedMs, deps.cpuMs() - beganCpuMs),
    waitedMs,
    elements,
  };
}

async function watchRun(
  { engine, outputs, clock, readBytes }: RunDeps,
  inputs: NamedTensors,
): Promise<{ result: EngineResult; peakBytes: number }> {
  let peakBytes = 0;
  let ended = false;
  const look = async (): Promise<void> => {
    peakBytes = Math.max(peakBytes, (await readBytes()) ?? 0);
  };
  const run = engine.run({ parts: [inputs], outputs }).finally(() => {
    ended = true;
  });
  run.catch(() => {});
  for (;;) {
    await Promise.race([run, clock.sleep(lookMs)]);
    await look();
    if (ended) return { result: await run, peakBytes };
  }
}
