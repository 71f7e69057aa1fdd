/**
 * Measures a warmed-up model: the memory of its runs, then their time.
 *
 * Owns: the budgets of both measurements.
 */
import type { Clock } from '../../lib/clock.ts';
import { measureCosts } from '../engine/measure-costs.ts';
import { measureRuns } from '../engine/measure-runs.ts';
import type { RunCost } from '../engine/run-cost.ts';
import type { RunMemory } from '../engine/run-memory.ts';
import type { Signature } from '../engine/signature.ts';
import type { WarmEngine } from '../engine/warmup.ts';
import { cpuMs } from './cpu-time.ts';

export type MeasuringDeps = {
  /** A run with a new size may never end, so this engine must have a time limit. */
  readonly engine: WarmEngine;
  readonly signature: Signature;
  /** A size of the free dimensions that the model is known to accept. */
  readonly fill: number;
  /** The largest size of the free dimensions that requests may have; undefined when it is not known. */
  readonly maxFill: number | undefined;
  readonly independent: boolean;
  /** Maximum rows of a run. */
  readonly maxRows: number;
  /** True if sessions keep the memory of a run (arena). */
  readonly keeps: boolean;
  /** True if all of the model runs on the CPU. */
  readonly onCpu: boolean;
  /** Memory for all current runs. */
  readonly runBytes: number;
  /** The timeout of the whole warm-up. */
  readonly timeoutMs: number;
  readonly readBytes: () => Promise<number | undefined>;
  readonly clock: Clock;
};

/** Maximum rows of a run whose memory per row is measured. */
const measuredRows = 8;
/**
 * Each measurement may take this share of the warm-up's timeout as CPU time. Both together may take the same share as
 * wall-clock time.
 */
const measuringShare = 1 / 4;
/** Measuring memory may take at most this CPU time. */
const memoryMs = 4000;
/** Measuring time may take at most this CPU time. */
const costMs = 1500;
/** Both measurements may take at most this wall-clock time. */
const patienceMs = 40_000;
/** A run is measured only if it is predicted to take at most this share of the memory for runs. */
const measuringRoom = 1 / 2;

export type ModelMeasures = {
  readonly memory: RunMemory;
  readonly cost: RunCost;
  /** False if memory could not be read, or if a busy machine may have ended the measurements early. */
  readonly complete: boolean;
};

/** @throws what the engine throws when a worker is lost */
export async function measureModel(deps: MeasuringDeps): Promise<ModelMeasures> {
  const { engine, signature, fill, maxFill, maxRows, clock, timeoutMs } = deps;
  const waitMs = Math.min(patienceMs, timeoutMs * measuringShare);
  const endMs = clock.monotonic() + waitMs;
  const common = {
    engine,
    inputs: signature.inputs,
    outputs: signature.outputs.map(({ name }) => name),
    fill,
    ...(maxFill === undefined ? {} : { maxFill }),
    cpuMs,
    clock,
  };
  const memory = await measureRuns({
    ...common,
    independent: deps.independent,
    keeps: deps.keeps,
    maxRows: Math.min(measuredRows, maxRows),
    budgetBytes: deps.runBytes * measuringRoom,
    budgetMs: Math.min(memoryMs, timeoutMs * measuringShare),
    patienceMs: endMs - clock.monotonic(),
    readBytes: deps.readBytes,
  });
  const cost = await measureCosts({
    ...common,
    maxRows,
    fits: (rows, elements) => memory.bytesOf(rows, elements) <= deps.runBytes * measuringRoom,
    onCpu: deps.onCpu,
    budgetMs: Math.min(costMs, timeoutMs * measuringShare),
    patienceMs: endMs - clock.monotonic(),
  });
  return { memory, cost, complete: memory.points.length > 0 && clock.monotonic() < endMs - waitMs / 2 };
}
