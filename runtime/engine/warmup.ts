/**
 * Runs a freshly loaded model until it is warm, and checks that its rows may share a run.
 *
 * Owns:  the search for inputs that the model accepts, the warm-up requests, and the check of batching. When the graph
 *        shows that rows are independent (onnx/rows), a run whose rows have values of very different magnitude must
 *        confirm it, because dependent rows would silently give wrong answers.
 * Ends:  within the given time. When the time is over, it fails with WARMUP_TIMEOUT even during a run, because a run
 *        may never end.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { raceAbort } from '../../lib/abort.ts';
import { startDeadline } from '../../lib/deadline.ts';
import type { Engine } from './port.ts';
import type { Signature } from './signature.ts';
import type { NamedTensors, Tensor } from './tensor.ts';
import { fills, trialInputs } from './trial-inputs.ts';

export type WarmupDeps = {
  readonly engine: Engine;
  readonly signature: Signature;
  /** True if rows may share a run according to the graph. */
  readonly batchable: boolean;
  readonly requests: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly onProgress: (done: number) => void;
  /** Aborted when the warm-up is no longer needed. */
  readonly stop: AbortSignal;
};

export type WarmupResult = {
  /** Number of requests that ran. */
  readonly done: number;
  /** True if rows of several requests may share a run. */
  readonly batches: boolean;
  /** The size of free dimensions in the generated inputs; absent when the model did not accept any of the sizes. */
  readonly fill?: number;
  /**
   * Why the model could not be warmed up: ONNX Runtime's message about a generated input. Absent when the model
   * accepted an input.
   */
  readonly problem?: string;
};

/**
 * Allowed difference between a row's outputs when it runs alone and when it runs in a batch, relative to the largest
 * value. Kernels for another batch size sum in another order, and in a quantised model a sum may then round to the next
 * step. Rows that depend on each other differ far more.
 */
const tolerance = 0.05;

/** @throws AppError WARMUP_TIMEOUT, DRAINING when it was stopped, and what the engine throws when a worker is lost */
export async function warmUp(deps: WarmupDeps): Promise<WarmupResult> {
  const { signature, batchable, requests, clock } = deps;
  const deadlineMs = clock.monotonic() + deps.timeoutMs;
  const engine = boundedEngine(deps, deadlineMs);
  const outputs = signature.outputs.map(({ name }) => name);
  const inTime = (): void => {
    if (deps.stop.aborted) throw new AppError('DRAINING', undefined);
    if (clock.monotonic() > deadlineMs) throw new AppError('WARMUP_TIMEOUT', { timeoutMs: deps.timeoutMs });
  };
  const found = await findInputs(engine, signature, outputs);
  if ('problem' in found) return { done: 0, batches: batchable, problem: found.problem };
  const batches = batchable && (await rowsAreIndependent(engine, outputs, found.make));
  let done = 0;
  while (done < requests) {
    inTime();
    // Run as many requests at a time as there are workers, so that the buffers of every worker grow.
    const lanes = Math.min(Math.max(1, engine.freeSlots), requests - done);
    const seeds = Array.from({ length: lanes }, (_, lane) => done + lane);
    await Promise.all(seeds.map((seed) => engine.run({ parts: [found.make(seed)], outputs })));
    done += lanes;
    deps.onProgress(done);
  }
  return { done, batches, fill: found.fill };
}

export type WarmEngine = Pick<Engine, 'run' | 'freeSlots'>;

/**
 * The engine with a time limit: a run rejects at the deadline or when the warm-up is stopped, but continues in the
 * worker.
 */
export function boundedEngine(
  { engine, clock, timeoutMs, stop }: Pick<WarmupDeps, 'engine' | 'clock' | 'timeoutMs' | 'stop'>,
  deadlineMs: number,
): WarmEngine {
  return {
    get freeSlots() {
      return engine.freeSlots;
    },
    run: async (batch) => {
      const late = startDeadline(clock, deadlineMs - clock.monotonic(), stop);
      try {
        return await raceAbort(engine.run(batch), late.signal);
      } catch (error) {
        if (stop.aborted) throw new AppError('DRAINING', undefined);
        throw late.expired() ? new AppError('WARMUP_TIMEOUT', { timeoutMs }) : error;
      } finally {
        late.dispose();
      }
    },
  };
}

type Make = (seed: number, scale?: number) => NamedTensors;

/** Finds inputs of the first size that the model accepts. The signature does not say which sizes the model accepts. */
async function findInputs(
  engine: WarmEngine,
  signature: Signature,
  outputs: readonly string[],
): Promise<{ readonly make: Make; readonly fill: number } | { readonly problem: string }> {
  let problem = 'a generated input would be too large';
  for (const fill of fills) {
    // Consecutive seeds give similar first values, so the seeds are spread by a factor.
    const sample = (seed: number, scale = 1) => ({ fill, rows: 1, scale, seed: Math.imul(seed + 1, 0x9e3779b1) });
    const inputs = trialInputs(signature.inputs, sample(0));
    if (inputs === undefined) continue;
    const { parts } = await engine.run({ parts: [inputs], outputs });
    const [part] = parts;
    if (part?.kind === 'Done')
      return { fill, make: (seed, scale) => trialInputs(signature.inputs, sample(seed, scale)) ?? {} };
    problem = part?.why ?? problem;
  }
  return { problem };
}

/** Rows of these scales run together: usual values, small values, large values, and zeros. */
const scales = [1, 1e-3, 1e3, 0] as const;

async function rowsAreIndependent(engine: WarmEngine, outputs: readonly string[], make: Make): Promise<boolean> {
  const rows = scales.map((scale, seed) => (): NamedTensors => make(seed, scale));
  const alone: { readonly row: () => NamedTensors; readonly outputs: NamedTensors }[] = [];
  for (const row of rows) {
    const [part] = (await engine.run({ parts: [row()], outputs })).parts;
    // Skip a row that the model refuses even without batching: such a row does not show whether batching works.
    if (part?.kind === 'Done') alone.push({ row, outputs: part.outputs });
  }
  const together = await engine.run({ parts: alone.map(({ row }) => row()), outputs });
  return (
    together.together &&
    alone.length > 1 &&
    alone.every((one, position) => {
      const part = together.parts[position];
      return part?.kind === 'Done' && sameTensors(one.outputs, part.outputs);
    })
  );
}

function sameTensors(a: NamedTensors, b: NamedTensors): boolean {
  return Object.entries(a).every(([name, tensor]) => {
    const other = b[name];
    return other !== undefined && String(tensor.dims) === String(other.dims) && sameValues(tensor, other);
  });
}

function sameValues(a: Tensor, b: Tensor): boolean {
  const [ones, others] = [floatsOf(a), floatsOf(b)];
  if (ones === undefined || others === undefined) return String(a.data) === String(b.data);
  let largest = 1e-6;
  let difference = 0;
  for (let index = 0; index < ones.length; index += 1) {
    const one = ones[index] ?? 0;
    const other = others[index] ?? 0;
    if (Object.is(one, other)) continue;
    largest = Math.max(largest, Math.abs(one));
    difference = Math.max(difference, Math.abs(one - other));
  }
  // A NaN on one side makes the difference NaN, which compares as false.
  return difference <= tolerance * largest;
}

/** The numbers of a tensor of floating-point numbers; undefined for other types, whose values must be equal. */
function floatsOf({ type, data }: Tensor): Float16Array | Float32Array | Float64Array | undefined {
  if (type === 'float16') return new Float16Array(data.buffer, data.byteOffset, data.length);
  return data instanceof Float32Array || data instanceof Float64Array ? data : undefined;
}
